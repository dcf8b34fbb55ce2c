"""
Hiding secrets in text and in documents. Pure.

Two ways together: what is known to be secret here is hidden wherever it stands, and
what looks like a secret is hidden though nobody here knows it. Where there is doubt it
is hidden: a bundle goes to other people.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HIDDEN: Final = "***"
# What is shorter may be a part of ordinary words.
LENGTH_MIN: Final = 6
# Variables that change how the engine works and hold no secret.
HARMLESS: Final = frozenset(
    {
        *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
        *("HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET", "HF_XET_HIGH_PERFORMANCE"),
        *("NCCL_DEBUG", "NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE", "OMP_NUM_THREADS"),
        *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_CUDA_ARCH_LIST"),
        *("VLLM_ATTENTION_BACKEND", "VLLM_CPU_KVCACHE_SPACE"),
        *("VLLM_CPU_OMP_THREADS_BIND", "VLLM_ENGINE_READY_TIMEOUT_S"),
        *("VLLM_LOGGING_LEVEL", "VLLM_USE_TRITON_FLASH_ATTN", "VLLM_USE_V1"),
        *("VLLM_WORKER_MULTIPROC_METHOD", "HSA_OVERRIDE_GFX_VERSION"),
    }
)
_HARMLESS_VALUE: Final = re.compile(r"[\w.,:|=+-]{0,100}")
_SECRET_WORDS: Final = frozenset(
    {
        *("token", "secret", "secrets", "password", "passwd", "passphrase", "apikey"),
        *("credential", "credentials", "authorization", "cookie", "auth"),
    }
)
_KEY_WORDS: Final = frozenset({"api", "access", "private", "secret", "signing"})
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
# Keys that this package makes.
_KEY: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{22}(?![A-Za-z0-9])")
_NAMED: Final = (
    r"(?:api[_-]?keys?|access[_-]?key|private[_-]?key|secret[_-]?key|token(?!s)|"
    r"passwords?|passwd|passphrase|secrets?|credentials?|authorization|cookie)"
)
# Beside which names no secret stands: a count, or nothing.
_PLAIN: Final = r"(?!(?:None|null|true|false|True|False|-?\d+(?:\.\d+)?)(?:[^\w.]|$))"
# Each quantifier has a limit: lines may be long, and some are made to be slow.
_ASSIGNED: Final = (
    rf"(?i)({_NAMED}\\?[\"']?\s{{0,20}}[:=]\s{{0,20}}){_PLAIN}"
    r"(?:(\\?[\"'])[^\"'\\]{0,4000}\2?|(\[)[^\]\n]{0,4000}\]|[^\s\"'\[{,;)}\]&]+)"
)
_QUERY: Final = (
    r"(?i)([?&][\w.-]{0,40}(?:token|key|secret|password|signature|policy|credential"
    r"|sig|code|auth)=)[^&\s\"'<>#]+"
)
_SIGNED_IN: Final = r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s/?#\"'<>]{0,4000}@"
_OF_OPTION: Final = (
    r"(?i)((?<![\w-])--[\w-]{0,60}(?:key|token|password|secret|auth)(?:=|\s{1,20})[\"']?)"
    r"[^\s\"',]+"
)
_PRIVATE_KEY: Final = (
    r"(?s)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?"
    r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
)
_KNOWN_BEGINNING: Final = (
    r"(?<![A-Za-z0-9])"
    r"(hf_|api_org_|ghp_|gho_|ghs_|github_pat_|glpat-|sk-|pk-|rk-|xox[a-z]-)"
    r"[A-Za-z0-9_-]{6,}"
)
_PATTERNS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (_PRIVATE_KEY, HIDDEN),
        (_KNOWN_BEGINNING, rf"\1{HIDDEN}"),
        (r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{12,}", rf"\1{HIDDEN}"),
        (r"(?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
        (r"(?i)\b(bearer)(\s+|%20)[\w.~+/=-]{6,}", rf"\1 {HIDDEN}"),
        (r"(?i)\b(basic)\s+[A-Za-z0-9+/]{10,}={0,2}", rf"\1 {HIDDEN}"),
        (_SIGNED_IN, rf"\1{HIDDEN}@"),
        (_QUERY, rf"\1{HIDDEN}"),
        (_OF_OPTION, rf"\1{HIDDEN}"),
    )
)
_ASSIGNMENT: Final = re.compile(_ASSIGNED)
_OPTION: Final = re.compile(r"(?i)--[\w.-]*(?:key|token|password|secret|auth)")


class Redactor:
    """
    Hides secrets.

    Args:
        secrets: What is known to be secret; what is very short is not looked for.
        hashes: SHA-256 of keys that nobody here knows, in hexadecimal figures.
        home: The user's home, which is written as ``~``; empty: it is left.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        hashes: Iterable[str] = (),
        home: str = "",
    ) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: one may be a part of another.
        known = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._hashes = frozenset(hashes)
        self._home = re.compile(re.escape(home) + r"(?=/|\W|$)") if home else None

    def known(self, text: str) -> str:
        """Return a text, or JSON, without what is known to be secret here."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _KEY.sub(self._unless_key, text) if self._hashes else text

    def text(self, text: str) -> str:
        """Return a text without secrets, and without what looks like one."""
        text = self.known(text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        text = _ASSIGNMENT.sub(_without_value, text)
        return text if self._home is None else self._home.sub("~", text)

    def document(self, value: Any) -> Any:
        """Return a JSON value without secrets, also in the names of its fields."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.document(item) for item in without_option_values(value)]
        if not isinstance(value, dict):
            return value
        if is_variable(value):
            return {"name": self.text(value["name"]), "value": self._variable(value)}
        return {
            self.text(str(name)): HIDDEN
            if is_secret_name(str(name)) and isinstance(item, str) and item
            else self.document(item)
            for name, item in value.items()
        }

    def _variable(self, variable: dict[str, str]) -> str:
        is_shown = is_harmless(variable["name"], variable["value"])
        return self.text(variable["value"]) if is_shown else HIDDEN

    def _unless_key(self, found: re.Match[str]) -> str:
        digest = hashlib.sha256(found[0].encode()).hexdigest()
        return HIDDEN if digest in self._hashes else found[0]


