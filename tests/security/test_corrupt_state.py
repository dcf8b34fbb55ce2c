"""T07: damaged state files never start an engine without a key, and are never lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.damaged_keys import (
    ACTIVE,
    NOW,
    SECRETS,
    find_extra_keys,
    wrong_entries,
)
from support.fake_vllm import make_fake_vllm
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.engine import daemon
from vllm_pkg.engine.guard.key_ring import KeyRing
from vllm_pkg.errors import EngineStartFailed, ServiceError, StateError
from vllm_pkg.state import credentials, documents, keys, secrets
from vllm_pkg.state.secrets import Role

HARDWARE = Path(__file__).parents[1] / "data" / "hardware" / "rtx-3090.json"
STORE = b'{"serveArgs": ["org/model", "--max-model-len", "1024"], "x": {"y": [1]}}\n'
KEY = b'{\n  "apiKey": "abcdefghijABCDEFGHIJ01"\n}\n'
FILES = {"store": STORE, "credentials": KEY, "secrets": SECRETS}
FIELDS = {
    "store": ("serveArgs", b'["a/b"]'),
    "credentials": ("apiKey", b'"abcdef"'),
    "secrets": ("keys", b"[]"),
}
DEEP = 10_000
BIG_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30.0


def written_cases(name):
    """Return damage that people, editors and programs do, for one of the files."""
    good = FILES[name]
    field, value = FIELDS[name]
    once = b'"%s": %s' % (field.encode(), value)
    wrong = [b"null", b"5", b"true", b"{}", b'{"0": "a"}', b"[5]", b"[null]", b'""']
    wrong += [b'"a b"', b'"a\\u0000b"', b'"schl\xc3\xbcssel"', b'"%s"' % (b"k" * 300)]
    return [
        b"",
        b"\0" * len(good),
        good + b"\0",
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
        b"{%s, %s}" % (once, once),
        b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        b'{"a": "%s"}' % (b"x" * BIG_BYTES),
        b"[%s]" % good,
        b"null",
        b'"text"',
        b'{"a": NaN}',
        b'{"a": %s}' % (b"9" * 5000),
        b'{"a": "\\ud800", %s}' % once,
        b"{'apiKey': 'abc'}",
        good * 2,
        b'{"serveArgs": ["a\\u0000b"], "apiKey": ["\\ud800"]}',
        *(b'{"%s": %s}' % (field.encode(), item) for item in wrong),
        *(wrong_entries() if name == "secrets" else ()),
    ]


def flipped(name, count):
    """Return copies of a file with one bit flipped; with enough of them, each bit."""
    good = FILES[name]
    bits = list(range(len(good) * 8))
    source = random.Random(7)  # noqa: S311
    if count < len(bits):
        bits = source.sample(bits, count)
    cases = []
    for bit in bits:
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        cases.append(bytes(data))
    while len(cases) < count:
        data = bytearray(good)
        for _ in range(source.randint(2, 8)):
            data[source.randrange(len(good))] ^= 1 << source.randrange(8)
        cases.append(bytes(data))
    return cases


def prepare(folder, name, data, **variables):
    """Return settings over files of which one holds *data*."""
    variables = {"VLLM_PKG_HARDWARE": str(HARDWARE), **variables}
    settings = make_settings(folder, **variables)
    settings.main.mkdir(parents=True)
    settings.public.mkdir()
    for key, path in paths(settings).items():
        path.write_bytes(data if key == name else FILES[key])
        path.chmod(settings.credentials_mode)
    return settings


def paths(settings):
    """Return the state files by name."""
    return {
        "store": settings.store_file,
        "credentials": settings.credentials_file,
        "secrets": settings.secrets_file,
    }


def key_of(plan):
    """Return the key that the engine of a plan would be started with."""
    shown = plan.as_json(show_secrets=True)
    argv = shown["argv"]
    if "--api-key" in argv:
        return argv[argv.index("--api-key") + 1]
    return shown["env"].get("VLLM_API_KEY")


def judge(settings, name, data):
    """Start twice, as a host does that tries again; return what is wrong."""
    wrong = []
    for start in ("first", "second"):
        try:
            plan = daemon.plan_start(settings)
        except (StateError, EngineStartFailed):
            continue
        except Exception as error:  # noqa: BLE001  # whatever it is, it is wrong
            wrong.append(f"{start} start: {error!r}"[:300])
            continue
        if plan.command is None:
            continue
        key = key_of(plan)
        if not credentials.is_usable_key(key):
            wrong.append(f"{start} start: an engine with the key {key!r}")
    if name == "secrets":
        wrong += find_extra_keys(settings, data)
    path = paths(settings)[name]
    kept = [path, *path.parent.glob(f"{path.name}.corrupt-*")]
    if not any(item.exists() and item.read_bytes() == data for item in kept):
        wrong.append("what was in the file is lost")
    return wrong


def judge_all(folder, cases, **variables):
    """Return what is wrong with each of many pairs of file and content."""
    found = []
    for number, (name, data) in enumerate(cases):
        settings = prepare(folder / str(number), name, data, **variables)
        wrong = judge(settings, name, data)
        found += [f"{name} {data[:80]!r}: {text}" for text in wrong]
    return found


PROMISE = (
    "No engine without a key, no key that the file did not let in, only errors of the"
    " state, and the file is kept: "
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.timeout(900)
def test_flipped_bits(tmp_path, guarantee, name):
    """T07: no flipped bit starts an engine without a key, or loses the file."""
    count = 2000 if is_long() else 150
    found = judge_all(tmp_path, [(name, data) for data in flipped(name, count)])
    guarantee(
        "T07",
        f"{PROMISE}flipped bits in {name}.json",
        tried=count,
        violations=len(found),
        unit="flips",
        control="a reader that takes damage for an empty file: found",
    )
    assert found == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.timeout(900)
def test_cut_files(tmp_path, guarantee, name):
    """T07: a file cut short at any byte is set aside or, when whole, understood."""
    good = FILES[name]
    cuts = [(name, good[:length]) for length in range(len(good))]
    found = judge_all(tmp_path, cuts)
    guarantee(
        "T07",
        f"{PROMISE}{name}.json cut at each byte",
        tried=len(cuts),
        violations=len(found),
        unit="lengths",
    )
    assert found == []


@pytest.mark.parametrize("profile", ["standalone", "startos"])
@pytest.mark.parametrize("name", FILES)
def test_written_damage(tmp_path, guarantee, name, profile):
    """T07: NUL, BOM, keys twice, depth 10,000, 10 MB and wrong types are refused."""
    cases = [(name, data) for data in written_cases(name)]
    found = judge_all(tmp_path, cases, VLLM_PKG_PROFILE=profile)
    guarantee(
        "T07",
        f"{PROMISE}{name}.json of wrong form, under {profile}",
        tried=len(cases),
        violations=len(found),
        unit="files",
    )
    assert found == []


@pytest.mark.parametrize("name", ["store", "credentials"])
@pytest.mark.parametrize("kind", ["folder", "loop", "dangling"])
def test_files_that_cannot_be_read(tmp_path, name, kind):
    """T07: a file that cannot be read is an error or absent, never replaced."""
    settings = prepare(tmp_path, name, b"")
    path = paths(settings)[name]
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name if kind == "loop" else "nowhere")
    if kind == "dangling":
        plan = daemon.plan_start(settings)
        assert plan.command is None or credentials.is_usable_key(key_of(plan))
        return
    with pytest.raises(StateError):
        daemon.plan_start(settings)
    assert os.path.lexists(path)
    assert path.is_dir() or path.is_symlink()


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_secrets_that_cannot_be_read(tmp_path, kind):
    """T07: then there are no named keys, and none can be added over what is there."""
    settings = prepare(tmp_path, "secrets", b"")
    path = settings.secrets_file
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    ring = KeyRing(settings.credentials_file, path)
    assert ring.find(ACTIVE.encode(), NOW.timestamp()) is None
    with pytest.raises(StateError):
        keys.add_key(settings, "new", Role.USER, None, NOW)
    assert path.is_dir() or path.is_symlink()


def test_the_judge_finds_a_key_that_comes_to_life(tmp_path, monkeypatch):
    """T07: a reader that overlooks a revocation is found."""
    assert judge_all(tmp_path / "good", [("secrets", SECRETS)]) == []
    read = secrets._checked_key
    monkeypatch.setattr(
        secrets, "_checked_key", lambda item: replace(read(item), revoked=None)
    )
    (wrong, *_) = judge_all(tmp_path / "bad", [("secrets", SECRETS)])
    assert "accepts Revoked" in wrong


def test_the_judge_finds_a_lenient_reader(tmp_path, monkeypatch):
    """T07: a reader that takes damage for an empty file is found."""
    monkeypatch.setattr(
        documents, "set_aside", lambda path, *_: path.unlink() or KeyError()
    )
    assert judge_all(tmp_path, [("credentials", b"{"), ("store", b"[]")])


def test_the_judge_finds_an_engine_without_a_key(tmp_path, monkeypatch):
    """T07: a plan with an empty key is found."""
    monkeypatch.setattr(credentials, "ensure_key", lambda _: "")
    assert judge_all(tmp_path, [("credentials", KEY)])


@pytest.mark.timeout(300)
def test_launches(tmp_path, guarantee):
    """T07: the daemon, run on damaged files, starts no engine without a key."""
    fake = make_fake_vllm(tmp_path / "environment")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    store = json.dumps({"serveArgs": [str(tmp_path / "model")]}).encode()
    damaged = [b"", b"{}", KEY[:-4], b'{"apiKey": ""}', b'{"apiKey": null}', b"\0" * 40]
    codes = []
    for number, data in enumerate(damaged):
        settings = prepare(tmp_path / str(number), "credentials", data)
        settings.store_file.write_bytes(store)
        codes.append(start(fake, settings, tmp_path).returncode)
        assert (settings.public / "credentials.json.corrupt-1").read_bytes() == data
    assert codes == [74] * len(damaged)
    assert fake.starts() == []

    # The control: on good files the same program does start an engine, with the key.
    fake.set_exits(0)
    settings = prepare(tmp_path / "good", "credentials", KEY)
    settings.store_file.write_bytes(store)
    assert start(fake, settings, tmp_path).returncode == 0
    started = wait_until(fake.starts, TIMEOUT_S, "the engine was started")
    assert [item["env"]["VLLM_API_KEY"] for item in started] == [
        "abcdefghijABCDEFGHIJ01"
    ]
    guarantee(
        "T07",
        "The daemon, run on a damaged credentials.json, ends with 74, and no engine",
        tried=len(damaged),
        violations=0,
        unit="starts",
        control="the same daemon on a good file does start the engine",
    )


def start(fake, settings, folder):
    """Run the daemon until it ends."""
    variables = {
        "VLLM_PKG_MAIN": str(settings.main),
        "VLLM_PKG_PUBLIC": str(settings.public),
        "VLLM_PKG_HARDWARE": str(HARDWARE),
        "VLLM_PKG_PORT": "18431",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        [*fake.program, "daemon"],
        env=variables,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def test_errors_say_what_to_do(tmp_path):
    """T07: the error names the file, where it went, and what to do."""
    settings = prepare(tmp_path, "credentials", b"{")
    with pytest.raises(ServiceError) as caught:
        daemon.plan_start(settings)
    assert caught.value.message == (
        f"{settings.credentials_file} is damaged: it is not JSON (line 1: Expecting "
        "property name enclosed in double quotes); it was set aside as "
        "credentials.json.corrupt-1"
    )
    assert caught.value.hint == "restore it from a backup, or start again without it"
