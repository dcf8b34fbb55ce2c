"""Reading numbers and names out of a ``config.json``, never guessing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Facts:
    """
    The part of a config that describes the language model.

    Args:
        values: The JSON object.
        defaults: What transformers takes for keys that the family's configs leave out.
    """

    values: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """Return a value, its default, or None."""
        value = self.values.get(name)
        return self.defaults.get(name) if value is None else value

    def optional(self, *names: str) -> int | None:
        """
        Return the first of these numbers that is there, or None.

        Raises:
            NotKnown: it is no whole number.
        """
        for name in names:
            value = self.get(name)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise NotKnown(f"config.json has {value!r} at {name}")
            return value
        return None

    def number(self, *names: str) -> int:
        """
        Return the first of these numbers that is there.

        Raises:
            NotKnown: none is, or it is no whole number above 0.
        """
        value = self.optional(*names)
        if not value:
            raise NotKnown(f"config.json says nothing about {names[0]}")
        return value

    def names(self, name: str) -> tuple[str, ...] | None:
        """
        Return a list of names, or None when it is left out.

        Raises:
            NotKnown: it is no list of names.
        """
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise NotKnown(f"config.json has no list of names at {name}")
        return tuple(value)

    @property
    def kv_heads(self) -> int:
        """Key-value heads; without a word of it, as many as query heads."""
        return self.number(
            "num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_heads"
        )

    @property
    def head_dim(self) -> int:
        """Numbers per head."""
        given = self.optional("head_dim")
        if given:
            return given
        return self.number("hidden_size") // self.number("num_attention_heads")
