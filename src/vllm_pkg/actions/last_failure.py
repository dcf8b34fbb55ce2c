"""What a form says of the last start of what is selected, when it has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.start_failure import selection_of
from vllm_pkg.state.records import read_failure

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import Store


def describe_last_failure(settings: Settings, store: Store) -> str | None:
    """
    Return why what is selected did not start, and what to do; None when it did.

    Args:
        settings: Where the record is.
        store: What is selected.
    """
    failure = read_failure(settings)
    if failure is None or failure.selection is None:
        return None
    selected = selection_of(store)
    if selected is None or failure.selection != fingerprint(*selected):
        return None
    why = f"{failure.summary} {failure.fix or failure.hint}"
    return f"The last start of the present model failed: {why}"
