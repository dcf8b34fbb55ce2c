"""``vllm-pkg model list`` and ``model remove``, for people and for programs."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest
import typer

from support.model_cache import ONE, TWO, add_revision, digest
from vllm_pkg.models.uses import keep_use
from vllm_pkg.settings import load_settings

SHARED, OLD, NEW = b"s" * 3000, b"o" * 1000, b"n" * 2000
DAY = "2026-01-02 00:00 UTC"
DAY_S = 1767312000


@pytest.fixture(name="repository")
def repository_fixture(cli):
    """A repository of two revisions that share a file."""
    folder = cli.main / "models" / "models--org--name"
    add_revision(folder, ONE, {"a.bin": SHARED, "b.bin": OLD}, ("main",))
    add_revision(folder, TWO, {"a.bin": SHARED, "c.bin": NEW}, ("v2",))
    for path in folder.rglob("*"):
        os.utime(path, (DAY_S, DAY_S))
    return folder


class Terminal(io.StringIO):
    """A standard input with a person at it."""

    def isatty(self):
        """Whether it is a terminal."""
        return True


def answer(monkeypatch, *, reply=None):
    """Sit at a terminal and answer."""
    monkeypatch.setattr(sys, "stdin", Terminal())

    def confirm(_, *, abort):
        if not reply and abort:
            raise typer.Abort

    monkeypatch.setattr(typer, "confirm", confirm)


def test_a_list_changes_nothing_and_a_start_does(cli, repository):
    """Two lists in a row are the same; what a start used says so in the next one."""
    (repository / "snapshots" / ONE / "config.json").write_text("{}")
    os.utime(repository / "snapshots" / ONE / "config.json", (DAY_S, DAY_S))
    first, second = (cli("model", "list", "--json").out for _ in range(2))
    keep_use(load_settings(os.environ), ["org/name"], DAY_S + 86_400.0)
    used = json.loads(cli("model", "list", "--json").out)["models"][0]["lastUsed"]

    assert first == second
    assert json.loads(first)["models"][0]["lastUsed"] == "2026-01-02T00:00:00+00:00"
    assert used == "2026-01-03T00:00:00+00:00"


def test_the_list_for_people(cli, repository):
    """Each model and revision has a line with sizes, age and state."""
    cli.store({"serveArgs": ["org/name"]})
    lines = [line.split("  ") for line in cli("model", "list").out.splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    assert [row for row in words if len(row) > 2] == [
        ["Model", "Size", "Frees", "Last used", "State"],
        ["org/name", "5.9 KiB", "5.9 KiB", DAY, "complete, in use"],
        [f"{ONE[:12]}, main", "3.9 KiB", "1.0 KiB", "complete, in use"],
        [f"{TWO[:12]}, v2", "4.9 KiB", "2.0 KiB", "complete"],
    ]
    (repository / "blobs" / "e.incomplete").write_bytes(b"p")
    repository.with_name(".deleting-1--models--org--old").mkdir()
    text = cli("model", "list").out
    assert "partial, in use" in text
    assert "leftover/.deleting-1--models--org--old" in text
    assert "left by an interrupted deletion" in text


def test_the_list_for_programs(cli, repository):
    """The document has every fact, with bytes and times that programs understand."""
    cli.store({"serveArgs": ["org/name", "--revision", "v2"]})
    document = cli("model", "list", "--json").document()
    assert document["path"] == str(repository.parent)
    (model,) = document["models"]
    revisions = {item["commit"]: item for item in model.pop("revisions")}
    assert model == {
        "model": "org/name",
        "repository": "org/name",
        "kind": "model",
        "path": str(repository),
        "sizeBytes": 6080,
        "freesBytes": 6080,
        "partialBytes": 0,
        "isPartial": False,
        "isInUse": True,
        "lastUsed": "2026-01-02T00:00:00+00:00",
    }
    assert revisions[TWO] == {
        "commit": TWO,
        "refs": ["v2"],
        "sizeBytes": 5000,
        "freesBytes": 2040,
        "files": 2,
        "lastModified": "2026-01-02T00:00:00+00:00",
        "isPartial": False,
        "isInUse": True,
    }
    assert revisions[ONE]["isInUse"] is False


def test_an_empty_cache(cli):
    """Without any model the list is empty, and nothing is made."""
    assert cli("model", "list", "--json").document()["models"] == []
    assert not cli.main.exists()


def test_the_plan_comes_first_and_is_asked_about(cli, repository, monkeypatch):
    """A person sees what goes and what that frees; no means that all stays."""
    before = digest(repository)
    answer(monkeypatch)
    ended = cli("model", "remove", "org/name", "--revision", "v2")
    assert ended.code == 130
    assert ended.out == (
        f"To be removed: revision {TWO[:12]} of org/name (v2)\n"
        "Files:         4, 4.9 KiB\n"
        "Frees:         2.0 KiB\n"
        "Stays:         2.9 KiB, which something else needs\n"
    )
    assert digest(repository) == before
    answer(monkeypatch, reply=True)
    ended = cli("model", "remove", "org/name", "--revision", "v2")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("Removed 4 files and freed 2.0 KiB.\n")


def test_without_a_terminal_it_has_to_be_told(cli, repository):
    """Where nobody can be asked nothing is removed without --yes."""
    before = digest(repository)
    for more in ((), ("--json",)):
        ended = cli("model", "remove", "org/name", *more)
        assert ended.code == 2
        assert "nobody to ask" in ended.err
    assert digest(repository) == before
    ended = cli("model", "remove", "org/name", "--yes")
    assert ended.out.endswith("Removed 9 files and freed 5.9 KiB.\n")
    assert not repository.exists()


def test_the_documents_of_a_removal(cli, repository):
    """Plan and result are one document; a dry run has no result and does nothing."""
    left = repository.with_name(".deleting-1--models--org--old")
    add_revision(left, ONE, {"x.bin": b"x" * 700})
    plan = {
        "model": "org/name",
        "commit": TWO,
        "refs": ["v2"],
        "files": 4,
        "sizeBytes": 5040,
        "freesBytes": 2040,
        "sharedBytes": 3000,
        "leftoverBytes": 700,
    }
    command = ("model", "remove", "org/name", "--revision", TWO, "--json")
    before = digest(repository)
    assert cli(*command, "--dry-run").document() == {"plan": plan, "result": None}
    assert digest(repository) == before
    assert "Also frees:    700 bytes" in cli(*command[:-1], "--dry-run").out
    assert cli(*command, "--yes").document() == {
        "plan": plan,
        "result": {"freedBytes": 2040, "leftoverBytes": 700, "files": 6},
    }


def test_what_was_left_is_said(cli, repository):
    """Bytes of interrupted deletions are told apart."""
    left = repository.with_name(".deleting-1--models--org--old")
    add_revision(left, ONE, {"x.bin": b"x" * 700})
    ended = cli("model", "remove", "org/name", "--yes")
    assert ended.out.endswith(
        "freed 5.9 KiB, and 700 bytes left by interrupted deletions.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("org/name",), 73, "org/name is part of the selected model; select another"),
        (("org/name", "--revision", "main"), 73, "part of the selected model"),
        (("org/nam",), 73, "org/nam is not in the cache; did you mean org/name?"),
        (("org/name", "--revision", "v3"), 73, "has no revision v3 in the cache; it"),
        (("org/name", "--revision", ""), 2, "--revision is empty; name one"),
        (("..",), 73, ".. is not in the cache"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_is_refused(cli, repository, arguments, code, what):
    """What is needed, or is not there, is refused in one line, and nothing changes."""
    cli.store({"serveArgs": ["org/name"]})
    before = digest(repository)
    ended = cli("model", "remove", *arguments, "--yes")
    assert ended.code == code
    assert what in ended.error_line()
    assert digest(repository) == before


def test_another_revision_of_the_model_in_use_may_go(cli, repository):
    """What the selected model does not need can be removed while it is selected."""
    cli.store({"serveArgs": ["org/name"]})
    command = ("model", "remove", "org/name", "--revision", "v2", "--yes", "--json")
    assert cli(*command).document()["result"]["freedBytes"] == 2040
    assert (repository / "snapshots" / ONE).is_dir()
