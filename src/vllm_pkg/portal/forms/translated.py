"""
Actions in the reader's language: their metadata, their forms and their results. Pure.

Keys and values stay as they are, so what is filled in means the same in any language.
The rules that patterns describe stay English, since the check speaks of them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.said import say_plainly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vllm_pkg.actions.forms import Field, InputSpec
    from vllm_pkg.portal.texts.catalogue import Texts

    Say = Callable[[str], str]

_SHOWN: Final = (
    *("name", "description", "warning", "footnote"),
    *("placeholder", "units", "disabled"),
)


def translate_metadata(texts: Texts, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what an action is called, and what it warns of, in a language.

    Args:
        texts: The language.
        metadata: As `vllm_pkg.actions.registry.list_actions` gives it.
    """
    say = partial(say_plainly, texts)
    translated = _translate_shown(say, metadata)
    if isinstance(metadata["visibility"], dict):
        translated["visibility"] = _translate_shown(say, metadata["visibility"])
    return translated


def translate_spec(texts: Texts, spec: InputSpec) -> InputSpec:
    """Return a form with its labels, help and reasons in a language."""
    return _translate_spec(partial(say_plainly, texts), spec)


def translate_result(texts: Texts, result: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what an action answered in a language.

    Args:
        texts: The language.
        result: As `vllm_pkg.actions.protocol.ActionResult.as_json` gives it.
    """
    say = partial(say_plainly, texts)
    message, content = result["message"], result["result"]
    return {
        **result,
        "title": say(result["title"]),
        "message": message and say(message),
        "result": content and _translate_content(say, content),
    }


def _translate_content(say: Say, content: Mapping[str, Any]) -> dict[str, Any]:
    translated = _translate_shown(say, content)
    if content["type"] == "group":
        members = [_translate_content(say, member) for member in content["value"]]
        return translated | {"value": members}
    # What can be copied or is secret is data.
    is_data = content["copyable"] or content["masked"]
    return translated if is_data else translated | {"value": say(content["value"])}


def _translate_spec(say: Say, spec: InputSpec) -> InputSpec:
    return {key: _translate_field(say, field) for key, field in spec.items()}


def _translate_field(say: Say, field: Field) -> Field:
    translated = _translate_shown(say, field)
    if "values" in field:
        labels = {key: say(label) for key, label in field["values"].items()}
        translated["values"] = labels
    if "variants" in field:
        variants = field["variants"].items()
        translated["variants"] = {
            key: {"name": say(one["name"]), "spec": _translate_spec(say, one["spec"])}
            for key, one in variants
        }
    if field.get("type") == "list":
        translated["spec"] = _translate_field(say, field["spec"])
    elif "spec" in field:
        translated["spec"] = _translate_spec(say, field["spec"])
    return translated


def _translate_shown(say: Say, shown: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: say(value) if key in _SHOWN and isinstance(value, str) else value
        for key, value in shown.items()
    }
