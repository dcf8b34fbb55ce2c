"""The whole way from a model's name to the answer, and what is learned on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.hub_server import HubServer
from support.service import free_port
from support.settings_factory import make_settings
from support.sizing_cases import cpu_hardware, gpu_hardware
from support.tiny_checkpoint import CONFIG, WEIGHTS_BYTES, write_checkpoint
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.models.sizing.assess import (
    Request,
    assess,
    note_measured,
    predict,
)
from vllm_pkg.models.sizing.checkpoint import Origin
from vllm_pkg.models.sizing.hub_source import HubAccess
from vllm_pkg.models.sizing.learned import Memory, read_starts
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.models.sizing.wording import as_json, describe

GPU = gpu_hardware(24.0, free_gib=23.5)


@pytest.fixture(name="model")
def model_fixture(tmp_path):
    """The folder of a small model."""
    return str(write_checkpoint(tmp_path / "model"))


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over the test's folder."""
    return make_settings(tmp_path)


def test_a_model_in_a_folder(settings, model):
    """A small model on a large card runs; the figures are told."""
    found = assess(settings, GPU, Request(model))
    assert found.verdict is Verdict.RUNS
    assert found.origin is Origin.FOLDER
    assert found.notes == ()
    assert found.decision is not None
    assert found.decision.estimate.weights_bytes == WEIGHTS_BYTES
    first, memory, context = describe(found)
    assert first == f"{model} runs here."
    assert memory.startswith("Weights 0.0 GiB, beside them 0.3 GiB, KV cache 21.7 GiB")
    assert memory.endswith("(A GPU).")
    assert context.startswith("Context 2,048 tokens; the KV cache holds 22,")


def test_a_model_from_the_hub(settings, tmp_path, monkeypatch):
    """A repository that is not here is looked at on the Hub, and nothing is kept."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with HubServer() as hub:
        hub.add("org/tiny", write_checkpoint(tmp_path / "model"))
        request = Request("org/tiny", access=HubAccess(hub.url))
        found = assess(settings, GPU, request)
    assert (found.verdict, found.origin) == (Verdict.RUNS, Origin.HUB)
    assert not settings.models_dir.exists()
    assert predict(settings, GPU, request) is None


def test_a_hub_that_does_not_answer_is_never_a_yes(settings, monkeypatch, tmp_path):
    """Without an answer of the Hub the verdict is unknown, with the reason."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    access = HubAccess(f"http://127.0.0.1:{free_port()}")
    found = assess(settings, GPU, Request("org/tiny", access=access))
    assert found.verdict is Verdict.UNKNOWN
    (sentence,) = describe(found)
    assert sentence.startswith(
        "Whether org/tiny runs here is unknown: org/tiny: the Hub cannot be reached"
    )
    assert sentence.endswith("; check this machine's network, proxy and DNS.")
    document = as_json(found)
    assert document["verdict"] == "unknown"
    assert document["estimate"] is None


@pytest.mark.parametrize(
    ("config", "values", "words"),
    [
        (CONFIG | {"model_type": "brand_new"}, {}, "'brand_new' are not known"),
        (CONFIG, {"--hf-overrides": "{}"}, "what --hf-overrides makes of the model"),
        (CONFIG, {"--kv-cache-dtype": "nvfp4"}, "'nvfp4' is not known"),
        (CONFIG, {"--quantization": "gptq"}, "--quantization gptq"),
    ],
)
def test_what_is_not_known_makes_it_unknown(tmp_path, settings, config, values, words):
    """A new architecture, or an argument that is not followed, gives no guess."""
    folder = write_checkpoint(tmp_path / "model", config)
    found = assess(settings, GPU, Request(str(folder), values))
    assert found.verdict is Verdict.UNKNOWN
    assert words in (found.reason or "")
    (sentence,) = describe(found)
    assert sentence.endswith(f"{found.reason}.")


def test_weights_without_headers(tmp_path, settings):
    """Where only sizes of files are known, they count."""
    folder = write_checkpoint(tmp_path / "model")
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(bytes(5000))
    found = assess(settings, GPU, Request(str(folder)))
    assert found.decision is not None
    assert found.decision.estimate.weights_bytes == 5000


def test_a_wrong_number_is_an_error(settings, model):
    """A value that vLLM could not read either is refused, not unknown."""
    with pytest.raises(InvalidArgument):
        assess(settings, GPU, Request(model, {"--max-model-len": "long"}))


def test_a_change_in_words(settings, model):
    """A busy card: the change comes first, then the reason, then what else would do."""
    busy = gpu_hardware(24.0, 24.0, free_gib=10.5)
    found = assess(settings, busy, Request(model))
    assert found.verdict is Verdict.RUNS_WITH_CHANGE
    first, *rest = describe(found)
    assert first == (
        f"{model} runs here with --gpu-memory-utilization 0.41: 10.0 of 24.0 GiB are "
        "free, and it would claim 22.1."
    )
    assert len(rest) == 2
    document = as_json(found)
    assert document["changes"] == [
        [{"option": "--gpu-memory-utilization", "value": "0.41"}]
    ]
    assert document["estimate"]["freeGib"] == 10.0


