"""What both hosts of the test Hub have in common, and how the other one sends files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from support import hub_faults, hub_xet
from support.hub_sending import Sending, send_content

if TYPE_CHECKING:
    from support.hub_faults import Fault
    from support.hub_repository import HubFile
    from support.hub_server import HubServer


@dataclass(frozen=True)
class Request:
    """One request as it arrived, and how it was answered."""

    method: str
    path: str
    range: str | None
    token: str | None
    status: int


@dataclass(frozen=True)
class Account:
    """Who a token belongs to, and which gated or private repositories it may read."""

    name: str
    may_read: frozenset[str]


class Handler(BaseHTTPRequestHandler):
    """What both hosts have in common."""

    hub: ClassVar[HubServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Say nothing: the requests are kept in a list."""

    @property
    def token(self) -> str | None:
        """The token that came with the request."""
        given = self.headers.get("Authorization") or ""
        return given.removeprefix("Bearer ") or None

    def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Send a small answer."""
        self.note(status)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, document: Any, headers: dict[str, str] | None = None) -> None:
        """Send a document."""
        body = json.dumps(document).encode()
        self.answer(200, body, {"Content-Type": "application/json"} | (headers or {}))

    def refuse(self, status: int, code: str, message: str) -> None:
        """Send an error as the Hub does."""
        body = json.dumps({"error": message}).encode()
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        self.answer(status, body, headers | ({"X-Error-Code": code} if code else {}))

    def note(self, status: int) -> None:
        """Remember this request."""
        self.hub.note(
            Request(
                self.command, self.path, self.headers.get("Range"), self.token, status
            )
        )

    def send_file(
        self, repo_id: str, file: HubFile, headers: dict[str, str], fault: Fault | None
    ) -> None:
        """Send a file's content, or a range of it, with what goes wrong."""
        if fault and fault.trouble is hub_faults.Trouble.TOGETHER:
            self.hub.meet(file.name)
        if fault and fault.trouble is hub_faults.Trouble.BEHIND:
            self.hub.wait_sent(repo_id, fault.other)
        sending = Sending(
            file=file,
            asked=self.headers.get("Range"),
            headers=headers,
            fault=fault,
            is_head=self.command == "HEAD",
            ended=self.hub.ended,
        )
        send_content(
            self, sending, lambda size: self.hub.count_sent(repo_id, file.name, size)
        )


class ContentHandler(Handler):
    """The host that large files are redirected to, and Xet storage."""

    def do_GET(self) -> None:
        """Send a large file, or what Xet makes one of."""
        address = urlsplit(self.path)
        if address.path.startswith("/xet/"):
            self._xet(address.path.split("/")[2:])
            return
        query = parse_qs(address.query)
        repo_id, name = query["repo"][0], query["name"][0]
        repository = self.hub.repositories[repo_id]
        file = repository.files(query["commit"][0])[name]
        fault = self.hub.take_fault(repo_id, name)
        if fault and fault.trouble is hub_faults.Trouble.STATUS:
            self.answer(fault.status, b"no", dict(fault.headers))
            return
        self.send_file(repo_id, file, {"ETag": f'"{file.etag}"'}, fault)

    def _xet(self, parts: list[str]) -> None:
        found = self._find_content(parts[-1])
        if found is None or parts[0] == "v2":
            self.answer(404)
            return
        repo_id, file = found
        if parts[0] == "v1":
            url = f"{self.hub.content_url}/xet/object/{file.etag}"
            asked = self.headers.get("Range")
            document = hub_xet.reconstruction(file, asked, url)
            self.answer(416 if document is None else 200, document or b"")
            return
        fault = self.hub.take_fault(repo_id, hub_faults.XET)
        if fault and fault.trouble is hub_faults.Trouble.STALL:
            self.hub.ended.wait(60)
            return
        if fault:
            self.answer(fault.status)
            return
        data = hub_xet.serialize(file.path.read_bytes())
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        first, last = (int(match[1]), int(match[2])) if match else (0, len(data) - 1)
        piece = data[first : last + 1]
        self.hub.count_sent(repo_id, hub_faults.XET, len(piece))
        span = f"bytes {first}-{last}/{len(data)}"
        self.answer(206 if match else 200, piece, {"Content-Range": span})

    def _find_content(self, etag: str) -> tuple[str, HubFile] | None:
        for repo_id, repository in self.hub.repositories.items():
            for revision in repository.folders if repository.has_xet else ():
                for file in repository.files(revision).values():
                    if file.etag == etag:
                        return repo_id, file
        return None

    do_HEAD = do_GET  # noqa: N815  # the name http.server asks for
