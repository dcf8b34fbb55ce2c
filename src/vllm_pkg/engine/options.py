"""
The options of ``vllm serve`` in the pinned version, as data.

`options.json` is written by ``make options`` out of vLLM's own parser; a test compares
it with the installed vLLM. This module checks that file and gives it types.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import PackageDataInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS_FILE: Final = Path(__file__).with_name("options.json")


class Values(StrEnum):
    """How many values an option takes."""

    NONE = "none"
    ONE = "one"
    OPTIONAL = "optional"
    SEVERAL = "several"


class Kind(StrEnum):
    """What the value of an option is."""

    TEXT = "text"
    NUMBER = "number"
    JSON = "json"
    JSON_OR_TEXT = "json-or-text"


@dataclass(frozen=True)
class Option:
    """
    One option.

    Args:
        names: Every spelling, with ``-`` and never ``_``; the most telling one first.
        values: How many values it takes.
        kind: What a value is. Of the two kinds of JSON, single keys may be given in
            dotted names.
    """

    names: tuple[str, ...]
    values: Values
    kind: Kind

    @property
    def name(self) -> str:
        """The name to speak of it."""
        return self.names[0]

    @property
    def is_object(self) -> bool:
        """Whether it takes a JSON object."""
        return self.kind in {Kind.JSON, Kind.JSON_OR_TEXT}


@functools.cache
def load_options() -> Mapping[str, Option]:
    """
    Read the table, as a mapping from every spelling to its option.

    Raises:
        PackageDataInvalid: the file is not what it should be.
    """
    document = _read()
    try:
        options = [
            Option(tuple(row["names"]), Values(row["values"]), Kind(row["kind"]))
            for row in document["options"]
        ]
        return {name: option for option in options for name in option.names}
    except (KeyError, TypeError, ValueError) as error:
        raise PackageDataInvalid(f"{OPTIONS_FILE.name}: wrong: {error}") from error


def options_version() -> str:
    """
    Return the version of vLLM that the table belongs to.

    Raises:
        PackageDataInvalid: the file is not what it should be.
    """
    return str(_read().get("vllm"))


def _read() -> dict[str, Any]:
    try:
        document = json.loads(OPTIONS_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageDataInvalid(f"cannot read {OPTIONS_FILE.name}: {error}") from error
    if not isinstance(document, dict):
        raise PackageDataInvalid(f"{OPTIONS_FILE.name} is not a JSON object")
    return document
