"""The answers about models: presets, the cache, downloads, checks and removals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vllm_pkg.models.cache import Kind
from vllm_pkg.models.download.verify import FileState
from vllm_pkg.models.presets import Task
from vllm_pkg.models.sizing.checkpoint import Origin
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.portal.api.errors import ErrorDetail
from vllm_pkg.portal.api.given import Shape
from vllm_pkg.service.jobs import State

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
# A preset, or a repository of the Hub.
ModelName = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})?$", max_length=193)]
Revision = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=100)
]
# An entry of the cache, as its list names it.
CacheKey = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=300)]
JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
ArgumentText = Annotated[str, Field(max_length=2000)]


class PresetShape(Shape):
    """A curated model, and whether it fits this machine."""

    id: str
    name: str
    task: Task
    fits: bool
    reason: str | None
    is_estimated: bool
    memory_needed_gib: int | None
    context_tokens: int | None
    tensor_parallel: int | None
    serve_args: list[str]


class OptionChange(Shape):
    """One option to change."""

    option: str
    value: str | None


class EstimateShape(Shape):
    """What a model would take of this machine."""

    gpus: int
    context_tokens: int
    weights_gib: float
    reserve_gib: float
    free_gib: float
    budget_gib: float
    kv_cache_gib: float
    kv_cache_needed_gib: float
    kv_cache_bytes_per_token: int
    kv_cache_tokens: int | None


class FitShape(Shape):
    """Whether a model runs here, and why."""

    model: str
    verdict: Verdict
    message: str
    reason: str | None
    hint: str | None
    origin: Origin | None
    changes: list[list[OptionChange]]
    shortfall_gib: float | None
    estimate: EstimateShape | None
    notes: list[str]


class RevisionShape(Shape):
    """One revision of a repository in the cache."""

    commit: str
    refs: list[str]
    size_bytes: int
    frees_bytes: int
    files: int
    last_modified: datetime
    is_partial: bool
    is_in_use: bool


class CachedModelShape(Shape):
    """One entry of the cache."""

    model: str
    repository: str
    kind: Kind
    path: str
    size_bytes: int
    frees_bytes: int
    partial_bytes: int
    is_partial: bool
    is_in_use: bool
    last_used: datetime
    revisions: list[RevisionShape]


class CacheShape(Shape):
    """The model cache."""

    path: str
    models: list[CachedModelShape]


class PullRequest(Shape):
    """What to fetch; without a model the selected one."""

    model: ModelName | None = None
    revision: Revision | None = None


class VerifyRequest(Shape):
    """What to check; without a model everything."""

    model: ModelName | None = None
    full: bool = False
    repair: bool = False


class RemovalPlan(Shape):
    """What a removal would do; its id has to be given to do just that."""

    id: str
    model: str
    commit: str | None
    refs: list[str]
    files: int
    size_bytes: int
    frees_bytes: int
    shared_bytes: int
    leftover_bytes: int


class RemovalRequest(Shape):
    """A removal as its plan showed it."""

    model: CacheKey
    revision: Revision | None = None
    plan: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class RemovalShape(Shape):
    """What a removal did."""

    freed_bytes: int
    leftover_bytes: int
    files: int


class DownloadShape(Shape):
    """A download: of the start, of a switch, or one that was asked for by itself."""

    id: str
    source: Literal["start", "switch", "pull"]
    state: State | Literal["stalled"]
    model: str | None
    repository: str | None
    bytes_done: int | None
    bytes_total: int | None
    bytes_per_s: int | None
    eta_s: int | None
    is_cancellable: bool
    began_at: datetime | None
    error: ErrorDetail | None


class CheckProgress(BaseModel):
    """How far a check is."""

    model_config = ConfigDict(extra="forbid")

    file: str
    bytes_done: int


class DamagedFile(BaseModel):
    """A file that is not what it should be."""

    model_config = ConfigDict(extra="forbid")

    repository: str
    commit: str
    file: str
    size_bytes: int
    state: FileState
    detail: str


class CheckResult(BaseModel):
    """What a check has found."""

    model_config = ConfigDict(extra="forbid")

    files: int
    damaged: int
    repaired: int
    first_damaged: list[DamagedFile]


class CheckShape(Shape):
    """A check of files in the cache."""

    id: str
    state: State
    model: str | None
    began_at: datetime
    progress: CheckProgress | None
    result: CheckResult | None
    error: ErrorDetail | None
