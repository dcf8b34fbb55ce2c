"""State that the published StartOS package wrote is taken over without loss."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.command_line import CommandLine, snapshot, variables

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
OLD_KEY = "aB3dE5gH7jK9mN1pQ3sT5v"
SELECT_CUSTOM = json.dumps(
    {"config": {"selection": "custom", "value": {"args": "a/b", "env": []}}}
)
NEW_KEY = "Zy9xW7vU5tS3rQ1pO2nM4l"


@pytest.fixture(name="cli")
def cli_fixture(tmp_path, monkeypatch, capsys):
    """The program under StartOS, over volumes of the test."""
    machine = variables(tmp_path, "rtx-4090", VLLM_PKG_PROFILE="startos")
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    return CommandLine(tmp_path, capsys)


def install(cli, store, credentials=None):
    """Lay files of a published version into the volumes."""
    cli.main.mkdir()
    cli.public.mkdir()
    shutil.copyfile(PUBLISHED / store, cli.main / "store.json")
    if credentials:
        shutil.copyfile(PUBLISHED / credentials, cli.public / "credentials.json")


def update(cli):
    """Do what StartOS does after an update."""
    ended = cli("init", "--kind", "update", "--json")
    assert ended.code == 0
    return ended.document()


def read(path):
    """Return the document in a file."""
    return json.loads(path.read_text())


@pytest.mark.parametrize("store", ["preset.json", "custom.json", "wrong-custom.json"])
def test_newer_data_is_left_byte_for_byte(cli, store):
    """Nothing has to be changed, so nothing is: neither the key nor the selection."""
    install(cli, store, "credentials.json")

    assert update(cli) == {"kind": "update", "tasks": []}
    assert cli("daemon", "--print").code == 0

    for file, original in [
        (cli.main / "store.json", store),
        (cli.public / "credentials.json", "credentials.json"),
    ]:
        assert file.read_bytes() == (PUBLISHED / original).read_bytes()
    assert cli("key", "show").out == f"{NEW_KEY}\n"


@pytest.mark.parametrize(
    ("store", "args", "env"),
    [
        (
            "preset.json",
            [
                "Qwen/Qwen3-30B-A3B-GPTQ-Int4",
                *("--max-model-len", "32768", "--enable-auto-tool-choice"),
                *("--tool-call-parser", "hermes"),
            ],
            {},
        ),
        (
            "custom.json",
            ["Qwen/Qwen3-0.6B", "--max-model-len", "8192", "--enforce-eager"],
            {"HF_TOKEN": "hf_0123456789abcdef", "VLLM_LOGGING_LEVEL": "DEBUG"},
        ),
        ("wrong-selection.json", ["Qwen/Qwen3-0.6B"], {}),
    ],
)
def test_the_engine_is_started_as_before(cli, store, args, env):
    """The stored arguments come first as they are, then what StartOS fixes."""
    install(cli, store, "credentials.json")
    update(cli)

    plan = cli("daemon", "--print", "--show-secrets").document()

    models = str(cli.main / "models")
    fixed = ["--host", "0.0.0.0", "--port", "8000", "--download-dir", models]
    start = ["vllm", "serve", *args, *fixed]
    assert plan["argv"][: len(start)] == start
    key = plan["argv"].index("--api-key")
    assert plan["argv"][key + 1] == NEW_KEY
    assert plan["env"].items() >= (env | {"HF_HUB_CACHE": models}).items()


@pytest.mark.parametrize(
    ("store", "value"),
    [
        ("preset.json", {"selection": "qwen3-30b-a3b", "value": {}}),
        (
            "custom.json",
            {
                "selection": "custom",
                "value": {
                    "args": "  Qwen/Qwen3-0.6B --max-model-len 8192\n--enforce-eager ",
                    "env": [
                        {"name": "HF_TOKEN", "value": "hf_0123456789abcdef"},
                        {"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"},
                    ],
                },
            },
        ),
        (
            "old-key.json",
            {
                "selection": "custom",
                "value": {"args": "Qwen/Qwen3-0.6B --max-model-len 8192", "env": []},
            },
        ),
        (
            "wrong-custom.json",
            {
                "selection": "custom",
                "value": {"args": "Qwen/Qwen3-0.6B --enforce-eager", "env": []},
            },
        ),
        ("wrong-selection.json", None),
        ("old-key-only.json", None),
    ],
)
def test_set_model_opens_with_the_stored_selection(cli, store, value):
    """The form shows what was chosen; a field of a wrong type reads as absent."""
    install(cli, store)
    update(cli)

    form = cli("action", "input", "set-model").document()

    assert form["value"] == (None if value is None else {"config": value})


@pytest.mark.parametrize("store", ["old-key.json", "old-key-only.json"])
def test_an_old_key_moves_and_nothing_else_changes(cli, store):
    """Clients keep their key; every other field survives, known to us or not."""
    install(cli, store)

    update(cli)

    expected = read(PUBLISHED / store)
    assert expected.pop("apiKey") == OLD_KEY
    assert read(cli.main / "store.json") == expected
    assert read(cli.public / "credentials.json") == {"apiKey": OLD_KEY}
    assert (cli.public / "credentials.json").stat().st_mode & 0o777 == 0o644


def test_a_newer_key_wins_over_an_old_one(cli):
    """Where credentials.json has a key, that one is what clients use."""
    install(cli, "old-key.json", "credentials.json")

    update(cli)

    assert cli("key", "show").out == f"{NEW_KEY}\n"
    assert "apiKey" not in read(cli.main / "store.json")


@pytest.mark.parametrize(
    "store", sorted({path.name for path in PUBLISHED.glob("*.json")})
)
def test_a_second_update_changes_no_byte(cli, store):
    """Taking over is done once: whatever the first update left, the second leaves."""
    install(cli, store)
    cli("init", "--kind", "update")
    cli("init", "--kind", "update")
    before = snapshot(cli.folder)

    update(cli)

    assert snapshot(cli.folder) == before


def test_without_a_model_the_task_is_raised(cli):
    """An old installation that never chose a model is told to."""
    install(cli, "old-key-only.json")

    assert [task["actionId"] for task in update(cli)["tasks"]] == ["set-model"]


def test_arguments_of_a_wrong_type_are_kept_and_told(cli):
    """No engine could be started with them: set aside, where published ones ignored."""
    install(cli, "wrong-args.json", "credentials.json")

    ended = cli("init", "--kind", "update")

    assert ended.code == 74
    assert "serveArgs is not a list of strings" in ended.error_line()
    kept = cli.main / "store.json.corrupt-1"
    assert kept.read_bytes() == (PUBLISHED / "wrong-args.json").read_bytes()


def test_a_key_beside_a_damaged_field_is_taken_over(cli):
    """The store is set aside for its variables, and clients keep their key."""
    install(cli, "old-key-wrong-env.json")

    ended = cli("init", "--kind", "update")

    assert ended.code == 74
    assert "serveEnv is not a list of objects" in ended.error_line()
    assert read(cli.public / "credentials.json") == {"apiKey": OLD_KEY}
    kept = cli.main / "store.json.corrupt-1"
    published = PUBLISHED / "old-key-wrong-env.json"
    assert kept.read_bytes() == published.read_bytes()
    assert [task["actionId"] for task in update(cli)["tasks"]] == ["set-model"]
    assert cli("key", "show").out == f"{OLD_KEY}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("action", "input", "set-model"),
        ("action", "run", "set-model", "--input", SELECT_CUSTOM),
        ("run", "--model", "tiny"),
        ("model", "list"),
        ("status",),
    ],
    ids=lambda arguments: arguments[0] + "-" + arguments[1] if arguments[1:] else "",
)
def test_no_command_before_the_first_start_loses_the_key(cli, arguments):
    """Whoever reads the damaged store first: the next starts have the key of old."""
    install(cli, "old-key-wrong-env.json")

    cli(*arguments)
    cli("init", "--kind", "update")

    update(cli)
    assert cli("key", "show").out == f"{OLD_KEY}\n"


def test_selecting_anew_keeps_unknown_fields(cli):
    """A model chosen with this version leaves fields of others where they are."""
    install(cli, "old-key.json")
    update(cli)
    entered = {"selection": "qwen3-30b-a3b", "value": {}}
    text = json.dumps({"config": entered})

    assert cli("action", "run", "set-model", "--input", text).code == 0

    document = read(cli.main / "store.json")
    assert document["installedBy"] == {"version": "0.16.0:0"}
    assert document["modelSelection"] == {"selection": "qwen3-30b-a3b"}
