"""What the program that transfers is given."""

from __future__ import annotations

import pytest

from vllm_pkg.models.download.transfer import child_environ


@pytest.mark.parametrize(
    "name",
    [
        "VLLM_API_KEY",
        "VLLM_PKG_GUARD_KEY",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "my_password",
        "HF_HUB_OFFLINE",
    ],
)
def test_no_secret_is_handed_on(name):
    """Neither our key nor another's, nor what would forbid the network."""
    assert name not in child_environ({name: "1"}, has_xet=True)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HTTPS_PROXY",
        "HF_ENDPOINT",
        "HF_TOKEN_PATH",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        "MONKEYS",
    ],
)
def test_what_a_transfer_needs_is_handed_on(name):
    """What says where and how to fetch stays as it is."""
    assert child_environ({name: "1"}, has_xet=False)[name] == "1"


@pytest.mark.parametrize("has_xet", [True, False])
def test_xet_is_switched_off_before_the_start(has_xet):
    """Afterwards it could not be."""
    assert ("HF_HUB_DISABLE_XET" in child_environ({}, has_xet)) is not has_xet
