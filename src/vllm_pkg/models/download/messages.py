"""What the program that transfers is told, and what it tells: lines of JSON. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from vllm_pkg.models.download.listing import Listing, RemoteFile, parse_file
from vllm_pkg.models.download.retry import Cause, Failure


@dataclass(frozen=True)
class Request:
    """
    What to do; it goes to the program's standard input, because of the token.

    Args:
        cache: The cache's folder.
        repo_id: The repository.
        revision: What to list, or the commit to fetch from.
        is_listing: Whether to list; then ``names`` of what is listed are fetched too.
        names: Files to fetch after listing, where there are such.
        files: Files to fetch.
        token: Hugging Face token; None: none.
        parallel: How many files at a time.
        timeout_s: After how long without a byte a connection is given up; None: never.
        parent_pid: Who asks; the program ends with it.
    """

    cache: str
    repo_id: str
    revision: str
    is_listing: bool
    names: tuple[str, ...]
    files: tuple[RemoteFile, ...]
    token: str | None
    parallel: int
    timeout_s: float | None
    parent_pid: int

    def as_line(self) -> bytes:
        """Return the line."""
        document = vars(self) | {"files": [file.as_json() for file in self.files]}
        return json.dumps(document).encode() + b"\n"


def parse_request(line: bytes) -> Request:
    """Understand what `Request.as_line` wrote."""
    document = json.loads(line)
    document["files"] = tuple(parse_file(entry) for entry in document["files"])
    document["names"] = tuple(document["names"])
    return Request(**document)


@dataclass(frozen=True)
class Told:
    """
    What one line of the program says.

    Args:
        listing: What the Hub listed.
        failure: Something that went wrong.
        checked_bytes: How much of an earlier try's content was read since the last such
            line.
        is_end: Whether all was tried.
    """

    listing: Listing | None = None
    failure: Failure | None = None
    checked_bytes: int = 0
    is_end: bool = False

    def as_line(self) -> str:
        """Return the line, without its end."""
        document: dict[str, Any] = {
            "checked_bytes": self.checked_bytes,
            "is_end": self.is_end,
        }
        if self.listing:
            document["listing"] = self.listing.as_json()
        if self.failure:
            document["failure"] = vars(self.failure) | {
                "cause": str(self.failure.cause)
            }
        return json.dumps(document)


def parse_told(line: bytes) -> Told:
    """
    Understand a line.

    Raises:
        ValueError: it is none of `Told.as_line`, or the Hub listed something that must
            not become a path.
        KeyError: something is missing in it.
    """
    document = json.loads(line)
    listing, failure = document.get("listing"), document.get("failure")
    if listing:
        files = tuple(parse_file(entry) for entry in listing["files"])
        listing = Listing(listing["repo_id"], listing["commit"], files)
    if failure:
        failure = Failure(**(failure | {"cause": Cause(failure["cause"])}))
    return Told(listing, failure, document["checked_bytes"], document["is_end"])
