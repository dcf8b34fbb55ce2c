"""Damaged and unreadable files: told in one line, kept, and nothing else touched."""

from __future__ import annotations

import json

import pytest

from support.command_line import snapshot

SET = (
    "action",
    "run",
    "set-model",
    "--input",
    json.dumps(
        {
            "config": {
                "selection": "custom",
                "value": {"args": "org/name", "env": []},
            }
        }
    ),
)
# What store.json holds, and what is wrong with it.
DAMAGED_STORES = {
    "truncated": (b'{"serveArgs": ["org/na', "it is not JSON (line 1: Unterminated"),
    "empty": (b"", "it is not JSON"),
    "binary": (b"\x00\xff\xfe\x80PK\x03\x04", "it is not UTF-8 text"),
    "a list": (b"[]", "it is not a JSON object"),
    "args are text": (b'{"serveArgs": "a"}', "serveArgs is not a list of strings"),
    "args are numbers": (b'{"serveArgs": [1]}', "serveArgs is not a list of strings"),
    "env is text": (b'{"serveEnv": "A=1"}', "serveEnv is not a list of objects"),
    "env without value": (b'{"serveEnv": [{"name": "A"}]}', "serveEnv is not a list"),
    "a key twice": (b'{"serveArgs": [], "serveArgs": ["x"]}', "a key stands twice"),
    "nested": (b'{"a":' * 100_000, "it is nested too deeply"),
}
READERS_OF_STORE = {
    "init": ("init",),
    "print": ("daemon", "--print"),
    "health": ("health",),
    "status": ("status",),
    "form": ("action", "input", "set-model"),
    "set-model": SET,
    "run": ("run", "--no-default"),
    "run a model": ("run", "--model", "org/name"),
}
# What only looks changes nothing, and says the same at each look.
OBSERVERS = {"health", "status", "print"}
DAMAGED_CREDENTIALS = {
    "truncated": (b'{"apiKey": "abc', "it is not JSON"),
    "binary": (b"\xff\x00", "it is not UTF-8 text"),
    "without a key": (b"{}", "it has no usable apiKey"),
    "a number": (b'{"apiKey": 1}', "it has no usable apiKey"),
    "an empty key": (b'{"apiKey": ""}', "it has no usable apiKey"),
    "a key with a line break": (b'{"apiKey": "a\\nb"}', "it has no usable apiKey"),
}
READERS_OF_CREDENTIALS = {
    "init": ("init",),
    "print": ("daemon", "--print"),
    "show": ("key", "show"),
    "get": ("action", "run", "get-api-credentials"),
}


@pytest.fixture(name="ready")
def ready_fixture(cli):
    """A command line whose state is in order, with a model selected."""
    assert cli("init").code == 0
    assert cli(*SET).code == 0
    return cli


def check_set_aside(cli, command, file, content, what):
    """Check that a command sets a damaged file aside and touches nothing else."""
    name = str(file.relative_to(cli.folder))
    file.write_bytes(content)
    before = snapshot(cli.folder)

    ended = cli(*command)

    kept = f"{name}.corrupt-1"
    assert ended.code == 74
    assert f"{file} is damaged: {what}" in ended.error_line()
    assert f"it was set aside as {file.name}.corrupt-1; " in ended.err
    assert ended.out == ""
    expected = {key: value for key, value in before.items() if key != name}
    assert snapshot(cli.folder) == expected | {kept: before[name]}


@pytest.mark.parametrize("reader", sorted(READERS_OF_STORE.keys() - OBSERVERS))
def test_a_truncated_store_is_set_aside(ready, reader):
    """Whichever command meets it first: its content is kept under another name."""
    content, what = DAMAGED_STORES["truncated"]
    store = ready.main / "store.json"

    check_set_aside(ready, READERS_OF_STORE[reader], store, content, what)


@pytest.mark.parametrize("observer", sorted(OBSERVERS))
def test_a_look_at_a_damaged_store_changes_nothing(ready, observer):
    """Every look says that the store is damaged, and none sets it aside."""
    store = ready.main / "store.json"
    store.write_bytes(b'{"serveArgs": ["a/b"')
    before = snapshot(ready.folder)

    looks = [ready(*READERS_OF_STORE[observer]) for _ in range(2)]

    assert [look.code for look in looks] == [74, 74]
    for look in looks:
        assert f"{store} is damaged: it is not JSON" in look.error_line()
        assert "the next start of the service sets it aside" in look.err
    assert snapshot(ready.folder) == before


