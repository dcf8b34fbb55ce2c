"""How the test Hub answers requests: its API, its files, and the other host's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from support import hub_faults, hub_xet
from support.hub_sending import Sending, send_content

if TYPE_CHECKING:
    from support.hub_faults import Fault
    from support.hub_repository import HubFile, HubRepository
    from support.hub_server import HubServer

ACCESS_DENIED = (
    "Access to model {0} is restricted and you are not in the authorized list."
)
LOG_IN = (
    "Access to model {0} is restricted. You must have access to it and be logged in."
)


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


class HubHandler(Handler):
    """The Hub itself."""

    def do_GET(self) -> None:
        """Answer a question, or a request for a file."""
        self._route(unquote(urlsplit(self.path).path).strip("/").split("/"))

    do_HEAD = do_GET  # noqa: N815  # the name http.server asks for

    def do_POST(self) -> None:
        """Describe the files that are named."""
        length = int(self.headers.get("Content-Length") or 0)
        wanted = json.loads(self.rfile.read(length) or b"{}").get("paths", [])
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        repository = self._find("/".join(parts[2:4]))
        if repository is None:
            return
        files = self._files(repository, "/".join(parts[5:]) or "main")
        if files is not None:
            found = [files[name] for name in wanted if name in files]
            self.answer_json(
                [file.as_tree_entry(has_xet=repository.has_xet) for file in found]
            )

    def _route(self, parts: list[str]) -> None:
        if parts[:2] == ["api", "whoami-v2"]:
            self._who_am_i()
        elif parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        elif parts[:3] == ["api", "resolve-cache", "models"]:
            self._resolve(
                "/".join(parts[3:5]), parts[5], "/".join(parts[6:]), is_direct=True
            )
        elif len(parts) > 4 and parts[2] == "resolve":
            # A branch such as refs/pr/1 arrives quoted, so it is one part here too.
            quoted = urlsplit(self.path).path.strip("/").split("/")
            name = unquote("/".join(quoted[4:]))
            self._resolve(
                "/".join(parts[:2]), unquote(quoted[3]), name, is_direct=False
            )
        else:
            self.refuse(404, "", "Not found")

    def _who_am_i(self) -> None:
        account = self.hub.accounts.get(self.token or "")
        if account is None:
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return
        self.answer_json(
            {
                "type": "user",
                "id": account.name,
                "name": account.name,
                "auth": {"type": "access_token", "accessToken": {"role": "read"}},
            }
        )

    def _api(self, repo_id: str, rest: list[str]) -> None:
        repository = self._find(repo_id)
        if repository is None:
            return
        kind = rest[0] if rest else "revision"
        revision = "/".join(rest[1:]) or "main"
        if kind == "auth-check":
            if self._may_read(repository):
                self.answer_json({})
        elif kind == "revision":
            self._model_info(repository, revision)
        elif kind == "tree":
            self._tree(repository, revision)
        elif kind == "xet-read-token":
            self._xet_token(repository)
        else:
            self.refuse(404, "", "Not found")

    def _find(self, repo_id: str) -> HubRepository | None:
        """Return a repository that this caller may know of; else refuse."""
        fault = self.hub.take_fault(repo_id, hub_faults.API)
        if fault and fault.trouble is hub_faults.Trouble.STALL:
            self.hub.ended.wait(30)
            return None
        if fault:
            self.answer(fault.status, b"{}", dict(fault.headers))
            return None
        account = self.hub.accounts.get(self.token or "")
        if self.token and account is None:
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return None
        repository = self.hub.repositories.get(repo_id)
        may_know = repository is not None and (
            not repository.is_private
            or (account is not None and repo_id in account.may_read)
        )
        if may_know:
            return repository
        if account is None:
            # The Hub does not tell strangers what exists.
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
        else:
            self.refuse(404, "RepoNotFound", "Repository not found")
        return None

    def _may_read(self, repository: HubRepository) -> bool:
        """Whether this caller may read the files; else refuse."""
        account = self.hub.accounts.get(self.token or "")
        if not repository.is_gated:
            return True
        if account is None:
            self.refuse(401, "GatedRepo", LOG_IN.format(repository.repo_id))
        elif repository.repo_id not in account.may_read:
            self.refuse(403, "GatedRepo", ACCESS_DENIED.format(repository.repo_id))
        else:
            return True
        return False

    def _files(
        self, repository: HubRepository, revision: str
    ) -> dict[str, HubFile] | None:
        if repository.commit(revision) is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository.files(revision)

    def _model_info(self, repository: HubRepository, revision: str) -> None:
        files = self._files(repository, revision)
        if files is None:
            return
        counts = repository.parameters(revision)
        query = parse_qs(urlsplit(self.path).query)
        document: dict[str, object] = {
            "_id": "0" * 24,
            "id": repository.repo_id,
            "modelId": repository.repo_id,
            "sha": repository.commit(revision),
            "private": repository.is_private,
            "gated": "auto" if repository.is_gated else False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "lastModified": "2026-01-01T00:00:00.000Z",
            "siblings": [
                file.as_sibling() if "blobs" in query else {"rfilename": file.name}
                for file in files.values()
            ],
        }
        if counts:
            document["safetensors"] = {
                "parameters": counts,
                "total": sum(counts.values()),
            }
        self.answer_json(document)

    def _tree(self, repository: HubRepository, revision: str) -> None:
        files = self._files(repository, revision)
        if files is None:
            return
        address = urlsplit(self.path)
        start = int(parse_qs(address.query).get("cursor", ["0"])[0])
        end = start + self.hub.page_size
        entries = [
            file.as_tree_entry(has_xet=repository.has_xet) for file in files.values()
        ]
        headers = {"X-Repo-Commit": repository.commit(revision) or ""}
        if end < len(entries):
            following = f"{self.hub.url}{address.path}?recursive=true&cursor={end}"
            headers["Link"] = f'<{following}>; rel="next"'
        self.answer_json(entries[start:end], headers)

    def _xet_token(self, repository: HubRepository) -> None:
        if self._may_read(repository):
            endpoint = f"{self.hub.content_url}/xet"
            self.answer_json(
                {"casUrl": endpoint, "accessToken": "x", "exp": 4_000_000_000},
                {
                    "X-Xet-Cas-Url": endpoint,
                    "X-Xet-Access-Token": "x",
                    "X-Xet-Token-Expiration": "4000000000",
                },
            )

    def _resolve(
        self, repo_id: str, revision: str, name: str, *, is_direct: bool
    ) -> None:
        repository = self._find(repo_id)
        if repository is None or not self._may_read(repository):
            return
        files = self._files(repository, revision)
        if files is None:
            return
        commit = repository.commit(revision) or ""
        file = files.get(name)
        if file is None:
            self.refuse_entry(commit)
        elif file.sha256:
            self._redirect_large(repository, file, commit)
        elif is_direct:
            self._send_plain(repo_id, file, commit)
        else:
            target = f"/api/resolve-cache/models/{repo_id}/{commit}/{name}"
            headers = {"Location": target, "X-Repo-Commit": commit}
            self.answer(307, b"", headers | _linked(file))

    def refuse_entry(self, commit: str) -> None:
        """Say that there is no such file in the commit."""
        body = b'{"error": "Entry not found"}'
        headers = {
            "X-Error-Code": "EntryNotFound",
            "X-Error-Message": "Entry not found",
        }
        self.answer(404, body, headers | {"X-Repo-Commit": commit})

    def _send_plain(self, repo_id: str, file: HubFile, commit: str) -> None:
        fault = self.hub.take_fault(repo_id, file.name)
        if fault and fault.trouble is hub_faults.Trouble.STATUS:
            self.answer(fault.status, b"no", dict(fault.headers))
            return
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit}
        self.send_file(repo_id, file, headers, fault)

    def _redirect_large(
        self, repository: HubRepository, file: HubFile, commit: str
    ) -> None:
        query = f"repo={repository.repo_id}&commit={commit}&name={file.name}"
        headers = {
            "Location": f"{self.hub.content_url}/content?{query}",
            "X-Repo-Commit": commit,
            "ETag": f'"{file.etag}"',
        }
        if repository.has_xet:
            address = f"{self.hub.url}/api/models/{repository.repo_id}"
            headers["X-Xet-Hash"] = file.etag
            headers["X-Xet-Refresh-Route"] = f"{address}/xet-read-token/{commit}"
        self.answer(302, b"", headers | _linked(file))


def _linked(file: HubFile) -> dict[str, str]:
    return {
        "X-Linked-Size": str(file.size_bytes),
        "X-Linked-Etag": f'"{file.etag}"',
    }
