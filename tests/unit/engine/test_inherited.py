"""What of the host's environment the engine does not get."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.tools import require
from vllm_pkg.engine.inherited import is_kept_from_engine
from vllm_pkg.engine.reserved import RESERVED_ENVIRONMENT

# vLLM reads these two for a kind of storage; they have to be given to the model.
OF_STORAGE = {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize(
    "name",
    [
        *("VLLM_SERVER_DEV_MODE", "VLLM_API_KEY", "VLLM_PLUGINS"),
        *("SAGEMAKER_MODEL_PATH", "SAGEMAKER_X", "CUSTOM_SCRIPT_FILENAME"),
        *("CUSTOM_PRE_PROCESS", "CUSTOM_FASTAPI_MIDDLEWARE_THROTTLE"),
    ],
)
def test_what_would_defeat_the_guard_is_kept_back(name):
    """A host's environment cannot open what a stored one cannot."""
    assert is_kept_from_engine(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "OPENAI_API_KEY",
            "DB_PASSWORD",
        ),
        *("GITHUB_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "SSH_AUTH_SOCK", "secret"),
        *("WANDB_API_KEY", "npm_config_auth_token", "PGPASSFILE_PASSPHRASE", "APIKEY"),
    ],
)
def test_secrets_of_other_programs_are_kept_back(name):
    """By the words of their names, in upper and lower case."""
    assert is_kept_from_engine(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LD_LIBRARY_PATH", "PWD"),
        *("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTPS_PROXY"),
        *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION"),
        *("TOKENIZERS_PARALLELISM", "OMP_NUM_THREADS", "SSL_CERT_FILE", "MONKEY"),
        *("VLLM_LOGGING_LEVEL", "VLLM_PKG_MAIN", "NCCL_DEBUG", "XDG_RUNTIME_DIR"),
    ],
)
def test_what_an_engine_needs_passes(name):
    """Paths, drivers, proxies and tuning are the host's to set."""
    assert not is_kept_from_engine(name)


@pytest.mark.engine
def test_no_variable_of_vllm_looks_like_another_programs_secret():
    """Of all that the installed vLLM reads, only reserved ones are kept back."""
    spec = find_spec("vllm")
    require(spec, "vLLM is missing")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).with_name("envs.py").read_text()
    names = set(re.findall(r'^    "([A-Z][A-Z0-9_]+)": ', text, re.MULTILINE))
    kept = {name for name in names if is_kept_from_engine(name)}

    assert len(names) > 200
    assert kept - RESERVED_ENVIRONMENT.keys() == OF_STORAGE
