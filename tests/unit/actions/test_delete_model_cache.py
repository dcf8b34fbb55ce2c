"""Delete Model Cache: the form, the deletion, and the model in use."""

from __future__ import annotations

import os

import pytest

from support.model_cache import ONE, TWO, add_revision, weights_of
from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.delete_model_cache import size_text
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import InvalidArgument, ModelInUse, NotInCache
from vllm_pkg.state.store import ModelSelection, load_store, update_store

MIB = 1024 * 1024


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A stopped service with an empty cache."""
    return ActionContext(settings=make_settings(tmp_path), is_running=False)


def add_model(context, folder="models--org--name", size_bytes=2 * MIB):
    """Put a repository of one file into the cache."""
    snapshot = context.settings.models_dir / folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(weights_of(size_bytes))


def select(context, *serve_args):
    """Select a model by its arguments."""
    update_store(
        context.settings,
        lambda store: store.with_model(serve_args, (), ModelSelection("custom")),
    )


def delete(context, selection, repo, *, clear=False):
    """Run the action."""
    model = {"selection": selection, "value": {"repo": repo}}
    value = {"model": model, "clearSelection": clear}
    return registry.run_action(context, "delete-model-cache", value)


def form_of(context):
    """Return the two fields of the form."""
    spec = registry.action_input(context, "delete-model-cache").spec
    assert list(spec) == ["model", "clearSelection"]
    return spec["model"], spec["clearSelection"]


def test_an_empty_cache_offers_only_typing(context):
    """Without anything in the cache nothing can be chosen from it."""
    model, clear = form_of(context)
    assert model["disabled"] == ["cached"]
    assert model["default"] == "typed"
    cached = model["variants"]["cached"]
    assert cached["name"] == "A model in the cache - it is empty"
    assert cached["spec"]["repo"]["values"] == {}
    assert clear["default"] is False
    with pytest.raises(InvalidArgument, match=r"cannot be chosen now: .*empty"):
        delete(context, "cached", "org/name")


def test_the_form_lists_what_is_there_with_sizes(context):
    """Every repository comes with its size, and whether it is whole."""
    add_model(context)
    add_model(context, "datasets--org--data", 1 * MIB)
    add_model(context, ".deleting-1--models--org--old", 3 * MIB)
    blobs = context.settings.models_dir / "models--org--part" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "e.incomplete").write_bytes(b"x" * 4096)
    model, _ = form_of(context)
    assert model["default"] == "cached"
    assert model["disabled"] == []
    select_field = model["variants"]["cached"]["spec"]["repo"]
    assert select_field["values"] == {
        "leftover/.deleting-1--models--org--old": (
            "org/old (3.0 MiB, left by an interrupted deletion)"
        ),
        "org/name": "org/name (2.0 MiB)",
        "dataset/org/data": "dataset org/data (1.0 MiB)",
        "org/part": "org/part (4.0 KiB, incomplete)",
    }
    assert select_field["default"] == "leftover/.deleting-1--models--org--old"


def add_revisions(context):
    """Put a repository of two revisions that share a file into the cache."""
    folder = context.settings.models_dir / "models--org--two"
    shared = {"a.bin": b"s" * 3 * MIB}
    add_revision(folder, ONE, shared | {"b.bin": b"b" * MIB}, ("main",))
    add_revision(folder, TWO, shared | {"c.bin": b"c" * 2 * MIB}, ("v2", "v3"))
    return folder


def test_the_form_is_the_plan_for_revisions(context):
    """Of several revisions each is a choice, with what removing it would free."""
    folder = add_revisions(context)
    (folder / "snapshots" / TWO / "c.bin").resolve().unlink()
    select(context, "org/two")
    model, _ = form_of(context)
    values = model["variants"]["cached"]["spec"]["repo"]["values"]
    assert values == {
        "org/two": "org/two (4.0 MiB, incomplete, in use)",
        f"org/two@{ONE}": (
            f"org/two, only revision {ONE[:12]}, main (frees 1.0 MiB, in use)"
        ),
        f"org/two@{TWO}": (
            f"org/two, only revision {TWO[:12]}, v2, v3 (frees 80 bytes, incomplete)"
        ),
    }


def test_what_is_shared_is_not_promised(context, tmp_path):
    """A size is followed by what would come free, where that is less."""
    add_model(context)
    file = next(context.settings.models_dir.rglob("model.safetensors"))
    os.link(file, tmp_path / "kept")
    model, _ = form_of(context)
    labels = model["variants"]["cached"]["spec"]["repo"]["values"]
    assert labels == {"org/name": "org/name (2.0 MiB, frees 0 bytes)"}


def test_one_revision_is_deleted(context):
    """The other one stays, and may be the one in use."""
    folder = add_revisions(context)
    select(context, "org/two")
    message = delete(context, "cached", f"org/two@{TWO}").result.message
    assert message == f"Deleted revision {TWO[:12]} of org/two and freed 2.0 MiB."
    assert [path.name for path in (folder / "snapshots").iterdir()] == [ONE]


def test_what_was_left_of_a_revision_is_deleted(context):
    """The name of such a folder has the revision in it, and is one name."""
    name = f".deleting-1--models--org--two@{TWO}"
    add_revision(context.settings.models_dir / name, TWO, {"a.bin": b"a" * MIB})
    message = delete(context, "cached", f"leftover/{name}").result.message
    assert message == "Deleted org/two and freed 1.0 MiB."


@pytest.mark.parametrize("selection", ["cached", "typed"])
def test_a_model_is_deleted(context, selection):
    """Chosen or typed, it goes, and the message has the bytes really freed."""
    add_model(context)
    outcome = delete(context, selection, "org/name")
    assert outcome.needs_restart is False
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "Model Deleted",
        "message": "Deleted org/name and freed 2.0 MiB.",
        "result": None,
    }
    assert list(context.settings.models_dir.iterdir()) == []


def test_leftovers_are_mentioned(context):
    """What earlier deletions had left is removed too, and counted apart."""
    add_model(context)
    add_model(context, ".deleting-1--models--org--old", 3 * MIB)
    assert delete(context, "typed", "org/name").result.message == (
        "Deleted org/name and freed 2.0 MiB. What interrupted deletions had left gave "
        "another 3.0 MiB."
    )


def test_other_kinds_of_repositories(context):
    """A data set is deleted by its key, even if a selected model has its name."""
    add_model(context, "datasets--org--name")
    select(context, "org/name")
    outcome = delete(context, "cached", "dataset/org/name")
    assert outcome.result.message == "Deleted org/name and freed 2.0 MiB."
    assert load_store(context.settings).is_model_selected is True


def test_what_is_not_there_is_refused(context):
    """A typed name that is not in the cache deletes nothing."""
    add_model(context)
    with pytest.raises(NotInCache, match="org/other is not in the cache"):
        delete(context, "typed", "org/other")
    with pytest.raises(InvalidArgument, match="expected one of org/name"):
        delete(context, "cached", "org/other")


@pytest.mark.parametrize("repo", ["../x", "a/b/c", "/a", "a/", "", "a b", "a/b\n"])
def test_names_that_no_repository_can_have(context, repo):
    """A typed name is checked before anything is looked up."""
    with pytest.raises(InvalidArgument) as caught:
        delete(context, "typed", repo)
    assert caught.value.fields[0].path == ("model", "value", "repo")


@pytest.mark.parametrize(
    "serve_args",
    [
        ("org/name", "--max-model-len", "1"),
        ("--model", "org/name"),
        ("big/one", "--speculative-config", '{"model": "org/name"}'),
        ("big/one", "--tokenizer", "org/name"),
    ],
)
def test_the_model_in_use_is_kept(context, serve_args):
    """Whatever the selected arguments need is deleted only when told to."""
    add_model(context)
    select(context, *serve_args)
    with pytest.raises(ModelInUse, match="org/name is part of the selected model"):
        delete(context, "typed", "org/name")
    assert load_store(context.settings).serve_args == serve_args
    assert form_of(context)[0]["variants"]["cached"]["spec"]["repo"]["values"]
    outcome = delete(context, "typed", "org/name", clear=True)
    assert outcome.needs_restart is True
    assert outcome.result.message == (
        "Deleted org/name and freed 2.0 MiB. No model is selected any more."
    )
    assert load_store(context.settings).is_model_selected is False


def test_another_selection_is_not_cleared(context):
    """The switch clears the selection only when the deleted model is the one in use."""
    add_model(context)
    select(context, "big/one")
    assert delete(context, "typed", "org/name", clear=True).needs_restart is False
    assert load_store(context.settings).serve_args == ("big/one",)


def test_a_name_that_is_not_there_clears_nothing(context):
    """The selection stays when there is nothing to delete."""
    select(context, "org/name")
    with pytest.raises(NotInCache):
        delete(context, "typed", "org/name", clear=True)
    assert load_store(context.settings).is_model_selected is True


def test_the_form_takes_what_it_offers(context):
    """Each key that the form lists is an input that validates."""
    add_model(context)
    spec = registry.action_input(context, "delete-model-cache").spec
    model = {"selection": "cached", "value": {"repo": "org/name"}}
    value = {"model": model, "clearSelection": False}
    assert validate_input(spec, value) == value


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (900, "900 bytes"),
        (1023, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (4402341478, "4.1 GiB"),
    ],
)
def test_sizes_for_people(size_bytes, text):
    """Sizes have one decimal of the largest unit that gives at least 1.0."""
    assert size_text(size_bytes) == text
