"""Downloads with the real huggingface_hub and hf_xet from a Hub on loopback."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from support import hub_faults
from support.downloads import FILES, WEIGHTS, size_of_weights, write_model
from support.waiting import wait_until
from vllm_pkg.models.download import errors
from vllm_pkg.models.download.child import Child
from vllm_pkg.models.download.ensure import ensure_models
from vllm_pkg.models.download.messages import Request
from vllm_pkg.models.download.progress import TransferState
from vllm_pkg.models.tiny import tiny_files


def test_only_what_the_engine_loads_is_fetched(downloads):
    """Weights in one format, configuration and tokenizer, and nothing else."""
    report = downloads.ensure("org/tiny")

    assert downloads.names("org/tiny") == FILES
    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]
    assert downloads.sent_bytes("org/tiny") == size_of_weights()
    assert downloads.sent_bytes("org/tiny", "pytorch_model.bin") == 0
    assert (report.is_complete, report.repositories) == (True, ("org/tiny",))
    assert report.bytes_fetched >= size_of_weights()
    last = downloads.seen[-1]
    assert (last.state, last.files_done, last.files_total) == (
        TransferState.DONE,
        5,
        5,
    )
    assert last.bytes_done == last.bytes_total


def test_the_cache_is_the_one_that_huggingface_hub_reads(downloads):
    """Its own tools find the repository whole, offline too."""
    downloads.ensure("org/tiny")

    cache = scan_cache_dir(downloads.settings.models_dir)
    found = snapshot_download(
        "org/tiny", cache_dir=downloads.settings.models_dir, local_files_only=True
    )

    assert cache.warnings == []
    assert [repository.repo_id for repository in cache.repos] == ["org/tiny"]
    assert {path.name for path in Path(found).iterdir()} == FILES


def test_a_complete_cache_asks_nobody(downloads, hub):
    """The second time not one request is made, and no program is started."""
    downloads.ensure("org/tiny")
    before = len(hub.requests)

    report = ensure_models(
        downloads.settings,
        ("org/tiny",),
        {"HF_HUB_OFFLINE": "1"},
        downloads.seen.append,
        lambda: False,
    )

    assert len(hub.requests) == before
    assert (report.is_complete, report.bytes_fetched) == (True, 0)


def test_offline_a_refresh_asks_nobody(downloads, hub):
    """Who forbids the network gets none, also where newer commits are asked for."""
    downloads.ensure("org/tiny")
    before = len(hub.requests)
    downloads.environ["HF_HUB_OFFLINE"] = "1"

    downloads.ensure("org/tiny", is_refresh=True)

    assert len(hub.requests) == before


def test_what_is_final_ends_it_though_others_hang(downloads, hub):
    """A missing file is told at once, and not after another connection's timeout."""
    hub.fail("org/tiny", "tokenizer.json", hub_faults.stall(0))
    hub.fail("org/tiny", WEIGHTS, hub_faults.status(404))

    with pytest.raises(errors.FileNotInRepository, match=WEIGHTS):
        downloads.ensure("org/tiny")

    assert not any(item.is_stalled for item in downloads.seen)


def test_offline_with_a_missing_file_is_an_error(downloads):
    """Who forbids the network is told what is missing."""
    downloads.environ["HF_HUB_OFFLINE"] = "1"

    with pytest.raises(errors.OfflineIncomplete, match="org/tiny is not complete"):
        downloads.ensure("org/tiny")


def test_a_long_listing_comes_in_pages(downloads, hub):
    """Every page is asked for."""
    hub.page_size = 2

    downloads.ensure("org/tiny")

    assert downloads.names("org/tiny") == FILES


def test_second_repositories_are_fetched_too(downloads, hub, tmp_path):
    """A draft model, a tokenizer and an adapter that arguments name are fetched."""
    files = tiny_files()
    tokenizer = {name: files[name] for name in ("tokenizer.json", "config.json")}
    adapter = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}
    hub.add("org/draft", write_model(tmp_path / "draft", files))
    hub.add("org/words", write_model(tmp_path / "words", tokenizer | {WEIGHTS: b"x"}))
    hub.add("org/adapter", write_model(tmp_path / "adapter", adapter))

    report = downloads.ensure(
        "org/tiny",
        "--tokenizer=org/words",
        '--speculative-config={"model": "org/draft", "num_speculative_tokens": 2}',
        "--lora-modules",
        "one=org/adapter",
    )

    assert report.repositories == ("org/tiny", "org/words", "org/draft", "org/adapter")
    assert downloads.names("org/draft") == FILES
    assert downloads.names("org/words") == {"tokenizer.json", "config.json"}
    assert downloads.names("org/adapter") == set(adapter)


