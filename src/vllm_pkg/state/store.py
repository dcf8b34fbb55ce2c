"""
store.json: which model is selected and what the engine is started with.

Shape: ``{"serveArgs": [str], "serveEnv": [{"name", "value"}], "modelSelection": {}}``.
Fields that this version does not know survive a rewrite.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.settings import Settings

# Where old versions kept the key; `vllm_pkg.state.credentials` takes it over.
API_KEY: Final = "apiKey"
SERVE_ARGS: Final = "serveArgs"
SERVE_ENV: Final = "serveEnv"
SELECTION: Final = "modelSelection"
CUSTOM: Final = "custom"


@dataclass(frozen=True)
class EnvironmentVariable:
    """One environment variable of the engine."""

    name: str
    value: str

    def as_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"name": self.name, "value": self.value}


@dataclass(frozen=True)
class ModelSelection:
    """
    What was chosen in the Set Model form, to prefill it the next time.

    Args:
        selection: Id of a preset, or ``custom``.
        custom_args: The argument string of Custom, as it was typed.
        custom_env: The environment variables of Custom.
    """

    selection: str
    custom_args: str | None = None
    custom_env: tuple[EnvironmentVariable, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, as published packages wrote it."""
        document: dict[str, Any] = {"selection": self.selection}
        if self.custom_args is not None:
            document["customArgs"] = self.custom_args
        if self.custom_env:
            document["customEnv"] = [item.as_json() for item in self.custom_env]
        return document


@dataclass(frozen=True)
class Store:
    """
    The content of store.json.

    Args:
        serve_args: Arguments after ``vllm serve``; empty means: no model selected.
        serve_env: Environment variables for the engine.
        selection: What the form is prefilled from; None when there is none, or when
            it cannot be understood.
        document: The whole document as read, with the fields not known here.
    """

    serve_args: tuple[str, ...] = ()
    serve_env: tuple[EnvironmentVariable, ...] = ()
    selection: ModelSelection | None = None
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def is_model_selected(self) -> bool:
        """Whether there is something to serve."""
        return bool(self.serve_args)

    def with_model(
        self,
        serve_args: tuple[str, ...],
        serve_env: tuple[EnvironmentVariable, ...],
        selection: ModelSelection,
    ) -> Store:
        """Return the store with another model selected."""
        return Store(serve_args, serve_env, selection, self.document)

    def without_model(self) -> Store:
        """Return the store with no model selected."""
        return Store(document=self.document)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, unknown fields included."""
        known = {SERVE_ARGS, SERVE_ENV, SELECTION}
        document = {k: v for k, v in self.document.items() if k not in known}
        if self.serve_args:
            document[SERVE_ARGS] = list(self.serve_args)
        if self.serve_env:
            document[SERVE_ENV] = [item.as_json() for item in self.serve_env]
        if self.selection is not None:
            document[SELECTION] = self.selection.as_json()
        return document


def parse_store(document: dict[str, Any]) -> Store:
    """
    Understand a store document.

    Raises:
        Malformed: ``serveArgs`` or ``serveEnv`` is not what an engine could be started
            with. A ``modelSelection`` that cannot be understood is no error: it only
            prefills a form.
    """
    return Store(
        serve_args=_strings(document.get(SERVE_ARGS)),
        serve_env=_variables(document.get(SERVE_ENV)),
        selection=_selection(document.get(SELECTION)),
        document=dict(document),
    )


def load_store(settings: Settings) -> Store:
    """
    Read store.json; no file means an empty store.

    Raises:
        StateCorrupt: it is damaged; it was set aside.
        StateUnreadable: it cannot be read.
    """
    return read_store(settings)[0]


def observe_store(settings: Settings) -> Store:
    """
    Read store.json for a look at the service; a damaged one is left where it is.

    A monitor looks every second: were the first look to set the file aside, all later
    ones would see a service without a model.

    Raises:
        StateCorrupt: it is damaged.
        StateUnreadable: it cannot be read.
    """
    document = documents.observe_object(settings.store_file)
    try:
        return Store() if document is None else parse_store(document)
    except documents.Malformed as error:
        raise documents.damaged(settings.store_file, str(error)) from error


def read_store(settings: Settings) -> tuple[Store, bytes | None]:
    """
    Read store.json together with its bytes, None when there is no file.

    Raises:
        StateCorrupt: it is damaged; it was set aside, unless the only key is in it.
        StateUnreadable: it cannot be read.
    """
    path = settings.store_file
    document = documents.read_document(path)
    if document is None:
        return Store(), None
    try:
        return parse_store(document.content), document.data
    except documents.Malformed as error:
        # Where that is not clear the file stays: its key may be the only one.
        has_key_file = os.path.lexists(settings.credentials_file)
        if API_KEY in document.content and not has_key_file:
            raise documents.damaged(path, str(error)) from error
        raise documents.set_aside(path, str(error), document.data) from error


def update_store(settings: Settings, change: Callable[[Store], Store]) -> Store:
    """
    Change store.json under the lock.

    Args:
        settings: Where the store is.
        change: Takes the present store, returns the new one.
    Returns:
        The new store, which is on disk.
    Raises:
        StateError: it cannot be read or written; what was there is still there.
        StateLocked: another program changed it at the same moment, past the lock.
    """
    with locks.locked(settings.lock_file):
        present, data = read_store(settings)
        store = change(present)
        write_store(settings, store.as_json(), based_on=data)
        return store


def write_store(
    settings: Settings, document: dict[str, Any], based_on: bytes | None
) -> None:
    """
    Write store.json; the caller holds the lock.

    Args:
        settings: Where the store is.
        document: The whole new document.
        based_on: The bytes that it was made from, as `read_store` returned them.
    Raises:
        StateLocked: the file has changed since.
        StateWriteFailed: it cannot be written.
    """
    data = documents.format_object(document)
    atomic.replace_file(settings.store_file, data, based_on, settings.lock_file)


def _strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        message = f"{SERVE_ARGS} is not a list of strings"
        raise documents.Malformed(message)
    _check_texts(SERVE_ARGS, value)
    return tuple(value)


def _check_texts(name: str, texts: list[str]) -> None:
    """Refuse what no program can be started with: NUL, and half a surrogate pair."""
    for text in texts:
        if "\0" in text or any("\ud800" <= item <= "\udfff" for item in text):
            message = f"{name} holds a character that no program can be given"
            raise documents.Malformed(message)


def _variables(value: Any) -> tuple[EnvironmentVariable, ...]:
    if value is None:
        return ()
    message = f"{SERVE_ENV} is not a list of objects with name and value"
    if not isinstance(value, list):
        raise documents.Malformed(message)
    variables = []
    for item in value:
        if not isinstance(item, dict):
            raise documents.Malformed(message)
        name, text = item.get("name"), item.get("value")
        if not isinstance(name, str) or not isinstance(text, str):
            raise documents.Malformed(message)
        _check_texts(SERVE_ENV, [name, text])
        variables.append(EnvironmentVariable(name, text))
    return tuple(variables)


def _selection(value: Any) -> ModelSelection | None:
    if not isinstance(value, dict) or not isinstance(value.get("selection"), str):
        return None
    args = value.get("customArgs")
    try:
        env = _variables(value.get("customEnv"))
    except documents.Malformed:
        env = ()
    return ModelSelection(
        selection=value["selection"],
        custom_args=args if isinstance(args, str) else None,
        custom_env=env,
    )
