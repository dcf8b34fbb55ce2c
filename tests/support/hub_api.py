"""How the test Hub itself answers: what there is, who may read it, and small files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from support import hub_faults
from support.hub_handlers import Handler

if TYPE_CHECKING:
    from support.hub_repository import HubFile, HubRepository

ACCESS_DENIED = (
    "Access to model {0} is restricted and you are not in the authorized list."
)
LOG_IN = (
    "Access to model {0} is restricted. You must have access to it and be logged in."
)


class HubHandler(Handler):
    """The Hub itself."""

    def do_GET(self) -> None:  # noqa: N802  # the name http.server asks for
        """Answer a question, or a request for a file."""
        self._route(unquote(urlsplit(self.path).path).strip("/").split("/"))

    do_HEAD = do_GET  # noqa: N815  # the name http.server asks for

    def do_POST(self) -> None:  # noqa: N802  # the name http.server asks for
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
