"""The documentation names everything that there is."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

from support.command_line import MACHINES
from support.settings_factory import make_settings
from vllm_pkg import errors
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.cli.main import app
from vllm_pkg.health.checker import EXIT_CODES
from vllm_pkg.settings_table import SETTINGS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text()
README = (ROOT / "README.md").read_text()
MACHINE = {"VLLM_PKG_HARDWARE": str(MACHINES / "cpu-24gib.json")}
RESULTS = ROOT / "bench" / "results"


def _missing(names: list[str], text: str) -> list[str]:
    return [name for name in names if name not in text]


def test_every_setting_is_documented():
    """Each environment variable of the table stands in the guide."""
    names = [row.env for row in SETTINGS]

    assert _missing(names, GUIDE) == []
    assert _missing(["VLLM_PKG_NOT_THERE"], GUIDE) == ["VLLM_PKG_NOT_THERE"]


def test_every_command_is_documented():
    """Each command and each command group stands in the guide."""
    commands = [
        command.name or "" for command in app.registered_commands if command.name
    ]
    groups = [
        f"{group.name} {command.name}"
        for group in app.registered_groups
        for command in (
            group.typer_instance.registered_commands if group.typer_instance else ()
        )
    ]

    assert len(commands) >= 7
    assert len(groups) >= 5
    assert _missing([f"`{name}" for name in commands + groups], GUIDE) == []


def test_every_exit_code_is_documented():
    """Each exit code that a command can end with stands in the guide's table."""
    codes = {kind.exit_code for kind in _tree(errors.ServiceError)}
    codes |= set(EXIT_CODES.values())
    table = GUIDE[GUIDE.index("## Exit codes") :]
    documented = {
        int(number)
        for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for number in row.split(",")
    }

    assert codes - documented == set()


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_the_two_commands_open_the_readme(command):
    """README begins with the two commands that the promise is about."""
    opening = (ROOT / "README.md").read_text()[:600]

    assert f"    {command} " in opening


def test_the_readme_names_what_a_fresh_machine_needs():
    """The packages that the fresh Debian is given stand there, but for the usual."""
    script = (ROOT / "scripts" / "fresh-machine").read_text()
    (packages,) = re.findall(r"^PACKAGES=(\S+)$", script, re.MULTILINE)
    needed = set(packages.split(",")) - {"python3", "ca-certificates"}
    opening = (ROOT / "README.md").read_text()[:1000]

    assert {name for name in needed if name not in opening} == set()


def test_the_inputs_of_actions_are_taken_as_they_stand(tmp_path):
    """The forms accept the JSON that the guide and the README tell to type."""
    context = ActionContext(make_settings(tmp_path, **MACHINE), is_running=False)
    token = re.findall(r'`(\{"token": .+?\})`', GUIDE)
    models = re.findall(r"--input \\\n\s+'(\{.+\})'", README)

    assert (len(token), len(models)) == (1, 2)
    for action_id, texts in {"hugging-face-token": token, "set-model": models}.items():
        spec = registry.action_input(context, action_id).spec
        for text in texts:
            assert validate_input(spec, json.loads(text))


@pytest.mark.parametrize(
    ("words", "table", "name"),
    [
        ("plain vLLM with empty caches", "starts", "plain, empty, ready"),
        ("plain vLLM with its caches kept", "starts", "plain, caches kept, ready"),
        ("plain vLLM's with requests of 64 tokens", "rates", "64 tokens"),
        ("requests of one", "rates", "1 token"),
    ],
)
def test_the_guide_tells_the_published_restart(words, table, name):
    """Ratio and interval of each figure are those of the last published run."""
    results = json.loads((RESULTS / "restart_time.json").read_text())
    prefixes = {"starts": "package, fresh / ", "rates": "tiny, requests of "}
    suffix = ", package, fresh" if table == "rates" else ""
    figures = results[table][f"{prefixes[table]}{name}{suffix}"]
    mean, low, high = (f"{figures[key]:.2f}" for key in ("mean", "low", "high"))
    text = " ".join(GUIDE.split())
    told = {
        "starts": f"| {words} | {mean} | {low} to {high} |",
        "rates": f"{mean} ({low} to {high})",
    }[table]

    assert words in text
    assert told in text


def test_the_published_medians_stand_in_the_guide():
    """The seconds that the text names are the medians of that run."""
    seconds = json.loads((RESULTS / "restart_time.json").read_text())["seconds"]
    ways = ("package, fresh", "plain, empty", "plain, caches kept")
    first, second, third = (
        f"{statistics.median(seconds[way]['ready']):.1f} s" for way in ways
    )

    told = f"medians were {first}, {second} and {third}"
    assert told in " ".join(GUIDE.split())


def test_links_between_documents_hold():
    """Every relative link in README and docs leads to a file."""
    broken = [
        f"{document.name}: {target}"
        for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / target).exists()
    ]

    assert broken == []


def _tree(root: type[errors.ServiceError]) -> list[type[errors.ServiceError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _tree(child)
    return found
