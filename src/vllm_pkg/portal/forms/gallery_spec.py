"""
The form of the gallery: every type of field with every option it has.

Pure. Tests go over it, so that no type is drawn that is not tried.
"""

from __future__ import annotations

from typing import Any, Final

from vllm_pkg.actions import forms

_WORD: Final = forms.Pattern(regex="^[a-z]+$", description="small letters")
_COLOURS: Final = {"red": "Red", "green": "Green", "blue": "Blue - sold out"}
_MANY: Final = {f"k{number}": f"Choice {number}" for number in range(1, 31)} | {
    "k31": "Choice 31 - needs 9.0 GiB more memory"
}
_DEEP: Final = forms.union(
    "Inner kind",
    {
        "plain": forms.variant("Plain", {}),
        "named": forms.variant(
            "Named", {"label": forms.text("Inner label", required=True)}
        ),
    },
    default="plain",
)

GALLERY_SPEC: Final[forms.InputSpec] = {
    "text": forms.text(
        "Text",
        required=True,
        description="A word of two to eight small letters",
        footnote="Shown to everybody",
        placeholder="word",
        minLength=2,
        maxLength=8,
        patterns=[_WORD],
    ),
    "optionalText": forms.text("Note", required=False, inputmode="email"),
    "secret": forms.text(
        "Secret",
        required=True,
        masked=True,
        description="Make one with the dice, or type your own",
        generate={"charset": "a-z,A-Z,0-9", "len": 22},
    ),
    "fresh": forms.text(
        "Fresh", required=True, default={"charset": "A-F,0-9", "len": 12}
    ),
    "textarea": forms.textarea(
        "Several lines",
        required=False,
        placeholder="One thing per line",
        maxLength=200,
        minRows=2,
        maxRows=5,
    ),
    "number": forms.number(
        "Share",
        required=True,
        integer=False,
        min=0,
        max=1,
        step=0.05,
        units="of memory",
        placeholder="0.9",
        description="How much of the memory is used",
    ),
    "integer": forms.number(
        "Days", required=False, integer=True, min=1, max=3650, units="days"
    ),
    "toggle": forms.toggle("Switch", default=False, description="On or off"),
    "triState": forms.tri_state("Three positions", default=None),
    "select": forms.select("Colour name", _COLOURS, default=None, disabled=["blue"]),
    "longSelect": forms.select("Many choices", _MANY, default="k1", disabled=["k31"]),
    "multiselect": forms.multiselect(
        "Several colours", _COLOURS, minLength=1, maxLength=2, disabled=["blue"]
    ),
    "texts": forms.list_of(
        "Words",
        forms.text_items(patterns=[_WORD], placeholder="word"),
        minLength=1,
        maxLength=3,
        default=["one"],
    ),
    "objects": forms.list_of(
        "Variables",
        forms.object_items(
            {
                "name": forms.text("Name", required=True),
                "value": forms.text("Value", required=False, masked=True),
            },
            unique_by="name",
            display_as="{{name}}",
        ),
        description="For the engine",
    ),
    "object": forms.object_of(
        "Place",
        {
            "city": forms.text("City", required=True),
            "inner": forms.object_of(
                "Details", {"open": forms.toggle("Open to all", default=True)}
            ),
        },
        description="Two levels of fields",
    ),
    "union": forms.union(
        "Kind",
        {
            "none": forms.variant("None", {}),
            "some": forms.variant(
                "Some",
                {
                    "count": forms.number("Count", required=True, integer=True),
                    "deep": _DEEP,
                },
            ),
            "big": forms.variant("Big - needs 3.1 GiB more memory", {}),
        },
        default="none",
        disabled=["big"],
    ),
    "color": forms.color("Colour", required=True, default="#1a5fb4"),
    "date": forms.datetime(
        "Day", required=True, inputmode="date", min="2026-01-01", max="2026-12-31"
    ),
    "time": forms.datetime("Time of day", required=False, inputmode="time"),
    "datetime": forms.datetime("Day and time", required=False),
    "file": forms.file("Certificate", required=False, extensions=[".pem", ".crt"]),
    "hidden": forms.hidden(),
    "warned": forms.toggle(
        "With a warning", default=False, warning="Clients are refused meanwhile."
    ),
    "warnedText": forms.text(
        "Name with a warning",
        required=True,
        default="first",
        warning="The old name is forgotten.",
    ),
    "locked": forms.text("Fixed", required=True, immutable=True),
    "lockable": forms.text("Fixed once saved", required=False, immutable=True),
    "disabled": forms.text(
        "Not now",
        required=False,
        disabled="The service is being switched to another model.",
    ),
}
GALLERY_SAVED: Final[dict[str, Any]] = {"locked": "chosen before", "hidden": {"a": 1}}