def is_secret_name(name: str) -> bool:
    """Whether the name of a field or variable says that its value is a secret."""
    words = {word.lower() for word in _WORD.findall(name)}
    is_key = bool(words & {"key", "keys"}) and bool(words & _KEY_WORDS)
    return is_key or not words.isdisjoint(_SECRET_WORDS)


def is_harmless(name: str, value: str) -> bool:
    """Whether a variable may be shown: its name is known, and its value is plain."""
    return name in HARMLESS and _HARMLESS_VALUE.fullmatch(value) is not None


def is_variable(value: dict[str, Any]) -> bool:
    """Whether an object is an environment variable, as store.json has them."""
    return value.keys() == {"name", "value"} and all(
        isinstance(item, str) for item in value.values()
    )


def without_option_values(items: Sequence[Any]) -> list[Any]:
    """Return arguments in which the values of options that name a secret are hidden."""
    before = ["", *items]
    return [
        HIDDEN if _is_secret_option(option) and isinstance(item, str) else item
        for option, item in zip(before, items, strict=False)
    ]


def secrets_in(value: Any) -> Iterator[str]:
    """Yield what in a document of the state is secret, and may stand in a log too."""
    if isinstance(value, list):
        for option, item in zip(["", *value], value, strict=False):
            if _is_secret_option(option) and isinstance(item, str):
                yield item
            yield from secrets_in(item)
    elif isinstance(value, dict) and is_variable(value):
        if not is_harmless(value["name"], value["value"]):
            yield value["value"]
    elif isinstance(value, dict):
        for name, item in value.items():
            if is_secret_name(name) and isinstance(item, str):
                yield item
            yield from secrets_in(item)


def _without_value(found: re.Match[str]) -> str:
    """Return an assignment that has lost its value, and is as well-formed as before."""
    name, quote_sign, bracket = found.groups()
    if bracket:
        return f'{name}["{HIDDEN}"]'
    return f"{name}{quote_sign or ''}{HIDDEN}{quote_sign or ''}"


def _is_secret_option(option: Any) -> bool:
    return isinstance(option, str) and _OPTION.fullmatch(option) is not None


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written in a log."""
    if len(secret) < LENGTH_MIN:
        return set()
    quoted = json.dumps(secret, ensure_ascii=False)[1:-1]
    return {
        *(secret, quoted, json.dumps(secret)[1:-1], repr(secret)[1:-1]),
        *(quote(secret, safe=""), quote(secret)),
    }
