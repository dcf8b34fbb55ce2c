"""
Which files of a repository the engine loads. Pure.

Source: vLLM 0.32, ``model_loader/default_loader.py`` and ``weight_utils.py`` for the
weights, ``transformers_utils/repo_utils.py`` for all other files.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.needs import AUTO, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vllm_pkg.models.download.needs import Need


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INDEX: Final = "model.safetensors.index.json"
MISTRAL_INDEX: Final = "consolidated.safetensors.index.json"
MISTRAL_PATTERN: Final = "consolidated*.safetensors"
DUMMY: Final = "dummy"
_MISTRAL: Final = "mistral"
_SAFETENSORS: Final = ("*.safetensors",)
_ANY_FORMAT: Final = ("*.safetensors", "*.bin", "*.pt")
# Kinds of files per value of --load-format, in the order in which they are tried.
_PATTERNS: Final[Mapping[str, tuple[str, ...]]] = {
    "safetensors": _SAFETENSORS,
    "fastsafetensors": _SAFETENSORS,
    "instanttensor": _SAFETENSORS,
    "runai_streamer": _SAFETENSORS,
    "runai_streamer_sharded": _SAFETENSORS,
    "sharded_state": _SAFETENSORS,
    "tensorizer": ("*.tensors",),
    _MISTRAL: (MISTRAL_PATTERN,),
    "pt": ("*.pt",),
    "npcache": ("*.bin", "*.pt"),
}
_GENERATION: Final = ("generation_config.json", "config.json")
# What a training run leaves beside the weights.
_OF_TRAINING: Final = (
    "training_args.bin",
    "optimizer.bin",
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
)
# A dense layer of sentence-transformers stands in a folder of its own.
_DENSE: Final = re.compile(r"\d+_\w+/(model\.safetensors|pytorch_model\.bin)")
_CODE: Final = ".py"
_INDEX_SUFFIX: Final = ".index.json"
_KNOWN: Final = _words(
    ".json .jsonl .jinja .jinja2 .txt .model .tiktoken .yaml .yml .vocab .bpe .spm "
    ".tekken"
)
_NEVER: Final = _words(
    ".safetensors .bin .pt .pth .ckpt .gguf .ggml .h5 .msgpack .onnx .onnx_data .ot "
    ".tflite .mlmodel .nemo .npz .npy .pkl .pickle .tensors .engine .plan "
    ".png .jpg .jpeg .gif .webp .svg .pdf .mp3 .mp4 .wav .flac .ogg .parquet .arrow "
    ".ipynb .zip .tar .gz .tgz .xz .7z .md .rst .html"
)
_NEVER_NAMED: Final = frozenset(
    {".gitattributes", ".gitignore", "LICENSE", "LICENCE", "NOTICE", "README"}
)
# The same model for other programs.
_OTHER_FOLDERS: Final = frozenset(
    {"original", "onnx", "openvino", "coreml", "metal", "gguf", "mlx", "runs", ".eval"}
)
# Nobody's configuration is larger; a file of an unknown kind that is, is no such file.
_UNKNOWN_MAX_BYTES: Final = 64 * 1024**2


def index_file(names: Collection[str], need: Need) -> str | None:
    """
    Return the file that says which weights count; it is needed before the choice.

    Args:
        names: Every file of the repository.
        need: What of it is needed.
    Returns:
        Its name; None: there is none, or no safetensors are loaded.
    """
    if need.role is not Role.MODEL or need.load_format == DUMMY:
        return None
    patterns = _weight_patterns(names, need)
    if not patterns or not patterns[0].endswith(".safetensors"):
        return None
    name = MISTRAL_INDEX if patterns[0] == MISTRAL_PATTERN else INDEX
    return name if name in names else None


def choose_files(
    sizes_bytes: Mapping[str, int], need: Need, indexed: Collection[str] | None
) -> tuple[str, ...]:
    """
    Choose the files that the engine loads.

    Args:
        sizes_bytes: Every file of the repository with its size.
        need: What of it is needed.
        indexed: The weights that `index_file` names; None: there is no index.
    Returns:
        Their names: what is small first, so that what is wrong shows early; weights in
        order.
    """
    if need.role is Role.ADAPTER:
        # The engine itself fetches the whole repository of an adapter.
        return tuple(sorted(sizes_bytes))
    if need.role is Role.GENERATION:
        # The second is read only where there is no first, and may hold the same.
        return tuple(name for name in _GENERATION if name in sizes_bytes)[:1]
    if need.role is Role.CODE:
        return tuple(sorted(name for name in sizes_bytes if name.endswith(_CODE)))
    index = index_file(sizes_bytes, need)
    others = sorted(
        name
        for name, size in sizes_bytes.items()
        if name == index or _is_other(name, size, need)
    )
    return (*others, *choose_weights(sizes_bytes, need, indexed))


def choose_weights(
    names: Collection[str], need: Need, indexed: Collection[str] | None
) -> tuple[str, ...]:
    """Choose among a repository's files the weights that the engine loads."""
    if need.role is not Role.MODEL or need.load_format == DUMMY:
        return ()
    patterns = _weight_patterns(names, need)
    found = [
        name for name in _candidates(names, need) if fnmatchcase(name, patterns[0])
    ]
    if indexed is not None:
        found = [name for name in found if name in indexed]
    if not patterns[0].endswith(".safetensors"):
        found = [name for name in found if not name.endswith(_OF_TRAINING)]
    dense = [name for name in names if _DENSE.fullmatch(name)]
    return tuple(sorted(found) + sorted(_one_per_folder(dense)))


def _weight_patterns(names: Collection[str], need: Need) -> tuple[str, ...]:
    """Return the pattern that applies, and those that would come after it."""
    candidates = list(_candidates(names, need))
    load_format = need.load_format
    if load_format == AUTO and any(
        fnmatchcase(name, MISTRAL_PATTERN) for name in candidates
    ):
        load_format = _MISTRAL
    patterns = _PATTERNS.get(load_format, _ANY_FORMAT)
    for position, pattern in enumerate(patterns):
        if any(fnmatchcase(name, pattern) for name in candidates):
            return patterns[position:]
    return patterns


def _candidates(names: Collection[str], need: Need) -> Iterable[str]:
    # The engine looks for weights at the top only.
    return (
        name
        for name in names
        if "/" not in name
        and not any(fnmatchcase(name, pattern) for pattern in need.ignore_patterns)
    )


def _one_per_folder(names: list[str]) -> list[str]:
    """Of equal weights in two formats the engine takes the safetensors."""
    return [
        name
        for name in names
        if name.endswith(".safetensors")
        or f"{PurePosixPath(name).parent}/model.safetensors" not in names
    ]


def _is_other(name: str, size_bytes: int, need: Need) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix == _CODE:
        return need.is_code_trusted
    if name.endswith(_INDEX_SUFFIX):
        # Of weights that are not loaded; beside them it would promise them.
        return False
    if path.name in _NEVER_NAMED or suffix in _NEVER or path.parts[0] in _OTHER_FOLDERS:
        return False
    return suffix in _KNOWN or size_bytes <= _UNKNOWN_MAX_BYTES