@pytest.mark.parametrize("damage", DAMAGED_STORES)
def test_every_damaged_store_is_set_aside(ready, damage):
    """Cut off, binary, of another shape: never read as an empty one."""
    content, what = DAMAGED_STORES[damage]
    store = ready.main / "store.json"

    check_set_aside(ready, ("init",), store, content, what)


@pytest.mark.parametrize("damage", DAMAGED_CREDENTIALS)
def test_a_look_at_damaged_credentials_changes_nothing(ready, damage):
    """What a start would do is not done by printing it: the damage is told and left."""
    content, what = DAMAGED_CREDENTIALS[damage]
    file = ready.public / "credentials.json"
    file.write_bytes(content)
    before = snapshot(ready.folder)

    ended = ready("daemon", "--print")

    assert ended.code == 74
    assert f"{file} is damaged: {what}" in ended.error_line()
    assert "the next start of the service sets it aside" in ended.err
    assert snapshot(ready.folder) == before


@pytest.mark.parametrize("reader", sorted(READERS_OF_CREDENTIALS.keys() - OBSERVERS))
@pytest.mark.parametrize("damage", DAMAGED_CREDENTIALS)
def test_damaged_credentials_are_set_aside(ready, damage, reader):
    """No engine starts without a key, and no key is replaced silently."""
    content, what = DAMAGED_CREDENTIALS[damage]
    file = ready.public / "credentials.json"

    check_set_aside(ready, READERS_OF_CREDENTIALS[reader], file, content, what)


def test_after_it_was_told_the_next_start_makes_a_new_key(ready):
    """The damaged file was reported once; then the service goes on with a new key."""
    file = ready.public / "credentials.json"
    file.write_bytes(b"{")
    assert ready("init").code == 74

    assert ready("init").code == 0

    assert len(json.loads(file.read_text())["apiKey"]) == 22
    assert (ready.public / "credentials.json.corrupt-1").read_bytes() == b"{"


@pytest.mark.parametrize("reader", READERS_OF_STORE)
def test_a_store_that_cannot_be_read_stays(ready, reader):
    """A folder in its place is told and left as it is."""
    store = ready.main / "store.json"
    store.unlink()
    store.mkdir()
    before = snapshot(ready.folder)

    ended = ready(*READERS_OF_STORE[reader])

    assert ended.code == 74
    assert f"cannot read {store}: Is a directory; " in ended.error_line()
    assert snapshot(ready.folder) == before


@pytest.mark.parametrize("reader", READERS_OF_CREDENTIALS)
def test_credentials_that_cannot_be_read_stay(ready, reader):
    """A folder in their place is told and left as it is."""
    file = ready.public / "credentials.json"
    file.unlink()
    file.mkdir()
    before = snapshot(ready.folder)

    ended = ready(*READERS_OF_CREDENTIALS[reader])

    assert ended.code == 74
    assert f"cannot read {file}: Is a directory; " in ended.error_line()
    assert snapshot(ready.folder) == before


def test_a_folder_in_place_of_the_log_is_told(cli):
    """A log that cannot be read is no mistake of the program."""
    (cli.main / "logs" / "engine.log").mkdir(parents=True)

    for command in (("logs",), ("logs", "-f")):
        ended = cli(*command)
        assert ended.code == 74
        assert "engine.log: Is a directory; " in ended.error_line()


@pytest.mark.parametrize("command", [("init",), ("status",), SET])
def test_a_file_in_place_of_the_volume_is_told(cli, command):
    """Where the volume should be there is a file: it is told and left."""
    cli.main.write_text("not a folder")

    ended = cli(*command)

    assert ended.code == 74
    assert str(cli.main) in ended.error_line()
    assert cli.main.read_text() == "not a folder"


def test_a_recorded_machine_that_is_damaged_is_told(cli, tmp_path, monkeypatch):
    """The file in VLLM_PKG_HARDWARE is the person's own: it is told, and stays."""
    recording = tmp_path / "machine.json"
    recording.write_text("{")
    monkeypatch.setenv("VLLM_PKG_HARDWARE", str(recording))

    for command in ("hardware", "status"):
        ended = cli(command)
        assert ended.code == 78
        assert "the file in VLLM_PKG_HARDWARE is not JSON" in ended.error_line()
    assert recording.read_text() == "{"
