"""The variants: what is refused, and what the hardware pattern matches."""

from __future__ import annotations

import re

import pytest

from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.package import variants
from vllm_pkg.package.loading import data_file, parse_data
from vllm_pkg.package.variants import RegistryImage, VariantSpec, load_variants
from vllm_pkg.settings_table import Variant

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def fresh_cache():
    """Read the files again in this test, and once more after it."""
    load_variants.cache_clear()
    yield
    load_variants.cache_clear()


@pytest.mark.parametrize(
    ("variant", "old", "new", "message"),
    [
        (
            "nvidia",
            "digest: null",
            "digest: sha256:12",
            "image.digest: expected text like ^sha256:[0-9a-f]{64}$",
        ),
        (
            "nvidia",
            "digest: null",
            f"digest: {DIGEST}",
            "image: expected either digest or digestMissingBecause",
        ),
        (
            "nvidia",
            "digestMissingBecause",
            "because",
            "image.because: is not a known key",
        ),
        ("nvidia", "arches: [x86_64", "arches: [amd64", "arches.0: expected 'x86_64'"),
        ("nvidia", "diskGib: 20", "diskGib: 0", "bareMetal.diskGib: expected"),
        (
            "nvidia",
            'least: "3.11"',
            "least: 3.11",
            "bareMetal.python.least: expected a Python version such as '3.11', got 3",
        ),
        ("nvidia", 'least: "3.11"', 'least: "three.x"', "bareMetal.python.least:"),
        ("rocm", "class: display", "class: gpu", "class: expected 'display' or"),
        ("cpu", "variant: cpu", "variant: gpu", "variant: expected"),
        ("cpu", "source: build", "source: made", "image: "),
    ],
)
def test_a_wrong_variant_is_refused_with_its_key(variant, old, new, message):
    """Each broken variant is refused, with the file and the key."""
    text = data_file("variants", variant, "variant.yaml").read_text()
    assert old in text
    with pytest.raises(PackageDataInvalid) as caught:
        parse_data(VariantSpec, "variant.yaml", text.replace(old, new, 1))
    assert message in caught.value.message


def test_a_digest_alone_is_accepted():
    """With a digest no reason for its absence is needed."""
    text = data_file("variants", "nvidia", "variant.yaml").read_text()
    start = text.index("  digest: null")
    end = text.index("arches:")
    text = f"{text[:start]}  digest: {DIGEST}\n{text[end:]}"
    image = parse_data(VariantSpec, "variant.yaml", text).image
    assert isinstance(image, RegistryImage)
    assert image.digest == DIGEST


@pytest.mark.usefixtures("fresh_cache")
def test_a_variant_in_the_wrong_folder_is_refused(monkeypatch):
    """A variant.yaml that names another variant than its folder is refused."""
    cpu = load_variants()[Variant.CPU]
    load_variants.cache_clear()
    monkeypatch.setattr(variants, "_load", lambda *_: cpu)
    with pytest.raises(PackageDataInvalid) as caught:
        load_variants()
    assert caught.value.message == (
        "variants/nvidia/variant.yaml: variant: expected 'nvidia', got 'cpu'"
    )


# Names as the PCI database has them.
DISCRETE = [
    "Navi 31 [Radeon RX 7900 XT/7900 XTX/7900M]",
    "Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]",
    "Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]",
    "Vega 10 XL/XT [Radeon RX Vega 56/64]",
    "Vega 20 [Radeon VII]",
    "Aqua Vanjaram [Instinct MI300X]",
]
INTEGRATED = [
    "Raphael",
    "Phoenix1",
    "Rembrandt [Radeon 680M]",
    "Raven Ridge [Radeon Vega Series / Radeon Vega Mobile Series]",
    "Strix Halo [Radeon Graphics / Radeon 8050S Graphics / Radeon 8060S Graphics]",
    "Cezanne [Radeon Vega Series / Radeon Vega Mobile Series]",
]


def rocm_pattern():
    """Return the product pattern of the rocm variant."""
    (device,) = load_variants()[Variant.ROCM].hardware_requirements.device
    return device.product


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_amd_gpus_are_offered_rocm(name):
    """The product pattern finds the names of discrete families."""
    assert re.search(rocm_pattern(), name)


@pytest.mark.parametrize("name", INTEGRATED)
def test_integrated_amd_gpus_are_not_offered_rocm(name):
    """The product pattern does not find the names of integrated GPUs."""
    assert not re.search(rocm_pattern(), name)


def test_the_pattern_keeps_to_rusts_dialect():
    """The pattern uses no look-around and no back reference: Rust has neither."""
    forbidden = r"\(\?[=!<]|\\[1-9]|\\k|\(\?P=|\(\?>|[*+?}]\+"
    assert re.search(forbidden, r"(?!Vega)")
    assert re.search(forbidden, r"(a)\1")
    assert not re.search(forbidden, rocm_pattern())
