"""Reserved environment variables, and the tables of what is reserved."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import (
    RESERVED_ENVIRONMENT,
    RESERVED_OPTIONS,
    json_pairs,
    reserved_environment_problem,
)


@pytest.mark.parametrize(
    "name",
    [
        *("HF_HUB_CACHE", "PYTHONUNBUFFERED", "HF_HUB_VERBOSITY", "VLLM_API_KEY"),
        *("VLLM_CACHE_ROOT", "PYTHONPATH", "LD_PRELOAD", "VLLM_SERVER_DEV_MODE"),
        *("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_PLUGINS", "VLLM_USE_RUST_FRONTEND"),
        *("VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_RUST_FRONTEND_PATH"),
        *("VLLM_MODEL_REDIRECT_PATH", "VLLM_LOGGING_CONFIG_PATH"),
        *("VLLM_USE_MODELSCOPE", "CUSTOM_FASTAPI_PING_HANDLER"),
        *("CUSTOM_FASTAPI_INVOCATION_HANDLER", "SAGEMAKER_MODEL_PATH", "HF_ENDPOINT"),
        *("VLLM_PKG_ENGINE", "VLLM_PKG_MAIN", "PATH", "PYTHONWARNINGS", "LD_AUDIT"),
        *("LD_LIBRARY_PATH", "CUSTOM_FASTAPI_X", "SAGEMAKER_X", "HOME", "SPT_NOENV"),
        *("VLLM_KEEP_ALIVE_ON_ENGINE_DEATH", "VLLM_NCCL_SO_PATH", "CC"),
        *("CUSTOM_SCRIPT_FILENAME", "CUSTOM_PRE_PROCESS", "CUSTOM_POST_PROCESS"),
    ],
)
def test_reserved_variables_are_refused_by_name(name):
    """Variables that the package owns, or that are as strong as arguments."""
    problem = reserved_environment_problem(name)
    assert problem is not None
    assert problem.startswith(f"{name} is reserved: ")


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "_x", "VLLM_CPU_KVCACHE_SPACE", "a1", "VLLM_LOGGING_LEVEL"),
        *("VLLM_ENGINE_READY_TIMEOUT_S", "CUDA_VISIBLE_DEVICES", "HTTPS_PROXY"),
    ],
)
def test_other_variables_are_allowed(name):
    """Any other variable with a proper name may be set."""
    assert reserved_environment_problem(name) is None
    assert name not in RESERVED_ENVIRONMENT


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "É", "A\n"])
def test_improper_variable_names_are_refused(name):
    """A name that no shell could set is refused."""
    assert reserved_environment_problem(name) == (
        "expected letters, digits and _, not beginning with a digit"
    )


def test_reserved_options_go_by_their_first_names():
    """The table of reserved options uses the first name of each, so aliases count."""
    options = load_options()
    known = {name for name in RESERVED_OPTIONS if name in options}
    assert {options[name].name for name in known} == known
    # vLLM looks for it before it parses anything.
    assert set(RESERVED_OPTIONS) - known == {"--omni"}


def test_every_reserved_option_is_documented():
    """The guide names each reserved option."""
    guide = (Path(__file__).parents[3] / "docs" / "guide.md").read_text()
    assert [name for name in RESERVED_OPTIONS if f"`{name}`" not in guide] == []
    assert "`--not-there`" not in guide


def test_json_is_read_as_vllm_reads_it():
    """Sizes such as 80g are numbers, text is left alone, repeated keys are seen."""
    value, pairs = json_pairs('{"a": 80g, "b": ["1k", {"c": 2.5M}], "a": 1}')
    assert value == {"a": 1, "b": ["1k", {"c": 0}]}
    assert [key for key, _ in pairs] == ["c", "a", "b", "a"]
    with pytest.raises(ValueError, match="Extra data"):
        json_pairs("80gg")
