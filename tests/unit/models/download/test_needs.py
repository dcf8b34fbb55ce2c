"""Which repositories arguments of ``vllm serve`` name."""

from __future__ import annotations

import pytest

from vllm_pkg.models.download.needs import (
    Need,
    Role,
    needs_of_config,
    read_needs,
    read_options,
)

FOLDERS = {"relative", "/models/mine"}


def read(*serve_args):
    """Read arguments on a machine that has two folders."""
    return read_needs(serve_args, lambda name: name in FOLDERS)


def named(*serve_args):
    """Return repository, revision and role of all that arguments name."""
    return [
        (need.repo_id, need.revision, need.role)
        for need in read(*serve_args).repositories
    ]


@pytest.mark.parametrize(
    "serve_args",
    [
        ("org/name",),
        ("--model", "org/name"),
        ("--model=org/name", "--port", "1"),
        ("org/other", "--model", "org/name"),
        ("org/name", "--tokenizer", "org/name"),
        ("org/name", "--tokenizer_revision", "main"),
        ("org/name", "--hf-config-path", "org/name"),
        ("org/name", "--code-revision", "v1"),
        ("org/name", "--generation-config", "auto"),
        ("org/name", "--generation-config", "vllm"),
        ("org/name", "--generation-config", "/models/mine"),
        ("org/name", "--generation-config", "org/name"),
        ("org/name", "-sc", '{"method": "custom_class", "model": "mine.Proposer"}'),
        ("org/name", "-sc.method=custom_class", "-sc.model=mine.Proposer"),
        ("org/name", "-sc", '{"model": "package.mine.Proposer"}'),
        ("org/name", "-sc", '{"method": "extract_hidden_states"}'),
        ("org/name", "--speculative-config", '{"method": "ngram", "model": "ngram"}'),
        ("org/name", "--speculative-config", '{"method": "mtp"}'),
        ("org/name", "--speculative-config", "{not json"),
        ("org/name", "--speculative-config", "[]"),
        ("org/name", "--lora-modules", "nothing"),
        ("org/name", "--lora-modules", "one=/models/mine"),
    ],
)
def test_one_model_is_one_repository(serve_args):
    """The model stands first or behind its option; its own parts do not count twice."""
    assert named(*serve_args) == [("org/name", "main", Role.MODEL)]


def test_second_repositories():
    """Tokenizer, configurations, code, draft model and adapters are found."""
    assert named(
        *("org/name", "--revision", "v1", "--trust-remote-code"),
        *("--tokenizer", "org/words", "--tokenizer-revision", "v2"),
        "--hf-config-path=org/config",
        *("--generation-config", "org/generation"),
        *("--code-revision", "v3"),
        *(
            "-sc",
            '{"model": "org/draft", "revision": "v4", "code_revision": "v5"}',
        ),
        *("--lora-modules", "one=org/one", '{"name": "two", "path": "org/two"}'),
        '--default-mm-loras={"audio": "org/three", "image": ["org/four"]}',
    ) == [
        ("org/name", "v1", Role.MODEL),
        ("org/words", "v2", Role.TOKENIZER),
        ("org/config", "v1", Role.CONFIG),
        ("org/generation", "main", Role.GENERATION),
        ("org/name", "v3", Role.CODE),
        ("org/draft", "v4", Role.MODEL),
        ("org/draft", "v5", Role.CODE),
        ("org/one", "main", Role.ADAPTER),
        ("org/two", "main", Role.ADAPTER),
        ("org/three", "main", Role.ADAPTER),
        ("org/four", "main", Role.ADAPTER),
    ]


@pytest.mark.parametrize(
    "serve_args",
    [
        ("org/name", "--speculative-config.model=org/draft"),
        ("org/name", "--speculative_config.model", "org/draft"),
        ("org/name", "-sc.model=org/draft"),
        ("org/name", "--spec-model", "org/draft"),
        ("org/name", "-sc", '{"model": "org/no"}', "--spec-model", "org/draft"),
    ],
)
def test_a_draft_model_in_every_spelling(serve_args):
    """Dotted names and the option of its own name the draft model too."""
    assert named(*serve_args)[1:] == [("org/draft", "main", Role.MODEL)]


def test_how_weights_are_chosen_is_kept():
    """Format, ignored patterns and trust in code stand in the need."""
    needs = read(
        *("org/name", "--load-format", "pt", "--ignore-patterns", "a*", "b*"),
        "--trust-remote-code",
    )

    assert needs.repositories == (
        Need("org/name", "main", Role.MODEL, "pt", ("a*", "b*"), is_code_trusted=True),
    )
    assert read("org/name").repositories[0].ignore_patterns == ("original/**/*",)


@pytest.mark.parametrize(
    ("serve_args", "is_all"),
    [
        (("org/name",), True),
        (("gpt2",), True),
        (("/models/mine",), True),
        (("relative",), True),
        (("s3://bucket/model",), False),
        (("org/name:Q4_K_M",), False),
        (("org/name", "--tokenizer", "https://elsewhere/words"), False),
        ((), False),
        (("--port", "1"), False),
    ],
)
def test_what_comes_from_elsewhere_is_not_ours(serve_args, is_all):
    """A folder needs no network; what is neither folder nor repository needs it."""
    assert read(*serve_args).is_all is is_all


def test_a_folder_is_no_repository():
    """Nothing is fetched for a model on this machine."""
    assert named("relative") == []
    assert named("org/name", "--tokenizer", "relative") == [
        ("org/name", "main", Role.MODEL)
    ]


def test_options_are_read_as_they_stand():
    """Names have one spelling, the last of equal ones counts, values may be several."""
    assert read_options(
        ("org/name", "--a_b", "1", "--c=-1", "--d", "x", "y", "--a-b", "2", "-q")
    ) == {"--a-b": ["2"], "--c": ["-1"], "--d": ["x", "y"], "-q": []}


def test_a_negative_number_is_a_value():
    """It begins with a minus like an option, and is none."""
    assert read_options(("--seed", "-1")) == {"--seed": ["-1"]}


def test_a_config_that_names_its_verifier():
    """A file of speculators is served with the model that it was made for."""
    need = Need("org/speculator", revision="v1")
    config = {"speculators_config": {"verifier": {"name_or_path": "org/verifier"}}}

    assert needs_of_config(need, config) == (Need("org/verifier"),)
    assert needs_of_config(need, {"speculators_config": {}}) == ()
    assert needs_of_config(need, {"speculators_config": 1}) == ()


def test_a_config_that_names_code_elsewhere():
    """Code of another repository is needed only where code is trusted."""
    config = {"auto_map": {"A": "org/code--m.A", "B": "m.B", "C": ["x"]}}
    trusted = Need("org/name", is_code_trusted=True)

    assert needs_of_config(trusted, config) == (
        Need("org/code", role=Role.CODE, is_code_trusted=True),
    )
    assert needs_of_config(Need("org/name"), config) == ()
    assert needs_of_config(trusted, {"auto_map": "x"}) == ()