def test_of_generation_settings_one_file_is_fetched(downloads, hub, tmp_path):
    """Of another repository that names them vLLM reads nothing else."""
    hub.add("org/other", write_model(tmp_path / "other", tiny_files()))
    bare = {"config.json": b"{}", "tokenizer.json": b"{}"}
    hub.add("org/bare", write_model(tmp_path / "bare", bare))

    report = downloads.ensure("org/tiny", "--generation-config", "org/other")
    downloads.ensure("org/tiny", "--generation-config", "org/bare")
    downloads.ensure("org/tiny", "--generation-config", "vllm")
    downloads.environ["HF_HUB_OFFLINE"] = "1"
    downloads.ensure("org/tiny", "--generation-config", "org/other")

    assert report.repositories == ("org/tiny", "org/other")
    assert downloads.names("org/other") == {"generation_config.json"}
    assert downloads.names("org/bare") == {"config.json"}
    sent = {name for repo_id, name in hub.sent_bytes if repo_id == "org/other"}
    assert sent == {"generation_config.json"}


def test_a_branch_that_moves_is_followed_only_when_asked(downloads, hub, tmp_path):
    """A complete cache stays as it is; a refresh fetches only what has changed."""
    downloads.ensure("org/tiny")
    changed = tiny_files() | {"generation_config.json": b'{"changed": true}'}
    hub.add("org/tiny", write_model(tmp_path / "new", changed))

    downloads.ensure("org/tiny")
    before = downloads.content("org/tiny", "generation_config.json")
    downloads.ensure("org/tiny", is_refresh=True)
    after = downloads.content("org/tiny", "generation_config.json")

    assert (before == after, after) == (False, b'{"changed": true}')
    assert downloads.sent_bytes("org/tiny") == size_of_weights()


def test_the_token_goes_to_the_hub_only(downloads, hub, model):
    """A gated model comes with the token, and the host of the files never sees it."""
    hub.add("org/gated", model, is_gated=True)
    hub.add_token("hf_secret", "ada", {"org/gated"})

    downloads.ensure("org/gated", token="hf_secret")  # noqa: S106  # of the test's Hub

    content = [item for item in hub.requests if item.path.startswith("/content")]
    assert content
    assert {item.token for item in content} == {None}
    assert "hf_secret" in {item.token for item in hub.requests}


def test_nobody_sees_the_token_in_the_list_of_processes(downloads, hub):
    """Neither the arguments nor the environment of the program hold it."""
    hub.fail("org/tiny", hub_faults.API, hub_faults.stall(0))
    request = Request(
        str(downloads.settings.models_dir),
        "org/tiny",
        "main",
        is_listing=True,
        names=(),
        files=(),
        token="hf_secret",  # noqa: S106
        parallel=1,
        timeout_s=None,
        parent_pid=os.getpid(),
    )
    environ = downloads.environ | {"HF_TOKEN": "hf_other"}

    with Child(request, environ) as child:
        process = psutil.Process(child._process.pid)
        wait_until(lambda: hub.requests or len(process.cmdline()) > 2, 10, "it runs")
        assert "hf_secret" not in " ".join(process.cmdline())
        assert "hf_secret" not in str(process.environ())


@pytest.mark.parametrize(
    ("repository", "token", "expected"),
    [
        ("org/gated", "", (errors.LicenceNotAccepted, "no Hugging Face token is set")),
        ("org/gated", "hf_bob", (errors.LicenceNotAccepted, "has no access")),
        ("org/private", "", (errors.RepositoryHidden, "or it is private")),
        ("org/private", "hf_bob", (errors.RepositoryNotFound, "this token may see")),
        ("org/missing", "", (errors.RepositoryHidden, "no such repository")),
        ("org/missing", "hf_bob", (errors.RepositoryNotFound, "no such repository")),
        ("org/tiny", "hf_unknown", (errors.HubTokenRefused, "refuses the Hugging")),
    ],
)
def test_what_may_not_be_read_is_told_apart(
    downloads, model, repository, token, expected
):
    """Gated, private, missing and a wrong token have an error each; none is retried."""
    downloads.hub.add("org/gated", model, is_gated=True)
    downloads.hub.add("org/private", model, is_private=True)
    downloads.hub.add_token("hf_bob", "bob")
    kind, words = expected

    with pytest.raises(kind, match=words) as caught:
        downloads.ensure(repository, token=token)

    assert repository in caught.value.message
    assert caught.value.hint
    assert downloads.clock.pauses_s == []


def test_a_missing_revision_is_an_error(downloads):
    """The error names the revision."""
    with pytest.raises(errors.RevisionNotFound, match="'v9'"):
        downloads.ensure("org/tiny", "--revision", "v9")


def test_a_repository_without_weights_is_an_error(downloads, hub, tmp_path):
    """Nothing is fetched that the engine could not load."""
    hub.add("org/empty", write_model(tmp_path / "empty", {"config.json": b"{}"}))

    with pytest.raises(errors.NoWeights, match="org/empty holds no weights"):
        downloads.ensure("org/empty")


def test_a_file_that_is_gone_is_an_error(downloads, hub):
    """A 404 for one file is final."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.status(404))

    with pytest.raises(errors.FileNotInRepository, match=WEIGHTS):
        downloads.ensure("org/tiny")

    assert downloads.clock.pauses_s == []


def test_a_refused_file_is_an_error(downloads, hub):
    """A 403 without a reason is final."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.status(403))

    with pytest.raises(errors.HubRefused, match=WEIGHTS):
        downloads.ensure("org/tiny")
