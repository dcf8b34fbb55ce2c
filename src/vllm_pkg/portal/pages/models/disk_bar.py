"""The disk as a bar of parts, with the same in numbers below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel.lists import format_list
from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.pages.models.disk_use import PartKind
from vllm_pkg.portal.wording import percent, size

if TYPE_CHECKING:
    from vllm_pkg.portal.pages.models.disk_use import Part
    from vllm_pkg.portal.texts.catalogue import Texts


def draw_disk(texts: Texts, parts: tuple[Part, ...]) -> None:
    """Draw the parts of the disk."""
    models = (PartKind.MODEL, PartKind.MORE_MODELS)
    whole = sum(part.size_bytes for part in parts)
    free = sum(part.size_bytes for part in parts if part.kind is PartKind.FREE)
    held = sum(part.size_bytes for part in parts if part.kind in models)
    Text(
        "p",
        texts(
            "models.disk.sentence",
            used=size(texts, whole - free),
            total=size(texts, whole),
            models=size(texts, held),
        ),
    ).classes("vp-lead")
    _draw_bar(texts, parts)
    _draw_table(texts, parts)


def _draw_bar(texts: Texts, parts: tuple[Part, ...]) -> None:
    told = [
        texts("models.disk.part", name=_name(texts, part), size=_size(texts, part))
        for part in parts
    ]
    bar = ui.element("div").classes("vp-disk").props("role=img")
    listed = format_list(told, locale=texts.locale)
    bar.props["aria-label"] = texts("models.disk.picture", parts=listed)
    with bar:
        for number, part in enumerate(parts):
            piece = ui.element("div").classes(_colour(number, part))
            piece.style(f"flex-grow: {part.percent:.4f}")


def _draw_table(texts: Texts, parts: tuple[Part, ...]) -> None:
    with ui.element("table").classes("vp-table"):
        Text("caption", texts("models.disk.table")).classes("vp-visually-hidden")
        with ui.element("thead"), ui.element("tr"):
            for column in ("name", "size", "share"):
                Text("th", texts(f"models.disk.column_{column}")).props("scope=col")
        with ui.element("tbody"):
            for number, part in enumerate(parts):
                _draw_line(texts, number, part)


def _draw_line(texts: Texts, number: int, part: Part) -> None:
    with ui.element("tr"):
        with ui.element("th").props("scope=row"):
            swatch = ui.element("span").classes(f"vp-swatch {_colour(number, part)}")
            swatch.props("aria-hidden=true")
            Text("span", _name(texts, part))
        Text("td", _size(texts, part))
        Text("td", _share(texts, part))


def _name(texts: Texts, part: Part) -> str:
    if part.kind is PartKind.MODEL:
        return part.name
    if part.kind is PartKind.MORE_MODELS:
        return texts("models.disk.more_models", count=part.models)
    key = "other_files" if part.kind is PartKind.OTHER else "free"
    return texts(f"models.disk.{key}")


def _size(texts: Texts, part: Part) -> str:
    return size(texts, part.size_bytes)


def _share(texts: Texts, part: Part) -> str:
    # What is there is never told as nothing.
    if part.percent < 1:
        return texts("models.disk.under", share=percent(texts, 1))
    return percent(texts, part.percent)


def _colour(number: int, part: Part) -> str:
    if part.kind is PartKind.MODEL:
        return f"vp-part vp-part-{number}"
    return f"vp-part vp-part-{part.kind}"
