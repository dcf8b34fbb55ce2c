"""Actions in the reader's language: every word of every form, and nothing else."""

from __future__ import annotations

import json

import pytest

from support.model_cache import ONE, TWO, add_revision, weights_of
from support.settings_factory import make_settings
from vllm_pkg.actions import forms
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.actions.registry import ACTIONS, action_input, list_actions
from vllm_pkg.models.presets import load_presets
from vllm_pkg.portal.forms.translated import (
    translate_metadata,
    translate_result,
    translate_spec,
)
from vllm_pkg.portal.said import say
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts
from vllm_pkg.state.keys import add_key, now_utc
from vllm_pkg.state.secrets import Role

ES = load_texts("es")
OTHERS = [language for language in LANGUAGES if language != "en"]
SHOWN = ("name", "description", "warning", "footnote", "units", "disabled")
CARD = {"name": "Card", "compute_capability": "8.6", "memory_gib": 12.0}
GPU = {"gpus": [{"vendor": "nvidia", "index": 0, **CARD}], "system_memory_gib": 64.0}


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A machine with a card, two revisions in the cache, and a key."""
    recording = tmp_path / "hardware.json"
    recording.write_text(json.dumps(GPU))
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(recording))
    repository = settings.models_dir / "models--org--name"
    for commit, size_bytes in ((ONE, 3000), (TWO, 5000)):
        add_revision(repository, commit, {"model.safetensors": weights_of(size_bytes)})
    add_key(settings, "laptop", Role.USER, None, now_utc())
    return ActionContext(settings=settings, is_running=False)


def words(node):
    """Yield what is shown of a form: labels, help, reasons and options."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in SHOWN and isinstance(value, str):
                yield value
            elif key == "values":
                yield from value.values()
            else:
                yield from words(value)
    elif isinstance(node, list):
        for item in node:
            yield from words(item)


@pytest.mark.parametrize("language", OTHERS)
def test_every_word_of_every_form_is_known(context, language):
    """Names of presets stay; every other word of what opens now is translated."""
    texts = load_texts(language)
    names = {preset.name for preset in load_presets()}
    told = {
        word
        for action in ACTIONS
        for word in words(action_input(context, action.id).spec)
    }

    assert len(told) > 40
    left = {word for word in told if any(part.is_foreign for part in say(texts, word))}
    assert left <= names


@pytest.mark.parametrize("language", OTHERS)
def test_every_action_is_called_and_described(context, language):
    """Name, description and warning of each are translated."""
    texts = load_texts(language)

    for metadata in list_actions(context):
        translated = translate_metadata(texts, metadata)
        for part in ("name", "description", "warning"):
            assert (translated[part] == metadata[part]) is (metadata[part] is None)
        rest = {"id", "visibility", "allowedStatuses", "group", "hasInput"}
        assert {key: translated[key] for key in rest} == {
            key: metadata[key] for key in rest
        }


def test_keys_values_and_rules_stay():
    """What is filled in means the same: only what is shown changes, at any depth."""
    rule = forms.Pattern(regex="^x$", description="a token without spaces")
    inner = forms.text("Name", required=True, placeholder="never", patterns=[rule])
    spec = {
        "a": forms.select("Role", {"Key": "Key"}, default="Key", footnote="days"),
        "b": forms.union(
            "Model", {"c": forms.variant("Custom", {"d": inner})}, default="c"
        ),
        "e": forms.list_of("Key", forms.object_items({"f": inner}, display_as="{{f}}")),
        "g": forms.object_of("Role", {"h": forms.toggle("Key", default=None)}),
        "i": forms.list_of("Key", forms.text_items(placeholder="never")),
        "j": forms.number("Ends after", required=True, integer=True, units="days"),
        "k": forms.toggle("Key", default=False, disabled="in use"),
    }
    text = json.dumps(translate_spec(ES, spec), ensure_ascii=False)
    translated = json.loads(text)

    assert translated["a"]["values"] == {"Key": "Clave"}
    assert translated["a"]["default"] == "Key"
    assert translated["a"]["footnote"] == "días"
    variant = translated["b"]["variants"]["c"]
    assert variant["name"] == "Personalizado"
    assert variant["spec"]["d"]["name"] == "Nombre"
    assert variant["spec"]["d"]["placeholder"] == "nunca"
    assert variant["spec"]["d"]["patterns"] == [rule]
    assert translated["e"]["spec"]["spec"]["f"]["name"] == "Nombre"
    assert translated["e"]["spec"]["displayAs"] == "{{f}}"
    assert translated["g"]["spec"]["h"]["name"] == "Clave"
    assert translated["i"]["spec"]["placeholder"] == "nunca"
    assert translated["j"]["units"] == "días"
    assert translated["k"]["disabled"] == "en uso"


def test_why_an_action_is_off_is_said_too(context):
    """A reason in StartOS's shape is words, and only that."""
    metadata = list_actions(context)[0] | {"visibility": {"disabled": "in use"}}

    assert translate_metadata(ES, metadata)["visibility"] == {"disabled": "en uso"}


def test_an_answer_is_translated_but_for_its_data():
    """Words that can be copied or are secret are data, whatever they say."""
    single = {"type": "single", "copyable": False, "qr": False, "masked": False}
    members = [
        single | {"name": "State", "description": None, "value": "active"},
        single | {"name": "Role", "description": "Key", "value": "user"},
        single | {"name": "Key", "description": None, "value": "Key", "copyable": True},
        single | {"name": "Key", "description": None, "value": "Key", "masked": True},
    ]
    group = {"type": "group", "name": "laptop", "description": None, "value": members}
    result = {
        "version": "1",
        "title": "API Keys",
        "message": None,
        "result": {"type": "group", "value": [group]},
    }

    translated = translate_result(ES, result)

    assert translated["title"] == "Claves de API"
    assert translated["message"] is None
    [shown] = translated["result"]["value"]
    assert shown["name"] == "laptop"
    told = [
        (item["name"], item["description"], item["value"]) for item in shown["value"]
    ]
    assert told == [
        ("Estado", None, "activa"),
        ("Rol", "Clave", "usuario"),
        ("Clave", None, "Key"),
        ("Clave", None, "Key"),
    ]


def test_an_answer_without_content_is_a_message():
    """There is nothing below it."""
    result = {
        "version": "1",
        "title": "Model Deleted",
        "message": "No model is selected any more.",
        "result": None,
    }

    assert translate_result(ES, result) == {
        "version": "1",
        "title": "Modelo borrado",
        "message": "Ya no hay ningún modelo seleccionado.",
        "result": None,
    }
