"""Fields for a file: it is uploaded at once, and kept while the page is open."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from blake3 import blake3
from nicegui import ui

from vllm_pkg.portal.components.buttons import button
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.field import Drawn, field_frame
from vllm_pkg.portal.forms.hints import FILE_BYTES_MAX, FILE_MIB_MAX
from vllm_pkg.portal.forms.native import focus_on, icon_button, set_attributes
from vllm_pkg.portal.wording import size

if TYPE_CHECKING:
    from nicegui.events import UploadEventArguments

    from vllm_pkg.portal.forms.form import FormView
    from vllm_pkg.portal.forms.model import Leaf, Node


def draw_file(form: FormView, node: Node) -> Drawn:
    """Draw a file: a button that chooses it, and what was chosen."""
    return _FileView(form, cast("Leaf", node)).drawn


class _FileView:
    """A file as it is drawn."""

    def __init__(self, form: FormView, leaf: Leaf) -> None:
        self._form, self._leaf = form, leaf
        self._folder: Path | None = None
        with field_frame(leaf, form.texts, is_group=True) as self.drawn:
            self._chosen = ui.element("div").classes("form-file")
            self._upload = self._draw_upload()
            self._button = button("", icon="upload_file")
        self._button.on(
            "click",
            js_handler=(
                f"(event) => getElement({self._upload.id}).$refs.qRef.pickFiles(event)"
            ),
        )
        set_attributes(self._button, aria_describedby=self.drawn.described_by)
        self.drawn.controls.append(self._button)
        self.drawn.restore = self._show
        ui.context.client.on_delete(self._discard)
        self._show()

    def _draw_upload(self) -> ui.upload:
        upload = ui.upload(
            auto_upload=True,
            max_file_size=FILE_BYTES_MAX,
            on_upload=self._take,
            on_rejected=self._reject,
        )
        endings = ",".join(self._leaf.field["extensions"]) or None
        set_attributes(upload.classes("hidden"), accept=endings)
        return upload

    def _show(self) -> None:
        self._chosen.clear()
        value, texts = self._leaf.value, self._form.texts
        key = "forms.file.choose" if value is None else "forms.file.replace"
        self._button.set_text(texts(key, name=self._leaf.name))
        if value is None:
            return
        name = Path(value["path"]).name
        with self._chosen:
            ui.icon("description").props("aria-hidden=true")
            amount = size(texts, value["commitment"]["size"])
            Text("span", texts("forms.file.chosen", name=name, size=amount))
            icon_button("close", texts("forms.file.remove", name=name), self._remove)

    async def _take(self, event: UploadEventArguments) -> None:
        content = await event.file.read()
        self._discard()
        value = await asyncio.to_thread(_keep, event.file.name, content)
        self._leaf.value, self._folder = value, Path(value["path"]).parent
        self._upload.reset()
        await self._changed()

    async def _remove(self) -> None:
        self._discard()
        self._leaf.value = None
        await self._changed()
        focus_on(self._button.html_id)

    async def _changed(self) -> None:
        self._show()
        self._form.changed(self._leaf)
        await self._form.settle(self._leaf)

    def _reject(self) -> None:
        text = self._form.texts("forms.problem.file", size=FILE_MIB_MAX)
        self._form.refuse(self._leaf, text)

    def _discard(self) -> None:
        """Remove what was uploaded here; what was handed in is not ours."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _keep(name: str, content: bytes) -> dict[str, Any]:
    """Write a file to a folder of its own, and return the value that stands for it."""
    folder = Path(tempfile.mkdtemp(prefix="vllm-pkg-upload-"))
    path = folder / (Path(name).name or "file")
    path.write_bytes(content)
    digest = base64.b64encode(blake3(content).digest()).decode()
    return {"path": str(path), "commitment": {"hash": digest, "size": len(content)}}
