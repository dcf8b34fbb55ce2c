"""The token of the portal in secrets.json."""

from __future__ import annotations

import json
import re
import threading

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.portal_token import ensure_portal_token, rotate_portal_token
from vllm_pkg.state.secrets import PORTAL_TOKEN_REGEX, load_secrets, parse_secrets


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over volumes that do not exist yet."""
    return make_settings(tmp_path)


def test_a_token_is_made_once_and_beside_what_is_there(settings):
    """It is long, private, and what else stands in the file survives."""
    settings.main.mkdir()
    document = {"huggingFaceToken": "hf_a", "future": 1}
    settings.secrets_file.write_text(json.dumps(document))

    token = ensure_portal_token(settings)

    assert re.fullmatch(PORTAL_TOKEN_REGEX, token)
    assert len(token) == 43
    assert ensure_portal_token(settings) == token
    stored = json.loads(settings.secrets_file.read_text())
    assert stored == {**document, "keys": [], "portalToken": token}
    assert settings.secrets_file.stat().st_mode & 0o777 == 0o600
    assert token not in repr(load_secrets(settings))


def test_all_who_begin_at_once_get_the_same(settings):
    """The portal, `run` and `portal link` may each be the first."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_portal_token(settings)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_rotating_makes_another(settings):
    """The new one is in the file when it is returned, also where there was none."""
    first = rotate_portal_token(settings)
    second = rotate_portal_token(settings)

    assert first != second
    assert ensure_portal_token(settings) == second


@pytest.mark.parametrize("value", [7, ["t" * 32], "t" * 31, "t" * 257, "t" * 32 + "\n"])
def test_what_cannot_be_a_token_is_malformed(value):
    """A short one could be guessed; nothing of it is repeated in the error."""
    with pytest.raises(Malformed) as caught:
        parse_secrets({"portalToken": value})
    assert str(caught.value) == "portalToken is not a token"


def test_a_damaged_file_is_told_and_set_aside(settings):
    """It is never replaced silently: the keys in it may be saved."""
    settings.main.mkdir()
    settings.secrets_file.write_text("{")

    with pytest.raises(StateCorrupt):
        ensure_portal_token(settings)

    assert settings.secrets_file.with_name("secrets.json.corrupt-1").exists()
