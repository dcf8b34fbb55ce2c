"""The manifest and the variants against the mission, value by value."""

from __future__ import annotations

from pathlib import Path

import pytest

import vllm_pkg
from vllm_pkg.health import checker
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.package.variants import BuiltImage, RegistryImage, load_variants
from vllm_pkg.settings_table import Variant

ROOT = Path(__file__).parents[2]


def test_identity_and_volumes():
    """Id, volumes, mount points, backups and dependencies are the mission's."""
    manifest = load_manifest()
    assert manifest.id == "vllm"
    assert manifest.title == "vLLM"
    assert [(item.id, item.mount) for item in manifest.volumes] == [
        ("main", "/data"),
        ("public", None),
    ]
    assert [file.path for item in manifest.volumes for file in item.holds] == [
        "models/",
        "store.json",
        "credentials.json",
    ]
    assert manifest.backups.volumes == ("main", "public")
    assert manifest.dependencies == {}


def test_interface():
    """The one interface is what dependents of the published package look for."""
    (interface,) = load_manifest().interfaces
    assert interface.id == "api"
    assert interface.name == {"en_US": "vLLM API Server"}
    assert interface.description == {"en_US": "OpenAI-compatible API for LLM inference"}
    assert interface.type == "api"
    assert interface.port == 8000
    assert interface.protocol == "http"
    assert interface.host_id == "api-multi"
    assert interface.path == ""
    assert interface.masked is False


def test_actions_and_tasks():
    """Ids, names, statuses and the task are the published package's."""
    manifest = load_manifest()
    assert [(item.id, item.name) for item in manifest.actions] == [
        ("get-api-credentials", "Get API Key"),
        ("set-model", "Set Model"),
        ("apply-fix", "Apply Fix"),
        ("delete-model-cache", "Delete Model Cache"),
        ("hugging-face-token", "Hugging Face Token"),
        ("rotate-api-key", "Rotate API Key"),
        ("add-api-key", "Add API Key"),
        ("list-api-keys", "List API Keys"),
        ("revoke-api-key", "Revoke API Key"),
    ]
    assert {item.allowed_statuses for item in manifest.actions} == {"any"}
    assert {item.visibility for item in manifest.actions} == {"enabled"}
    groups = [item.group for item in manifest.actions]
    assert groups == [None, None, None, None, None, "Keys", "Keys", "Keys", "Keys"]
    warning = manifest.action("delete-model-cache").warning
    assert warning is not None
    assert "deleted permanently" in warning
    (task,) = manifest.tasks
    assert task.action_id == "set-model"
    assert task.severity == "critical"
    assert task.reason == "Select which AI model vLLM should serve"
    assert task.condition == "no-model-selected"


def test_health_messages_are_the_missions():
    """The health check has the mission's texts, and its window of 35 minutes."""
    check = load_manifest().health_checks[0]
    assert check.id == "primary"
    assert check.messages.success is not None
    assert check.messages.no_model is not None
    assert check.messages.failure is not None
    assert check.messages.loading is not None
    assert check.name == {"en_US": "vLLM API"}
    assert check.window_seconds == 2100
    assert check.messages.success["en_US"] == "The vLLM API is ready"
    assert (
        check.messages.no_model["en_US"]
        == 'No model selected. Run the "Set Model" action.'
    )
    assert check.messages.failure["en_US"] == (
        "The vLLM API did not come up within 35 minutes. "
        "Check the service logs for errors."
    )
    loading = check.messages.loading["en_US"]
    for words in ("first-time download and load", "30+ minutes", "15+ minutes"):
        assert words in loading


def test_the_health_code_says_what_the_manifest_says():
    """The code that answers without reading YAML has the same texts and window."""
    primary, download = load_manifest().health_checks
    assert primary.id == checker.CHECK_ID
    assert primary.name["en_US"] == checker.CHECK_NAME
    assert primary.window_seconds == checker.LOADING_WINDOW_S
    assert primary.messages.success == {"en_US": checker.READY}
    assert primary.messages.no_model == {"en_US": checker.NO_MODEL}
    assert primary.messages.loading == {"en_US": checker.LOADING}
    assert primary.messages.failure == {"en_US": checker.TIMED_OUT}
    assert download.id == checker.DOWNLOAD_ID
    assert download.name["en_US"] == checker.DOWNLOAD_NAME
    assert download.window_seconds is None
    assert download.messages.disabled == {"en_US": checker.NO_DOWNLOAD}


def test_oneshot():
    """The linker cache is refreshed before the API starts."""
    (oneshot,) = load_manifest().oneshots
    assert oneshot.id == "ldconfig"
    assert oneshot.command == ("ldconfig",)
    assert oneshot.required_by == ("primary",)


VARIANTS = {
    "nvidia": ("vllm/vllm-openai", ("x86_64", "aarch64"), True, ["nvidia"], True),
    "rocm": ("vllm/vllm-openai-rocm", ("x86_64",), False, ["amdgpu"], True),
    "cpu": ("docker/Dockerfile.cpu", ("x86_64", "aarch64"), False, [], False),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant):
    """Each variant has the image, architectures and hardware of the mission."""
    spec = load_variants()[Variant(variant)]
    image = spec.image
    name = image.dockerfile if isinstance(image, BuiltImage) else image.name
    devices = spec.hardware_requirements.device
    assert {item.device_class for item in devices} <= {"display"}
    assert (
        name,
        spec.arches,
        spec.nvidia_container,
        [item.driver for item in devices],
        spec.hardware_acceleration,
    ) == VARIANTS[variant]


def test_every_image_is_of_the_pinned_version():
    """Tags are made of the pinned version, and no digest is silently absent."""
    tag = f"v{load_manifest().engine_version}"
    for spec in load_variants().values():
        if isinstance(spec.image, RegistryImage):
            assert spec.image.tag == tag
            assert spec.image.digest or spec.image.digest_missing_because
        else:
            assert spec.image.ref == tag


def test_the_package_reads_the_files_of_the_repository():
    """The data inside the package is the repository's own, not a copy of it."""
    data = Path(vllm_pkg.__file__).parent / "_data"
    assert (data / "manifest.yaml").resolve() == ROOT / "manifest.yaml"
    assert (data / "variants").resolve() == ROOT / "variants"
