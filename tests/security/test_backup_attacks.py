"""Archives that somebody made to write elsewhere, or to let more out than they hold."""

from __future__ import annotations

import os
import tarfile

import pytest

from support.backups import Archive, state_of, with_state, write_state
from support.settings_factory import make_settings
from vllm_pkg.service.backup.errors import BackupDamaged
from vllm_pkg.service.backup.restoring import restore_backup, verify_backup

pytestmark = pytest.mark.security

REPOSITORY = "main/models/models--org--name"
COMMIT = "1" * 40
BLOB = "a" * 64
SNAPSHOT = f"{REPOSITORY}/snapshots/{COMMIT}"
EVIL = b'{"serveArgs": ["evil/model"]}'


def _file(name, **header):
    return lambda archive: archive.file(name, EVIL, **header)


def _hidden(name, **header):
    return lambda archive: archive.hidden(name, **header)


def _link(target, name=f"{SNAPSHOT}/config.json"):
    return lambda archive: archive.file(f"{REPOSITORY}/blobs/{BLOB}", b"{}").link(
        name, target
    )


def _through_link(archive):
    _link(f"../../blobs/{BLOB}", f"{SNAPSHOT}/deep")(archive)
    archive.file(f"{SNAPSHOT}/deep/file", EVIL)


def _twice(archive):
    archive.file(f"{REPOSITORY}/refs/main", b"1").file(f"{REPOSITORY}/refs/main", EVIL)


def _swapped(archive):
    archive.list_file(f"{REPOSITORY}/refs/main", b"x")
    archive.hidden("../../evil", b"x")


def _link_for_file(archive):
    archive.list_file(f"{REPOSITORY}/refs/main", b"")
    archive.hidden(f"{REPOSITORY}/refs/main", type=tarfile.SYMTYPE, linkname="/etc")


def _other_target(archive):
    archive.file(f"{REPOSITORY}/blobs/{BLOB}", b"{}")
    archive.listed.append({"path": f"{SNAPSHOT}/a.json", "link": f"../../blobs/{BLOB}"})
    archive.hidden(f"{SNAPSHOT}/a.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")


def _sparse(archive):
    archive.list_file(f"{REPOSITORY}/refs/main", b"")
    archive.hidden(f"{REPOSITORY}/refs/main", type=tarfile.GNUTYPE_SPARSE)


def _unlisted(archive):
    archive.hidden(f"{REPOSITORY}/refs/main", EVIL)


def _changed_mode(archive):
    archive.list_file("main/local-models/a/run", EVIL, mode="4755")
    archive.hidden("main/local-models/a/run", EVIL)


def _negative(archive):
    archive.list_file(f"{REPOSITORY}/refs/main", b"", size=-1)
    archive.hidden(f"{REPOSITORY}/refs/main", b"")


def _no_checksum(archive):
    archive.list_file(f"{REPOSITORY}/refs/main", EVIL, sha256="")
    archive.hidden(f"{REPOSITORY}/refs/main", EVIL)


