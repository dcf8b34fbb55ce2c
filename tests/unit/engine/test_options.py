"""The table of vLLM's options, as data of the package."""

from __future__ import annotations

import pytest

from vllm_pkg.engine import options
from vllm_pkg.engine.options import Kind, Option, Values, load_options
from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.package.manifest import load_manifest

# Reference vllm.md, Appendix A, without the three lists of CORS.
JSON_OPTIONS = """
--default-chat-template-kwargs --quantization-config --hf-overrides
--model-class-overrides --pooler-config --override-generation-config
--model-loader-extra-config --pt-load-map-location --eplb-config
--fault-tolerance-config --limit-mm-per-prompt --media-io-kwargs --mm-processor-kwargs
--default-mm-loras --logging-config --custom-histogram-buckets --ir-op-priority
--speculative-config --watermark-config --diffusion-config --kv-transfer-config
--kv-events-config --ec-transfer-config --ec-manager-config --compilation-config
--attention-config --engram-config --reasoning-config --kernel-config
--additional-config --structured-outputs-config --aux-output-config --profiler-config
--weight-transfer-config
"""


@pytest.fixture(name="broken")
def broken_fixture(monkeypatch, tmp_path):
    """A place for a broken table."""
    path = tmp_path / "options.json"
    monkeypatch.setattr(options, "OPTIONS_FILE", path)
    load_options.cache_clear()
    yield path
    load_options.cache_clear()


def test_the_table_has_what_the_reference_says():
    """Counts and forms are those that were read out of vLLM 0.32 by hand."""
    table = load_options()
    different = set(table.values())
    counts = {kind: [o.values for o in different].count(kind) for kind in Values}
    # 318 actions, one of them the positional model.
    assert len(different) == 317
    assert counts == {
        Values.NONE: 94,
        Values.ONE: 207,
        Values.SEVERAL: 15,
        Values.OPTIONAL: 1,
    }
    assert {o.name for o in different if o.is_object} == set(JSON_OPTIONS.split())
    assert table["-tp"].name == "--tensor-parallel-size"
    assert table["--no-enforce-eager"] == Option(
        ("--enforce-eager", "--no-enforce-eager"), Values.NONE, Kind.TEXT
    )
    assert table["--max-model-len"].kind is Kind.NUMBER
    assert table["--hf-overrides"].kind is Kind.JSON_OR_TEXT
    assert not [name for name in table if "_" in name]


def test_the_table_belongs_to_the_pinned_version():
    """Table and manifest name the same version of vLLM."""
    assert options.options_version() == load_manifest().engine_version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read options.json"),
        ("[]", "options.json is not a JSON object"),
        ("{}", "options.json: wrong: 'options'"),
        ('{"options": [{"names": ["-a"], "values": "x", "kind": "text"}]}', "wrong"),
        ('{"options": [1]}', "options.json: wrong"),
    ],
)
def test_a_damaged_table_is_refused(broken, text, message):
    """What is no table is named, and nothing is accepted with it."""
    broken.write_text(text)
    with pytest.raises(PackageDataInvalid, match=message):
        load_options()


def test_a_missing_table_is_refused(broken):
    """A package without its table says so."""
    assert not broken.exists()
    with pytest.raises(PackageDataInvalid, match=r"cannot read options\.json"):
        load_options()
