"""What completion offers."""

from __future__ import annotations

from vllm_pkg.cli.completion import complete_action, complete_model
from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.models import presets


def test_completion_offers_presets_and_actions(monkeypatch):
    """What begins so is offered; damaged package data offers nothing, quietly."""
    assert complete_model("qwen3-") == [
        ("qwen3-next-80b-a3b", "Qwen3-Next 80B-A3B"),
        ("qwen3-30b-a3b", "Qwen3 30B-A3B"),
        ("qwen3-1.7b", "Qwen3 1.7B"),
        ("qwen3-0.6b", "Qwen3 0.6B"),
    ]
    assert complete_action("s") == ["set-model"]

    def fail() -> None:
        raise PackageDataInvalid("presets.yaml is damaged")

    monkeypatch.setattr(presets, "load_presets", fail)
    assert complete_model("") == []