def test_further_changes_in_words(settings, tmp_path):
    """Everything else that would do is named in one sentence."""
    long = CONFIG | {"max_position_embeddings": 32 * 1024 * 1024}
    folder = write_checkpoint(tmp_path / "model", long)
    machine = gpu_hardware(24.0, 24.0, free_gib=23.9)
    found = assess(settings, machine, Request(str(folder)))
    first, memory, _, others = describe(found)
    assert " with --max-model-len " in first
    assert first.endswith("GiB of KV cache are needed and 21.7 GiB are left.")
    assert memory.endswith("(A GPU).")
    assert others == (
        "Instead of that would do: --tensor-parallel-size 2, or --kv-cache-dtype fp8."
    )


def test_what_does_not_run_in_words(settings, tmp_path):
    """The shortfall is named in GiB, with the number of cards."""
    wide = CONFIG | {"num_attention_heads": 4, "vocab_size": 500_000_000}
    folder = write_checkpoint(tmp_path / "model", wide)
    machine = gpu_hardware(24.0, 24.0, free_gib=23.9)
    found = assess(settings, machine, Request(str(folder)))
    assert found.verdict is Verdict.DOES_NOT_RUN
    (sentence,) = describe(found)
    assert sentence.startswith(f"{folder} does not run here: 1")
    assert " GiB are missing, even with a short context (weights and" in sentence
    assert as_json(found)["shortfallGib"] > 1000
    assert found.decision is not None
    both = replace(found, decision=replace(found.decision, shortfall_cards=2))
    assert " GiB are missing on each of 2 GPUs, even" in describe(both)[0]
    never = replace(found, decision=replace(found.decision, shortfall_bytes=0))
    assert describe(never)[0].endswith("and no two changes are enough.")


def test_notes(settings, model):
    """What is not counted, and free memory that is not known, is told."""
    request = Request(model, {"--enable-lora": ""})
    found = assess(settings, gpu_hardware(24.0), request)
    assert found.notes == (
        "--enable-lora is not counted.",
        "Free memory is not known; all of it is taken as free.",
    )
    assert describe(found)[-2:] == found.notes


def test_words_for_several_cards_a_cpu_and_an_encoder(settings, tmp_path, model):
    """Several cards, the CPU, and a model without a cache are described as they are."""
    two = gpu_hardware(24.0, 24.0, free_gib=23.9)
    found = assess(settings, two, Request(model, {"--tensor-parallel-size": "2"}))
    assert describe(found)[1].endswith("(on each of 2 GPUs).")
    found = assess(settings, cpu_hardware(), Request(model, cpu_cache_gib=6.0))
    assert describe(found)[1].endswith("KV cache 6.0 GiB (on the CPU).")
    folder = write_checkpoint(tmp_path / "bert", CONFIG | {"model_type": "bert"})
    found = assess(settings, GPU, Request(str(folder)))
    assert describe(found)[2] == "Context 2,048 tokens; it keeps no KV cache."
    assert as_json(found)["estimate"]["kvCacheTokens"] is None


def test_what_a_start_measured_changes_the_next_answer(settings, model):
    """After a start that needed 2 GiB more, the next answer knows."""
    request = Request(model)
    before = predict(settings, GPU, request)
    assert before is not None
    assert before.kv_cache_gib is not None
    assert before.kv_cache_tokens is not None
    measured = Memory(
        before.weights_gib,
        before.kv_cache_gib - 2,
        round(before.kv_cache_tokens * (1 - 2 / before.kv_cache_gib)),
    )
    assert note_measured(settings, GPU, request, measured)
    found = assess(settings, GPU, request)
    assert found.decision is not None
    assert found.decision.estimate.cache_bytes / GIB == pytest.approx(
        before.kv_cache_gib - 2, abs=0.01
    )
    assert describe(found)[-1] == (
        "Earlier starts on this machine are taken into account."
    )
    # What is predicted without corrections stays, so that errors do not add up.
    assert predict(settings, GPU, request) == before
    assert read_starts(settings)[request.key].measured == measured


def test_nothing_is_kept_without_a_prediction(settings, tmp_path):
    """A model that is not here, or not known, leaves nothing to compare with."""
    assert not note_measured(settings, GPU, Request("org/tiny"), Memory(1.0))
    folder = write_checkpoint(tmp_path / "x", CONFIG | {"model_type": "brand_new"})
    assert not note_measured(settings, GPU, Request(str(folder)), Memory(1.0))
    assert read_starts(settings) == {}


def test_arguments_that_decide_are_part_of_the_key():
    """Other cards or types are another start; another context is the same."""
    request = Request("m", {"--tensor-parallel-size": "2", "--max-model-len": "1"})
    assert request.key == "m --tensor-parallel-size=2"