ATTACKS = {
    "absolute": _file("/etc/cron.d/evil"),
    "parent": _file("../evil"),
    "parent-inside": _file("main/../../evil"),
    "parent-of-state": _file("main/models/../../evil"),
    "parent-in-model": _file(f"{REPOSITORY}/blobs/../../../../../evil"),
    "dot": _file("main/./store.json"),
    "double-slash": _file("main//store.json"),
    "trailing-slash": _file("main/local-models/a/"),
    "backslash-name": _file("main\\store.json"),
    "newline": _file(f"{REPOSITORY}/refs/a\nb"),
    "run-folder": _file("main/run/host.json"),
    "logs": _file("main/logs/engine.log"),
    "cache": _file("main/cache/vllm/evil.py"),
    "journal": _file("main/restore.json"),
    "switch": _file("main/switch.json"),
    "lock": _file("main/.lock"),
    "staging": _file("main/models/.restoring/models--a--b/refs/main"),
    "hidden-local": _file("main/local-models/.restoring/a"),
    "no-repository": _file("main/models/evil/refs/main"),
    "leftover": _file("main/models/.deleting-1--models--a--b/refs/main"),
    "odd-folder": _file(f"{REPOSITORY}/hooks/evil"),
    "deep-blob": _file(f"{REPOSITORY}/blobs/a/b"),
    "wrong-blob": _file(f"{REPOSITORY}/blobs/evil.sh"),
    "other-public": _file("public/authorized_keys"),
    "character-device": _file(f"{REPOSITORY}/refs/main", type=tarfile.CHRTYPE),
    "block-device": _file(f"{REPOSITORY}/refs/main", type=tarfile.BLKTYPE),
    "fifo": _file(f"{REPOSITORY}/refs/main", type=tarfile.FIFOTYPE),
    "folder": _file(f"{REPOSITORY}/refs/main", type=tarfile.DIRTYPE),
    "hard-link": _file(
        f"{REPOSITORY}/refs/main", type=tarfile.LNKTYPE, linkname="/etc/shadow"
    ),
    "unlisted-device": _hidden("main/x", type=tarfile.CHRTYPE),
    "unlisted-link": _hidden("main/x", type=tarfile.SYMTYPE, linkname="/"),
    "unlisted-file": _unlisted,
    "sparse": _sparse,
    "link-absolute": _link("/etc/passwd"),
    "link-out": _link("../../../../secrets.json"),
    "link-out-by-blobs": _link(f"../../../../../blobs/{BLOB}"),
    "link-to-other-model": _link(f"../../../models--a--b/blobs/{BLOB}"),
    "link-to-nothing": _link(f"../../blobs/{'b' * 64}"),
    "link-to-folder": _link("../../blobs/.."),
    "link-in-refs": _link(f"../blobs/{BLOB}", f"{REPOSITORY}/refs/main"),
    "link-for-state": _link(f"../../blobs/{BLOB}", "main/store.json"),
    "through-link": _through_link,
    "twice": _twice,
    "swapped-name": _swapped,
    "link-for-file": _link_for_file,
    "other-target": _other_target,
    "setuid": _changed_mode,
    "negative-size": _negative,
    "no-checksum": _no_checksum,
}


def _everything(folder):
    return {
        os.path.join(place, name): os.lstat(os.path.join(place, name)).st_mtime_ns  # noqa: PTH118
        for place, folders, names in os.walk(folder)
        for name in (*folders, *names)
        if not name.endswith(".lock")
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(tmp_path, attack):
    """Nothing is written anywhere, and the state is as it was."""
    settings = make_settings(tmp_path / "deep" / "here")
    before = write_state(settings)
    (settings.main / "run").mkdir()
    archive = with_state(Archive(), before)
    ATTACKS[attack](archive)
    path = archive.write(tmp_path / "attack.tar")
    names = _everything(tmp_path)
    with pytest.raises(BackupDamaged):
        verify_backup(path)
    with pytest.raises(BackupDamaged):
        restore_backup(settings, path)

    assert state_of(settings) == before
    changed = {
        name.removeprefix(str(tmp_path))
        for name, _ in _everything(tmp_path).items() ^ names.items()
    }
    # Folders in which it was made ready, and removed again.
    assert changed <= {f"/deep/here/main{name}" for name in ("", "/run", *FOLDERS)}


FOLDERS = ("/models", "/local-models")


def test_the_corpus_is_large_and_its_harmless_form_is_taken(tmp_path, guarantee):
    """T28: the same archive without an attack is restored, with links and modes."""
    settings = make_settings(tmp_path)
    state = write_state(settings)
    archive = with_state(Archive(), state)
    archive.list_file("main/local-models/a/run", EVIL, mode="0755")
    archive.hidden("main/local-models/a/run", EVIL)
    archive.file(f"{REPOSITORY}/refs/main", COMMIT.encode())
    _link(f"../../blobs/{BLOB}")(archive)
    restore_backup(settings, archive.write(tmp_path / "good.tar"))
    guarantee(
        "T28",
        "An archive made to write elsewhere is refused, and nothing is written",
        tried=len(ATTACKS),
        violations=0,
        unit="kinds of archives",
        control="the same archive without an attack is restored",
    )

    snapshot = settings.models_dir / "models--org--name" / "snapshots" / COMMIT
    assert (snapshot / "config.json").readlink().name == BLOB
    assert (snapshot / "config.json").read_bytes() == b"{}"
    assert (settings.local_models_dir / "a" / "run").stat().st_mode & 0o777 == 0o755
    assert len(ATTACKS) >= 40
