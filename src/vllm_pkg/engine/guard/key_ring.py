"""
The keys that are accepted now, read again whenever their files change.

What a file that cannot be used means (see docs/decisions.md): a damaged file, and a
missing credentials.json, leave the keys in force that were read last; a missing
secrets.json means that there are no additional keys. Neither ever lets more keys in.
"""

from __future__ import annotations

import hmac
import logging
import os
import stat
import time
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import EngineStartFailed
from vllm_pkg.state import documents
from vllm_pkg.state.credentials import is_usable_key
from vllm_pkg.state.secrets import Role, parse_secrets
from vllm_pkg.state.store import API_KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.state.secrets import NamedKey

PRIMARY_ID: Final = "primary"
_ID_DIGITS: Final = 8
CHECK_INTERVAL_S: Final = 0.1
_log = logging.getLogger("vllm_pkg.guard")
_Signature = tuple[int, ...] | None
# Of a file that could not be used: equal to none, so that it is tried again.
_UNUSED: Final[_Signature] = ()


@dataclass(frozen=True, slots=True)
class AcceptedKey:
    """
    A key that is accepted until it expires.

    Args:
        id: For the count of requests.
        digest: SHA-256 of the key, 32 bytes.
        is_admin: Whether it opens the administration routes.
        expires_s: Wall clock, in seconds since 1970; infinite: never.
    """

    id: str
    digest: bytes
    is_admin: bool
    expires_s: float


class KeyRing:
    """
    The accepted keys of one API server process.

    Args:
        credentials_file: With the primary key.
        secrets_file: With the additional keys; may be missing.
        monotonic_s: The clock that decides when to look at the files again.
    Raises:
        EngineStartFailed: credentials.json gives no key: nothing may be served then.
    """

    def __init__(
        self,
        credentials_file: Path,
        secrets_file: Path,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials_file
        self._secrets = secrets_file
        self._monotonic_s = monotonic_s
        self._named: tuple[AcceptedKey, ...] = ()
        self._warned: dict[int, str] = {}
        self._seen: list[_Signature] = [_signature(path) for path in self._files]
        self._next_check_s = monotonic_s() + CHECK_INTERVAL_S
        self._primary = self._first_primary()
        self._read_secrets()
        self._keys: tuple[AcceptedKey, ...] = (*self._named, self._primary)

    @property
    def primary_id(self) -> str:
        """The id of the primary key that is in force."""
        return self._primary.id

    @property
    def _files(self) -> tuple[Path, Path]:
        return self._credentials, self._secrets

    def find(self, token: bytes, now_s: float) -> AcceptedKey | None:
        """
        Return the key that a request presents, if it is accepted.

        Every key is compared, whether one has matched before or not, so that the time
        this takes does not tell which.

        Args:
            token: What was presented.
            now_s: Wall clock, in seconds since 1970.
        """
        if self._monotonic_s() >= self._next_check_s:
            self._check()
        digest = sha256(token).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest) and now_s < key.expires_s:
                found = key
        return found

    def _check(self) -> None:
        self._next_check_s = self._monotonic_s() + CHECK_INTERVAL_S
        now = [_signature(path) for path in self._files]
        if now == self._seen:
            return
        before, self._seen = self._seen, now
        if now[0] != before[0]:
            self._read_primary()
        if now[1] != before[1]:
            self._read_secrets()
        self._keys = (*self._named, self._primary)

    def _keep(self, position: int, error: Exception) -> None:
        self._seen[position] = _UNUSED
        name = self._files[position].name
        reason = str(error) if isinstance(error, documents.Malformed) else ""
        warning = f"{name} cannot be used ({reason or type(error).__name__})"
        if warning != self._warned.get(position):
            self._warned[position] = warning
            _log.warning("%s; what was read last stays in force", warning)

    def _first_primary(self) -> AcceptedKey:
        try:
            return _primary_key(_read(self._credentials))
        except (OSError, documents.Malformed) as error:
            # No text of the error: it could repeat what stands in the file.
            raise EngineStartFailed(
                "the guard of the API has no key: credentials.json cannot be used"
                f" ({type(error).__name__})",
                hint="start the service again; it makes a key",
            ) from None

    def _read_primary(self) -> None:
        try:
            self._primary = _primary_key(_read(self._credentials))
        except (OSError, documents.Malformed) as error:
            self._keep(0, error)

    def _read_secrets(self) -> None:
        try:
            keys = parse_secrets(_read(self._secrets)).keys
        except FileNotFoundError:
            # Nobody could list or revoke a key that stands in no file.
            self._named = ()
        except (OSError, documents.Malformed) as error:
            self._keep(1, error)
        else:
            self._named = tuple(_accepted(k) for k in keys if k.revoked is None)


def primary_id(key_hash: str) -> str:
    """
    Return under which id the requests of a primary key are counted.

    Each has its own, so that a new key does not inherit what an old one did.

    Args:
        key_hash: Its SHA-256, in hexadecimal figures.
    """
    return f"{PRIMARY_ID}-{key_hash[:_ID_DIGITS]}"


def _signature(path: Path) -> _Signature:
    try:
        status = os.stat(path)  # noqa: PTH116  # the cheapest form: it runs often
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path) -> dict[str, Any]:
    # Not documents.read_object: a reader in the engine sets nothing aside.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise documents.Malformed("it is not a file")
        return documents.parse_object(stream.read(documents.SIZE_MAX_BYTES + 1))


def _primary_key(document: dict[str, Any]) -> AcceptedKey:
    key = document.get(API_KEY)
    if not isinstance(key, str) or not is_usable_key(key):
        raise documents.Malformed(f"it has no usable {API_KEY}")
    digest = sha256(key.encode()).digest()
    key_id = primary_id(digest.hex())
    return AcceptedKey(key_id, digest, is_admin=False, expires_s=inf)


def _accepted(key: NamedKey) -> AcceptedKey:
    return AcceptedKey(
        id=key.id,
        digest=bytes.fromhex(key.hash),
        is_admin=key.role is Role.ADMIN,
        expires_s=inf if key.expires is None else key.expires.timestamp(),
    )
