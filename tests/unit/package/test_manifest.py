"""The manifest: what is refused, and what others read from it."""

from __future__ import annotations

import pytest

from vllm_pkg.errors import PackageDataInvalid, UnknownAction
from vllm_pkg.package.loading import data_file, parse_data
from vllm_pkg.package.manifest import Manifest, load_manifest

STATUSES = "'only-running', 'only-stopped' or 'any'"
ACTIONS = (
    "get-api-credentials, set-model, apply-fix, delete-model-cache,"
    " hugging-face-token, rotate-api-key, add-api-key, list-api-keys, revoke-api-key"
)
LONG = "x" * 161


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "allowedStatuses: any",
            "allowedStatuses: always",
            f"actions.0.allowedStatuses: expected {STATUSES}, got 'always'",
        ),
        (
            "visibility: enabled",
            "visibility: shown",
            "actions.0.visibility: expected 'enabled' or 'hidden', got 'shown'",
        ),
        ("mount: /data", "mount: data", "volumes.0.mount: expected text like ^/, got"),
        ("port: 8000", "port: 80000", "interfaces.0.port: expected less than or equal"),
        ("masked: false", "mask: false", "interfaces.0.masked: is missing"),
        ("revision: 0", "revision: -1", "revision: expected greater than or equal"),
        ("severity: critical", "severity: high", "tasks.0.severity: expected"),
        ("windowSeconds: 2100", "windowSeconds: 0", "healthChecks.0.windowSeconds:"),
        ("license: MIT", "licence: MIT", "licence: is not a known key"),
        (
            "volumes: [main, public]",
            "volumes: [main, other]",
            "backups.volumes: expected one of main, public, got 'other'",
        ),
        (
            "actionId: set-model",
            "actionId: set-modal",
            f"tasks: expected one of {ACTIONS}, got 'set-modal'",
        ),
        (
            "requiredBy: [primary]",
            "requiredBy: [api]",
            (
                "oneshots.ldconfig.requiredBy: expected one of primary, download,"
                " got 'api'"
            ),
        ),
        (
            "id: delete-model-cache",
            "id: set-model",
            "actions: the id 'set-model' stands twice",
        ),
        (
            "short: Private,",
            f"short: {LONG} Private,",
            "description: short (en_US) has ",
        ),
        ("id: vllm", "id: vLLM", "id: expected text like ^[a-z]"),
        ('vllm: "0.', 'vllm: "v0.', "engine.vllm: expected text like"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_key(old, new, message):
    """Each broken manifest is refused, with the file and the key."""
    text = data_file("manifest.yaml").read_text()
    assert old in text
    with pytest.raises(PackageDataInvalid) as caught:
        parse_data(Manifest, "manifest.yaml", text.replace(old, new, 1))
    assert f"manifest.yaml: {message}" in caught.value.message


def test_action_finds_one_by_its_id():
    """`action` gives the entry with that id, and its English texts."""
    entry = load_manifest().action("set-model")
    assert entry.name == "Set Model"
    assert entry.description == "Select which AI model vLLM serves"
    assert entry.warning == (
        "Changing the model will restart the service and may require downloading a "
        "new model."
    )
    assert load_manifest().action("get-api-credentials").warning is None


def test_versions_follow_from_the_pinned_engine():
    """The version of the package is made of the engine's and the revision."""
    text = data_file("manifest.yaml").read_text()
    version = load_manifest().engine_version
    text = text.replace(version, "9.8.7").replace("revision: 0", "revision: 3")
    manifest = parse_data(Manifest, "manifest.yaml", text)
    assert manifest.engine_version == "9.8.7"
    assert manifest.version == "9.8.7:3"
    assert manifest.tasks[0].reason == "Select which AI model vLLM should serve"


def test_action_refuses_an_unknown_id():
    """An id that no action has is an error that names it."""
    with pytest.raises(UnknownAction, match="there is no action 'set-modal'"):
        load_manifest().action("set-modal")


def test_texts_may_have_more_locales():
    """A text may be given by locale, and the English one is the one that is used."""
    text = data_file("manifest.yaml").read_text()
    text = text.replace(
        "name: Set Model", "name: {en_US: Set Model, de_DE: Modell wählen}"
    )
    entry = parse_data(Manifest, "manifest.yaml", text).action("set-model")
    assert entry.name == "Set Model"
    assert entry.names["de_DE"] == "Modell wählen"


def test_the_manifest_is_read_once():
    """The manifest is cached: the second call gives the same object."""
    assert load_manifest() is load_manifest()
