"""
Asking the Hub what is in a repository.

Through huggingface_hub's session, but not its functions: those sleep for as long as the
Hub asks to wait, which looks like a transfer that hangs, and nobody learns why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vllm_pkg.models.download.listing import Listing, parse_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.models.download.messages import Request


def list_repository(request: Request) -> Listing:
    """
    Ask the Hub for the files of a revision.

    Raises:
        Exception: whatever went wrong; `describe_failure` knows them.
    """
    from huggingface_hub import constants  # noqa: PLC0415  # after the environment
    from huggingface_hub.utils import validate_repo_id  # noqa: PLC0415

    validate_repo_id(request.repo_id)
    base = f"{constants.ENDPOINT}/api/models/{request.repo_id}"
    revision = quote(request.revision, safe="")
    commit = str(_get(f"{base}/revision/{revision}", request).json()["sha"])
    tree = f"{base}/tree/{commit}?recursive=true&expand=false"
    files = [
        parse_file(
            {
                "name": entry["path"],
                "size_bytes": (entry.get("lfs") or entry)["size"],
                # A large file's hash stands beside that of the pointer to it.
                "etag": (entry.get("lfs") or entry)["oid"],
                "xet_hash": entry.get("xetHash"),
            }
        )
        for entry in _entries(tree, request)
        if entry["type"] == "file"
    ]
    return Listing(request.repo_id, commit, tuple(files))


def _entries(url: str, request: Request) -> Iterator[dict[str, Any]]:
    """Yield the entries of all pages."""
    following: str | None = url
    while following:
        answer = _get(following, request)
        yield from answer.json()
        following = answer.links.get("next", {}).get("url")


def _get(url: str, request: Request) -> Any:
    from huggingface_hub import get_session  # noqa: PLC0415
    from huggingface_hub.utils import (  # noqa: PLC0415
        build_hf_headers,
        hf_raise_for_status,
    )

    answer = get_session().get(
        url,
        headers=build_hf_headers(token=request.token),
        timeout=request.timeout_s,
        follow_redirects=True,
    )
    hf_raise_for_status(answer)
    return answer
