"""The JSON shapes of actions against StartOS's: from its SDK, or written out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import forms, registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import InvalidArgument

DATA: Final = Path(__file__).parent.parent / "data"
HARDWARE: Final = sorted((DATA / "hardware").glob("*.json"))
RENEW: Final = "VLLM_PKG_RENEW"
SLUGS: Final = {
    *("rtx-3090", "rtx-4090", "rtx-5090", "rtx-3090-x2", "a100-80gb", "h100", "h200"),
    *("h100-x8", "b200", "gb10", "mi300x", "rx-7900-xtx", "mi210", "ryzen-igpu"),
    *("gtx-1080", "container-no-gpu", "nvml-failing", "cpu-24gib"),
}

RULE = forms.Pattern(regex="^a$", description="an a")
RANDOM: Final = {"charset": "a-z", "len": 8}
VALUES: Final = {"a": "A", "b": "B"}
INNER: Final = {
    "name": forms.text("Name", required=True),
    "value": forms.text("Value", required=False),
}
VARIANTS: Final = {"a": forms.variant("A", {}), "b": forms.variant("B", INNER)}
BUILT: Final[dict[str, forms.Field]] = {
    "text": forms.text("T", required=True),
    "text-full": forms.text(
        "T",
        description="D",
        warning="W",
        footnote="F",
        required=False,
        default=RANDOM,
        masked=True,
        placeholder="P",
        minLength=1,
        maxLength=9,
        patterns=[RULE],
        inputmode="url",
        generate=RANDOM,
        immutable=True,
    ),
    "textarea": forms.textarea("T", required=True),
    "textarea-full": forms.textarea(
        "T",
        description="D",
        warning="W",
        footnote="F",
        required=False,
        default="x",
        placeholder="P",
        minLength=1,
        maxLength=9,
        minRows=4,
        maxRows=12,
        patterns=[RULE],
        immutable=True,
    ),
    "number": forms.number("T", required=True, integer=True),
    "number-full": forms.number(
        "T",
        description="D",
        warning="W",
        footnote="F",
        required=False,
        default=2,
        integer=False,
        min=1,
        max=9.5,
        step=0.5,
        units="GiB",
        placeholder="P",
        immutable=True,
    ),
    "color": forms.color("T", required=False, default="#00ff00"),
    "datetime": forms.datetime("T", required=False),
    "datetime-full": forms.datetime(
        "T",
        required=True,
        default="2026-01-02",
        inputmode="date",
        min="2026-01-01",
        max="2026-12-31",
    ),
    "toggle": forms.toggle("T", default=True),
    "triState": forms.tri_state("T", default=None),
    "select": forms.select("T", VALUES, default="a"),
    "select-full": forms.select(
        "T", VALUES, default=None, disabled=["b"], footnote="F"
    ),
    "multiselect": forms.multiselect("T", VALUES),
    "multiselect-full": forms.multiselect(
        "T", VALUES, default=["a"], disabled=["b"], minLength=1, maxLength=2
    ),
    "list-text": forms.list_of("T", forms.text_items()),
    "list-text-full": forms.list_of(
        "T",
        forms.text_items(
            patterns=[RULE],
            masked=True,
            inputmode="url",
            placeholder="P",
            minLength=1,
            maxLength=2,
        ),
        description="D",
        default=["x"],
        minLength=1,
        maxLength=3,
    ),
    "list-object": forms.list_of("T", forms.object_items(INNER)),
    "list-object-full": forms.list_of(
        "T",
        forms.object_items(
            INNER,
            unique_by={"any": ["name", {"all": ["name", "value"]}]},
            display_as="{{name}}",
        ),
    ),
    "object": forms.object_of("T", INNER),
    "union": forms.union("T", VARIANTS, default="a"),
    "union-full": forms.union(
        "T", VARIANTS, default="a", description="D", disabled=["b"]
    ),
    "file": forms.file("T", required=True, extensions=[".pem"]),
    "hidden": forms.hidden(),
}


def recorded_fields() -> dict[str, Any]:
    """Return the fields that the real builders made."""
    document = (DATA / "forms" / "sdk" / "builders.json").read_text()
    fields: dict[str, Any] = json.loads(document)
    return fields


@pytest.mark.parametrize("name", sorted(BUILT))
def test_a_field_is_what_the_sdk_builds(name):
    """Each builder returns exactly the field that start-sdk 2.0.9 builds."""
    assert BUILT[name] == recorded_fields()[name]


def test_every_recorded_field_is_compared():
    """No recorded field is left out, and a changed one would be noticed."""
    recorded = recorded_fields()
    assert set(recorded) == set(BUILT)
    assert BUILT["text"] != {**recorded["text"], "masked": True}


def test_the_metadata_are_startos_shape():
    """The list of actions has exactly StartOS's fields, and the mission's ids."""
    context = ActionContext(settings=make_settings(Path("/nowhere")), is_running=True)
    assert registry.list_actions(context) == [
        {
            "id": "get-api-credentials",
            "name": "Get API Key",
            "description": "Show the API key that clients of the vLLM API need",
            "warning": None,
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": None,
            "hasInput": False,
        },
        {
            "id": "set-model",
            "name": "Set Model",
            "description": "Select which AI model vLLM serves",
            "warning": (
                "Changing the model will restart the service and may require "
                "downloading a new model."
            ),
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": None,
            "hasInput": True,
        },
        {
            "id": "apply-fix",
            "name": "Apply Fix",
            "description": "Change the setting that made the last start fail",
            "warning": (
                "The arguments of the model are changed, and the service is restarted."
            ),
            "visibility": "hidden",
            "allowedStatuses": "any",
            "group": None,
            "hasInput": False,
        },
        {
            "id": "delete-model-cache",
            "name": "Delete Model Cache",
            "description": (
                "Delete the downloaded files of a model to free disk space"
            ),
            "warning": (
                "The files of the model are deleted permanently. Serving that model "
                "again means downloading it again."
            ),
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": None,
            "hasInput": True,
        },
        {
            "id": "hugging-face-token",
            "name": "Hugging Face Token",
            "description": (
                "Set the token for gated and private models, and test what it may read"
            ),
            "warning": None,
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": None,
            "hasInput": True,
        },
        {
            "id": "rotate-api-key",
            "name": "Rotate API Key",
            "description": "Make a new primary API key",
            "warning": (
                "Clients and dependent services that use the old key are refused as "
                "soon as it is no longer kept valid."
            ),
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": "Keys",
            "hasInput": True,
        },
        {
            "id": "add-api-key",
            "name": "Add API Key",
            "description": "Make a named key that can be revoked alone",
            "warning": None,
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": "Keys",
            "hasInput": True,
        },
        {
            "id": "list-api-keys",
            "name": "List API Keys",
            "description": "Show which keys there are and how they are used",
            "warning": None,
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": "Keys",
            "hasInput": False,
        },
        {
            "id": "revoke-api-key",
            "name": "Revoke API Key",
            "description": "Refuse a named key from now on",
            "warning": "Clients that use the key are refused at once.",
            "visibility": "enabled",
            "allowedStatuses": "any",
            "group": "Keys",
            "hasInput": True,
        },
    ]


def test_every_recorded_machine_is_there():
    """The forms are compared for all machines that are recorded."""
    assert {path.stem for path in HARDWARE} == SLUGS


@pytest.mark.parametrize("recording", HARDWARE, ids=lambda path: path.stem)
def test_the_set_model_form_of_a_machine(recording, tmp_path):
    """
    The Set Model form is the reviewed one for each recorded machine; after a wanted
    change renew them with ``VLLM_PKG_RENEW=1 pytest tests/contract`` and read the diff.
    """
    context = context_for(recording, tmp_path)
    form = registry.action_input(context, "set-model").as_json()
    text = json.dumps(form, indent=2, ensure_ascii=False) + "\n"
    snapshot = DATA / "forms" / recording.name
    if os.environ.get(RENEW):
        snapshot.write_text(text)
    assert text == snapshot.read_text()


@pytest.mark.parametrize("recording", HARDWARE, ids=lambda path: path.stem)
def test_the_default_can_be_chosen(recording, tmp_path):
    """On each machine the default is a variant that may be chosen, others may not."""
    context = context_for(recording, tmp_path)
    spec = registry.action_input(context, "set-model").spec
    field = spec["config"]
    assert field["default"] not in field["disabled"]
    if field["default"] != "custom":
        value = {"config": {"selection": field["default"], "value": {}}}
        assert validate_input(spec, value) == value
    for variant in field["disabled"]:
        refused = {"config": {"selection": variant, "value": {}}}
        with pytest.raises(InvalidArgument, match=r"cannot be chosen now: .* - "):
            validate_input(spec, refused)


def test_the_machine_decides_the_form(tmp_path):
    """Two machines give two forms, so a comparison cannot pass by chance."""
    small, large = (DATA / "forms" / f"{slug}.json" for slug in ("cpu-24gib", "h100"))
    assert json.loads(small.read_text())["spec"]["config"]["default"] == "qwen3-1.7b"
    assert small.read_text() != large.read_text()
    form = registry.action_input(
        context_for(DATA / "hardware" / "h100.json", tmp_path), "set-model"
    )
    assert form.as_json() == json.loads(large.read_text())
    assert form.as_json() != json.loads(small.read_text())


def context_for(recording: Path, folder: Path) -> ActionContext:
    """Return a stopped StartOS service on a recorded machine, its volumes empty."""
    variables = {"VLLM_PKG_PROFILE": "startos", "VLLM_PKG_HARDWARE": str(recording)}
    settings = make_settings(folder, **variables)
    return ActionContext(settings=settings, is_running=False)
