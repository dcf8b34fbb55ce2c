"""
A server on loopback that speaks the Hub's protocol for the real huggingface_hub.

It serves folders as repositories: model information, tree listings, files with
redirects, ETags, commit hashes and ranges, gated and private repositories, tokens; it
counts what it sends, and does wrong what a test tells it to. Large files come from a
second port, as on the Hub they come from another host. Point a program at it with
``HF_ENDPOINT``.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from support.hub_api import HubHandler
from support.hub_handlers import Account, ContentHandler, Request
from support.hub_repository import HubRepository

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.hub_faults import Fault
    from support.hub_handlers import Handler

HELD_MAX_S: Final = 3.0


class HubServer:
    """
    The server; a context manager.

    ``requests`` lists what was asked for, ``sent_bytes`` counts the bytes of content
    that went out, by repository and file; ``page_size`` is how many files a listing has
    per page; ``at_once`` is how many files were held together, at most.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, HubRepository] = {}
        self.accounts: dict[str, Account] = {}
        self.requests: list[Request] = []
        self.sent_bytes: Counter[tuple[str, str]] = Counter()
        self.page_size = 1000
        self.at_once = 0
        self.ended = threading.Event()
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._held: set[str] = set()
        self._lock = threading.Condition()
        self._servers = [self._listen(HubHandler), self._listen(ContentHandler)]
        self._threads = [
            # Polled often, so that closing takes no half second.
            threading.Thread(target=server.serve_forever, args=(0.02,))
            for server in self._servers
        ]

    @property
    def url(self) -> str:
        """What ``HF_ENDPOINT`` has to be."""
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def content_url(self) -> str:
        """Where large files come from."""
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, whatever is being answered."""
        self.ended.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def add(
        self,
        repo_id: str,
        folder: Path,
        *,
        is_gated: bool = False,
        is_private: bool = False,
        has_xet: bool = False,
        **revisions: Path,
    ) -> HubRepository:
        """Serve a folder as a repository; *revisions* are more branches or tags."""
        folders = {"main": folder} | revisions
        repository = HubRepository(repo_id, folders, is_gated, is_private, has_xet)
        self.repositories[repo_id] = repository
        return repository

    def add_token(self, token: str, name: str, may_read: Iterable[str] = ()) -> None:
        """Know a token, and which gated or private repositories it may read."""
        self.accounts[token] = Account(name, frozenset(may_read))

    def fail(self, repo_id: str, name: str, *faults: Fault) -> None:
        """
        Do something wrong with a file from now on; each fault in turn.

        Args:
            repo_id: The repository.
            name: The file; ``hub_faults.API`` for what is no file, ``XET`` for Xet
                storage.
            faults: Each lasts for as many requests as it says; none: all is well again.
        """
        with self._lock:
            self._faults[repo_id, name] = list(faults)

    def take_fault(self, repo_id: str, name: str) -> Fault | None:
        """Return the fault that a request meets, and count it as met."""
        with self._lock:
            waiting = self._faults.get((repo_id, name))
            if not waiting:
                return None
            fault = waiting.pop(0)
            if fault.times > 1:
                waiting.insert(0, replace(fault, times=fault.times - 1))
            return fault

    def count_sent(self, repo_id: str, name: str, size_bytes: int) -> None:
        """Count bytes of content that went out."""
        with self._lock:
            self.sent_bytes[repo_id, name] += size_bytes
            self._lock.notify_all()

    def meet(self, name: str) -> None:
        """Hold a request for a file until one for another file is held, or for long."""
        with self._lock:
            self._held.add(name)
            self.at_once = max(self.at_once, len(self._held))
            self._lock.notify_all()
            if not self._lock.wait_for(lambda: len(self._held) > 1, HELD_MAX_S):
                self._held.discard(name)

    def wait_sent(self, repo_id: str, name: str) -> None:
        """Wait until a file has gone out whole."""
        whole = self.repositories[repo_id].files("main")[name].size_bytes
        with self._lock:
            self._lock.wait_for(lambda: self.sent_bytes[repo_id, name] >= whole, 30)

    def note(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    def _listen(self, handler: type[Handler]) -> ThreadingHTTPServer:
        bound = type(handler.__name__, (handler,), {"hub": self})
        server = _Server(("127.0.0.1", 0), bound)
        # A handler that stalls on purpose must not keep the test from ending.
        server.daemon_threads = True
        server.block_on_close = False
        return server


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what tests are about."""
