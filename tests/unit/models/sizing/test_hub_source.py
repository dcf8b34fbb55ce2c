"""Asking the Hub, through the real huggingface_hub and a server on loopback."""

from __future__ import annotations

import json

import pytest

from support.hub_faults import API, status
from support.hub_server import HubServer
from support.service import free_port
from support.tiny_checkpoint import (
    CONFIG,
    SHARDS,
    WEIGHTS_BYTES,
    safetensors,
    write_checkpoint,
)
from vllm_pkg.models.sizing.checkpoint import Origin
from vllm_pkg.models.sizing.hub_source import HubAccess, ask_hub
from vllm_pkg.models.sizing.unknown import NotKnown

FIRST, SECOND = SHARDS

TOKEN = "hf_test"  # noqa: S105  # of the server on loopback


@pytest.fixture(name="hub")
def hub_fixture(monkeypatch, tmp_path):
    """A Hub on loopback; the cache of huggingface_hub is in the test's folder."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with HubServer() as server:
        yield server


def ask(hub, repo_id="org/tiny", revision=None, token=None):
    """Ask the server about a repository."""
    return ask_hub(repo_id, revision, HubAccess(hub.url, token))


def test_a_repository_is_described_without_its_weights(hub, tmp_path):
    """Config, tensors and sizes are known, and hardly a byte of weights was sent."""
    folder = write_checkpoint(tmp_path / "model")
    large = {"model.embed_tokens.weight": (4000, 256)}
    (folder / FIRST).write_bytes(safetensors(large))
    hub.add("org/tiny", folder)
    found = ask(hub)
    assert found.origin is Origin.HUB
    assert found.config == CONFIG
    assert found.tensors is not None
    sizes = [tensor.size_bytes for tensor in found.tensors]
    assert sizes == [4000 * 256 * 2, WEIGHTS_BYTES // 2]
    assert found.stored_bytes > sum(sizes)
    assert sum(hub.sent_bytes.values()) < 350_000
    assert not (tmp_path / "home").exists()


def test_a_revision_is_followed(hub, tmp_path):
    """Another branch may hold another model."""
    main = write_checkpoint(tmp_path / "main")
    other = write_checkpoint(tmp_path / "other", CONFIG | {"hidden_size": 512})
    hub.add("org/tiny", main, other=other)
    assert ask(hub, revision="other").config["hidden_size"] == 512
    assert ask(hub).config["hidden_size"] == 256


def test_weights_of_another_format_have_a_size_only(hub, tmp_path):
    """Of files that are no safetensors the Hub tells the size."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "pytorch_model.bin").write_bytes(bytes(1234))
    hub.add("org/tiny", folder)
    found = ask(hub)
    assert (found.stored_bytes, found.tensors) == (1234, None)


def test_gated_and_private_repositories(hub, tmp_path):
    """Without access the reason is told; with a token that has it, the answer comes."""
    folder = write_checkpoint(tmp_path / "model")
    hub.add("org/gated", folder, is_gated=True)
    hub.add("org/private", folder, is_private=True)
    hub.add_token(TOKEN, "somebody", ["org/gated", "org/private"])
    with pytest.raises(NotKnown, match="org/gated is gated"):
        ask(hub, "org/gated")
    with pytest.raises(NotKnown, match="no such repository"):
        ask(hub, "org/private")
    assert ask(hub, "org/gated", token=TOKEN).config == CONFIG
    assert ask(hub, "org/private", token=TOKEN).config == CONFIG


@pytest.mark.parametrize(
    ("remove", "words"),
    [
        ("config.json", "has no config.json"),
        (SECOND, "has no weights, or not all"),
        ("*.safetensors*", "has no weights, or not all"),
    ],
)
def test_a_repository_that_is_no_whole_model(hub, tmp_path, remove, words):
    """A repository without config or weights is told."""
    folder = write_checkpoint(tmp_path / "model")
    for path in folder.glob(remove):
        path.unlink()
    hub.add("org/tiny", folder)
    with pytest.raises(NotKnown, match=words):
        ask(hub)


def test_what_the_hub_refuses(hub, tmp_path):
    """A missing repository or revision, and a Hub in trouble, each have their words."""
    hub.add("org/tiny", write_checkpoint(tmp_path / "model"))
    with pytest.raises(NotKnown, match="org/none: the Hub has no such repository"):
        ask(hub, "org/none", token=None)
    with pytest.raises(NotKnown, match="no branch, tag or commit 'v9'"):
        ask(hub, revision="v9")
    hub.fail("org/tiny", API, status(500))
    with pytest.raises(NotKnown, match="the Hub has a problem of its own"):
        ask(hub)


def test_a_hub_that_cannot_be_reached(monkeypatch, tmp_path):
    """Without a Hub the reason is told, with what to do."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotKnown, match="the Hub cannot be reached") as caught:
        ask_hub("org/tiny", None, HubAccess(url))
    assert caught.value.hint == "check this machine's network, proxy and DNS"


def test_a_damaged_header_is_told(hub, tmp_path):
    """Weights whose header is no header give no size."""
    folder = write_checkpoint(tmp_path / "model")
    (folder / FIRST).write_bytes(b"\xff" * 5000)
    hub.add("org/tiny", folder)
    with pytest.raises(NotKnown):
        ask(hub)
