"""Asking the Hub about a model: its config and the headers of its weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.download.errors import HubUnreachable
from vllm_pkg.models.download.explain import error_for
from vllm_pkg.models.download.listing import parse_index
from vllm_pkg.models.download.needs import MAIN, Need
from vllm_pkg.models.download.selection import choose_weights, index_file
from vllm_pkg.models.download.worker_errors import describe_failure
from vllm_pkg.models.sizing.checkpoint import Checkpoint, Origin
from vllm_pkg.models.sizing.local_source import CONFIG, SAFETENSORS, parse_config
from vllm_pkg.models.sizing.tensors import Tensor
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S: Final = 15.0
NETWORK: Final = "check this machine's network, proxy and DNS"
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class HubAccess:
    """
    How the Hub is asked.

    Args:
        endpoint: Its address; None: the one that huggingface_hub takes.
        token: A Hugging Face token; None: the one that huggingface_hub finds.
        is_offline: Whether it must not be asked.
    """

    endpoint: str | None = None
    token: str | None = None
    is_offline: bool = False


def ask_hub(repo_id: str, revision: str | None, access: HubAccess) -> Checkpoint:
    """
    Ask the Hub for a model's config and what its weights are.

    Some hundred kilobytes are transferred, and nothing is written to the cache.

    Args:
        repo_id: Such as ``org/name``.
        revision: A branch, tag or commit.
        access: How the Hub is asked.
    Raises:
        NotKnown: the Hub did not answer, or has no such model.
    """
    if access.is_offline:
        raise NotKnown(
            f"{repo_id} is not in the cache, and HF_HUB_OFFLINE forbids to ask the Hub",
            hint="unset HF_HUB_OFFLINE, or pull the model on a machine with a network",
        )
    reader = _Reader(repo_id, revision, access)
    try:
        return reader.read()
    except NotKnown:
        raise
    except Exception as error:  # of whichever library asks below
        failure = describe_failure(error)
        told = error_for(failure, repo_id, revision or MAIN)
        is_silent = isinstance(told, HubUnreachable)
        raise NotKnown(
            told.message, hint=NETWORK if is_silent else told.hint
        ) from error


class _Reader:
    """One look at one repository."""

    def __init__(self, repo_id: str, revision: str | None, access: HubAccess) -> None:
        from huggingface_hub import HfApi  # noqa: PLC0415  # slow to import

        self.repo_id = repo_id
        self.revision = revision
        self.access = access
        self.api = HfApi(endpoint=access.endpoint, token=access.token)

    def read(self) -> Checkpoint:
        """Read it."""
        sizes = self._sizes()
        if CONFIG not in sizes:
            raise NotKnown(f"{self.repo_id} has no {CONFIG}, so it is no model as such")
        config = parse_config(self._content(CONFIG))
        need = Need(self.repo_id)
        index = index_file(sizes, need)
        indexed = None if index is None else parse_index(self._content(index))
        weights = choose_weights(sizes, need, indexed)
        if not weights or any(name not in sizes for name in indexed or ()):
            raise NotKnown(f"{self.repo_id} has no weights, or not all of them")
        stored = sum(sizes[name] for name in weights)
        return Checkpoint(Origin.HUB, config, stored, self._tensors(weights))

    def _sizes(self) -> dict[str, int]:
        """Return the size of every file, by name."""
        info = self.api.model_info(
            self.repo_id,
            revision=self.revision,
            files_metadata=True,
            timeout=TIMEOUT_S,
        )
        # What follows belongs to the same commit, whatever is pushed meanwhile.
        self.revision = info.sha or self.revision
        return {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def _content(self, name: str) -> bytes:
        from huggingface_hub import hf_hub_url  # noqa: PLC0415
        from huggingface_hub.utils import (  # noqa: PLC0415
            build_hf_headers,
            get_session,
            hf_raise_for_status,
        )

        url = hf_hub_url(
            self.repo_id, name, revision=self.revision, endpoint=self.access.endpoint
        )
        headers = build_hf_headers(token=self.access.token)
        response = get_session().get(url, headers=headers, timeout=TIMEOUT_S)
        hf_raise_for_status(response)
        content: bytes = response.content
        return content

    def _tensors(self, weights: Sequence[str]) -> tuple[Tensor, ...] | None:
        if not all(name.endswith(SAFETENSORS) for name in weights):
            return None
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(self._header, weights)
            return tuple(tensor for tensors in found for tensor in tensors)

    def _header(self, name: str) -> list[Tensor]:
        metadata: Any = self.api.parse_safetensors_file_metadata(
            self.repo_id, name, revision=self.revision
        )
        return [
            Tensor(
                title,
                str(info.dtype),
                tuple(info.shape),
                info.data_offsets[1] - info.data_offsets[0],
            )
            for title, info in metadata.tensors.items()
        ]
