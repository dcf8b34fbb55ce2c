"""How the KV cache is laid out, with the figures of vLLM 0.32."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.sizing_cases import (
    CHUNKED,
    FULL,
    LATENT,
    SLIDING,
    STATE,
    architecture,
)
from vllm_pkg.models.sizing.architecture import Layer, LayerKind
from vllm_pkg.models.sizing.cache_plan import CacheRules, plan_cache
from vllm_pkg.models.sizing.unknown import NotKnown

RULES = CacheRules(
    value_bytes=2,
    model_bytes=2,
    cards=1,
    block_tokens=16,
    step_tokens=16,
    in_flight_tokens=2048,
)
PAGE = 16 * 2 * 8 * 128 * 2
NARROW = replace(FULL, kv_heads=4)
ODD = replace(FULL, kv_heads=5)


def plan(*layers, **rules):
    """Lay out the cache of a model with these layers."""
    return plan_cache(architecture(*layers), replace(RULES, **rules))


def test_equal_layers_share_one_group():
    """Every layer has its page in each block; tokens fill whole blocks."""
    found = plan(FULL, FULL, FULL)
    assert found.block_bytes == 3 * PAGE
    assert found.token_bytes == 3 * 4096
    assert [found.blocks_for(tokens) for tokens in (1, 16, 17)] == [1, 1, 2]
    assert found.sequence_bytes(17) == 2 * 3 * PAGE
    assert found.needed_bytes(17) == 3 * 3 * PAGE


@pytest.mark.parametrize(
    ("cards", "page"), [(1, PAGE), (2, PAGE // 2), (8, PAGE // 8), (16, PAGE // 8)]
)
def test_cards_share_the_heads(cards, page):
    """Each card keeps its heads; with more cards than heads, one of them."""
    assert plan(FULL, cards=cards).block_bytes == page


def test_eight_bits_take_half():
    """A cache in 8 bits takes half of one in 16."""
    assert plan(FULL, value_bytes=1).block_bytes == PAGE // 2


def test_latent_attention_is_whole_on_every_card():
    """Latent attention keeps one vector per token, on each card the whole."""
    found = plan(LATENT, LATENT, cards=4, block_tokens=64)
    assert found.block_bytes == 2 * 64 * 576 * 2
    assert found.token_bytes == 2 * 1152


def test_windows_keep_what_they_reach():
    """With a window in all layers, a sequence stops growing; a window may straddle."""
    found = plan(SLIDING, SLIDING)
    assert found.token_bytes == 0
    # 1023 + 2048 tokens in flight: 192 blocks, and one more.
    assert [found.blocks_for(tokens) for tokens in (16, 3071, 100_000)] == [2, 193, 193]


@pytest.mark.parametrize(
    ("full", "sliding", "groups", "widest"),
    [(4, 4, [4, 4], 4), (4, 5, [4, 5], 5), (4, 22, [4, 4, 4, 4, 4, 3, 3], 4)],
)
def test_windows_beside_full_layers_are_grouped(full, sliding, groups, widest):
    """Groups are as large as the smaller kind, or as the larger if it is little so."""
    found = plan(*[FULL] * full, *[SLIDING] * sliding)
    assert [group.layers for group in found.groups] == groups
    assert found.block_bytes == widest * PAGE
    assert found.blocks_for(32768) == 2048 + 193 * (len(groups) - 1)


@pytest.mark.parametrize("rules", [{"is_hybrid": False}, {}])
def test_windows_may_be_turned_off(rules):
    """Told so, or with chunks, every layer keeps every token in one group."""
    local = SLIDING if rules else CHUNKED
    found = plan(FULL, local, FULL, **rules)
    assert found.token_bytes == 3 * 4096
    assert len(found.groups) == 1


def test_layers_of_one_kind_may_differ_in_size():
    """Full layers of two widths share one group, each with its own page."""
    assert plan(FULL, NARROW).block_bytes == PAGE + PAGE // 2


def test_smaller_pages_get_more_tokens_or_padding():
    """Beside windows, a page that divides the largest gets more tokens."""
    more = plan(SLIDING, NARROW)
    assert {group.page_bytes for group in more.groups} == {PAGE}
    assert [group.block_tokens for group in more.groups] == [16, 32]
    assert [group.block_tokens for group in plan(SLIDING, ODD).groups] == [16, 16]


def test_latent_pages_cannot_be_padded():
    """Latent attention beside windows of another size is not known."""
    with pytest.raises(NotKnown, match="latent attention"):
        plan(LATENT, SLIDING)


def test_states_make_blocks_larger():
    """A state of 1,097,728 bytes needs 272 tokens; a sequence keeps two."""
    found = plan(FULL, STATE, STATE, STATE)
    assert found.groups[0].block_tokens == 272
    assert found.block_bytes == 272 * 4096
    assert found.blocks_for(272) == 1 + 3 * 2
    assert plan(FULL, STATE, is_prefix_caching=False).blocks_for(272) == 2
    assert found.token_bytes == 4096


@pytest.mark.parametrize(
    ("rules", "state_bytes"),
    [
        ({}, 8192 * 3 * 2 + 524288 * 2),
        ({"cards": 2}, 8192 * 3 + 524288),
        ({"state_element_bytes": 4}, 8192 * 3 * 2 + 524288 * 4),
        ({"speculative_tokens": 2}, 8192 * 5 * 2 + 524288 * 2),
    ],
)
def test_a_model_of_states_only(rules, state_bytes):
    """Pure Mamba keeps one state per sequence and layer, whatever its length."""
    found = plan(STATE, STATE, **rules)
    assert found.block_bytes == 2 * state_bytes
    kept = 1 + rules.get("speculative_tokens", 0)
    assert found.blocks_for(10) == found.blocks_for(100_000) == kept


def test_a_state_may_have_its_own_type_and_groups():
    """A state in 32 bits counts so; groups that cannot be divided are copied."""
    assert STATE.state is not None
    own = replace(STATE.state, groups=1, group_channels=256, element_bytes=4)
    found = plan(Layer(LayerKind.RECURRENT, state=own), cards=2)
    assert found.block_bytes == (8192 + 2 * 256) // 2 * 3 * 2 + 524288 // 2 * 4


def test_latent_attention_beside_states_steps_by_128():
    """Blocks of latent attention beside states are multiples of 128 tokens."""
    found = plan(LATENT, STATE)
    assert found.groups[0].block_tokens == 1024
    assert found.groups[0].block_tokens % 128 == 0


def test_a_block_that_is_large_enough_stays():
    """Where a block holds a state already, it is not made larger."""
    assert plan(FULL, STATE, block_tokens=512).groups[0].block_tokens == 512


def test_no_layers_keep_nothing():
    """An encoder has no cache: nothing is needed and no capacity is told."""
    found = plan()
    assert found.needed_bytes(512) == 0
    assert found.capacity_tokens(10**9, 512) is None
    assert found.longest_tokens(0, 512) == 512
    assert found.token_bytes == 0


def test_capacity_and_longest_sequence():
    """Of 101 blocks, one is never given out to a sequence; all count as capacity."""
    found = plan(FULL)
    memory = 101 * PAGE + 5
    assert found.capacity_tokens(memory, 800) == 101 * 16
    assert found.longest_tokens(memory, 32768) == 1600
    assert found.longest_tokens(memory, 100) == 100
    assert found.longest_tokens(PAGE, 100) == 0
    assert found.capacity_tokens(-1, 800) == 0
