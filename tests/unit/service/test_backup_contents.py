"""What a backup may hold, and how its list is read."""

from __future__ import annotations

import json

import pytest

from vllm_pkg.service.backup.contents import (
    Contents,
    Member,
    format_contents,
    link_to_blob,
    parse_contents,
    problem_of,
)
from vllm_pkg.service.backup.errors import BackupDamaged, BackupNewer
from vllm_pkg.service.backup.state_check import check_state, has_key, secrets_in
from vllm_pkg.state.documents import Malformed

HASH = "a" * 64
REPOSITORY = "main/models/models--org--name"
SNAPSHOT = f"{REPOSITORY}/snapshots/{'1' * 40}"
BLOB = Member(f"{REPOSITORY}/blobs/{HASH}", 3, 0o600, HASH)
GOOD = (
    Member("main/store.json", 2, 0o600, HASH),
    BLOB,
    Member(f"{REPOSITORY}/blobs/{'b' * 40}", 0, 0o755, HASH),
    Member(f"{REPOSITORY}/refs/refs/pr/1", 40, 0o600, HASH),
    Member(f"{REPOSITORY}/.vllm-pkg/{'1' * 40}.json", 40, 0o600, HASH),
    Member(f"{SNAPSHOT}/plain.json", 40, 0o600, HASH),
    Member(f"{SNAPSHOT}/poetry.lock", link=f"../../blobs/{HASH}"),
    Member(f"{SNAPSHOT}/1_Pooling/ä b.json", link=f"../../../blobs/{HASH}"),
    Member("main/models/datasets--a--b/refs/main", 40, 0o600, HASH),
    Member("main/local-models/tiny/.complete.json", 1, 0o600, HASH),
)


def _contents(*members: Member) -> Contents:
    return Contents("0.1.0", "2026-01-01T00:00:00+00:00", members)


def _changed(**fields: object) -> bytes:
    document = json.loads(format_contents(_contents(*GOOD)))
    return json.dumps(document | fields).encode()


def test_a_list_comes_back():
    """What is written is read again, and tells of which models it is."""
    contents = _contents(*GOOD)
    read = parse_contents(format_contents(contents), "0.1.0")

    assert read == contents
    assert read.folders == (
        "models/models--org--name",
        "models/datasets--a--b",
        "local-models/tiny",
    )
    assert read.size_bytes == sum(member.size_bytes for member in GOOD)
    assert read.model_bytes == read.size_bytes - 2
    assert parse_contents(format_contents(contents), "0.2.0.dev1") == contents


@pytest.mark.parametrize("member", GOOD)
def test_what_belongs_into_a_backup(member):
    """Files of the state, and all kinds of files of a model, may be there."""
    assert problem_of(member) is None


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (Member("main/store.json", 2), "no checksum"),
        (Member("main/store.json", 5 * 1024**2, 0o600, HASH), "too large"),
        (Member("main/store.json", link="x"), "too large"),
        (Member("main/other.json", 2, 0o600, HASH), "no such file"),
        (Member("main/models/a", 2, 0o600, HASH), "no such file"),
        (Member("main/local-models/a", 2, 0o600, HASH), "no such file"),
        (Member("main/local-models/.a/b", 2, 0o600, HASH), "no file of a model"),
        (Member("main/local-models/a/b", link="c"), "no file of a model"),
        (Member(f"{REPOSITORY}/blobs/{HASH}.lock", 1, 0, HASH), "no file of"),
        (Member(f"{REPOSITORY}/.vllm-pkg/x.synced", 1, 0, HASH), "no file of"),
        (Member(f"{REPOSITORY}/snapshots/a", 1, 0, HASH), "no file of"),
        (Member(f"{REPOSITORY}/snapshots/a", link=f"../blobs/{HASH}"), "leads out"),
        (Member(f"{SNAPSHOT}/a", link="../../blobs/.."), "leads out"),
        (Member(f"{SNAPSHOT}/a", link="../../blobs/"), "leads out"),
        (Member("main/models/x/refs/main", 1, 0, HASH), "no file of"),
        (Member(f"main/{'x' * 256}", 1, 0, HASH), "not allowed"),
        (Member("x/" * 1025 + "x", 1, 0, HASH), "not allowed"),
        (Member("main/\ud800", 1, 0, HASH), "not allowed"),
        (Member("main/\x7f", 1, 0, HASH), "not allowed"),
        (Member("main/store.json", 1, 0o1000, HASH), "not allowed"),
    ],
)
def test_what_does_not(member, problem):
    """Anything else is named with the reason."""
    assert problem in (problem_of(member) or "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is damaged: it is not JSON"),
        (b"{}", "no backup of vllm-pkg"),
        (_changed(format="x"), "does not say which program"),
        (_changed(program="x y"), "does not say which program"),
        (_changed(created="2027"), "its checksum is wrong"),
        (_changed(sha256=None), "its checksum is wrong"),
        (format_contents(_contents(GOOD[0], GOOD[0])), "twice"),
        (format_contents(_contents(Member("x", 1, 0, HASH))), "'x' is in it, and no"),
        (format_contents(_contents(GOOD[6])), "it leads to nothing"),
        (
            format_contents(
                _contents(BLOB, GOOD[6], Member(f"{GOOD[6].path}/x", 1, 0, HASH))
            ),
            "stands in the place of its folder",
        ),
    ],
)
def test_a_damaged_list_is_refused(data, message):
    """A list that is not what was written, or asks for too much, is not used."""
    with pytest.raises(BackupDamaged, match=message):
        parse_contents(data, "0.1.0")


@pytest.mark.parametrize(
    "member", [{"path": 1}, {"path": "a"}, {"path": "a", "size": True}, [], None]
)
def test_an_entry_that_cannot_be_understood_is_refused(member, monkeypatch):
    """An entry of another shape makes the list count as damaged."""
    monkeypatch.setattr(Member, "as_json", lambda _: member)
    data = format_contents(_contents(BLOB))
    with pytest.raises(BackupDamaged, match="cannot be understood"):
        parse_contents(data, "0.1.0")


def test_a_newer_program_is_told():
    """The version that wrote it is named, and this one."""
    data = format_contents(Contents("3.0", "", ()))
    with pytest.raises(BackupNewer, match=r"vllm-pkg 3\.0 wrote .* vllm-pkg 0\.1\.0"):
        parse_contents(data, "0.1.0")


def test_links_lead_to_content_from_any_depth():
    """From each folder in a revision there is one way to its content."""
    assert link_to_blob(["snapshots", "1", "a", "b"], "c") == "../../../blobs/c"
    assert BLOB.folder == "models/models--org--name"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("main/store.json", b'{"serveArgs": 1}'),
        ("main/secrets.json", b'{"keys": 1}'),
        ("public/credentials.json", b'{"apiKey": "a b"}'),
        ("public/credentials.json", b"[]"),
    ],
)
def test_a_state_that_a_start_would_set_aside_is_seen(name, data):
    """What no start could use is no state to back up or to restore."""
    with pytest.raises(Malformed):
        check_state(name, data)


def test_a_state_that_a_start_would_use_is_seen():
    """What is in the state is told without repeating it."""
    state = {
        "main/store.json": b'{"apiKey": "x"}',
        "main/secrets.json": b'{"huggingFaceToken": "hf_x"}',
    }
    for name, data in state.items():
        check_state(name, data)
    check_state("public/credentials.json", b'{"apiKey": "x"}')

    assert has_key(state)
    assert not has_key({"main/store.json": b"{}"})
    assert secrets_in(state).hugging_face_token == "hf_x"  # noqa: S105
    assert secrets_in({}).keys == ()
