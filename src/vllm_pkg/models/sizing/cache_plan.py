"""
How vLLM lays out the KV cache, block by block. Pure.

All cards keep the same blocks. One block of the shared pool holds the pages of one
group of layers; groups take their blocks out of the same pool, so a sequence costs the
sum over the groups.
Source: vLLM 0.32, v1/kv_cache_interface.py (pages, what a sequence needs at most),
v1/core/kv_cache_utils.py (groups, equal pages, the check at start-up), and
platforms/interface.py, _align_hybrid_block_size (pages of recurrent states).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.architecture import Layer, LayerKind
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.models.sizing.architecture import Architecture, State

# Kernels of latent attention want so many tokens beside recurrent states.
_MLA_STEP_TOKENS: Final = 128
_ALIGNED_STATES: Final = 2


@dataclass(frozen=True)
class CacheRules:
    """
    How the engine is told to keep its cache.

    Args:
        value_bytes: Size of one number in the KV cache.
        model_bytes: Size of one number in the model's own type.
        cards: Cards that share every layer.
        block_tokens: Tokens per block.
        step_tokens: Blocks grow by a multiple of so many tokens.
        in_flight_tokens: Tokens that are computed at once and not yet settled.
        is_prefix_caching: Whether states are kept for later requests.
        is_hybrid: Whether windows save memory; else every layer keeps every token.
        state_element_bytes: Size of a recurrent state's numbers if the engine decides.
        speculative_tokens: Tokens that are drafted ahead.
    """

    value_bytes: int
    model_bytes: int
    cards: int
    block_tokens: int
    step_tokens: int
    in_flight_tokens: int
    is_prefix_caching: bool = True
    is_hybrid: bool = True
    state_element_bytes: int | None = None
    speculative_tokens: int = 0


@dataclass(frozen=True)
class Group:
    """
    Layers that share their blocks.

    Args:
        layers: How many.
        kind: What they are.
        block_tokens: Tokens per block; of no meaning for a state.
        page_bytes: What one layer takes of a block.
        window_tokens: Of a sliding window; else None.
        states: Blocks that a sequence keeps whatever its length; 0 for attention.
    """

    layers: int
    kind: LayerKind
    block_tokens: int
    page_bytes: int
    window_tokens: int | None = None
    states: int = 0


@dataclass(frozen=True)
class CachePlan:
    """
    The layout.

    Args:
        groups: The groups of layers; none for a model without a cache.
        block_bytes: Bytes of one block on one card.
        in_flight_tokens: As in the rules.
    """

    groups: tuple[Group, ...]
    block_bytes: int
    in_flight_tokens: int

    def blocks_for(self, tokens: int) -> int:
        """Return the blocks that one sequence of *tokens* takes at most."""
        return sum(self._blocks(group, tokens) for group in self.groups)

    def sequence_bytes(self, tokens: int) -> int:
        """Return the bytes that one sequence of *tokens* takes on one card."""
        return self.block_bytes * self.blocks_for(tokens)

    @property
    def token_bytes(self) -> float:
        """Bytes that each further token of a long sequence takes on one card."""
        return sum(
            self.block_bytes / group.block_tokens
            for group in self.groups
            if not group.states and group.window_tokens is None
        )

    def needed_bytes(self, tokens: int) -> int:
        """Return the least memory with which vLLM starts for such sequences."""
        # One block is never given out.
        return self.sequence_bytes(tokens) + self.block_bytes

    def capacity_tokens(self, memory_bytes: int, longest_tokens: int) -> int | None:
        """Return the tokens that vLLM reports to hold; None without a cache."""
        if not self.groups:
            return None
        blocks = max(0, memory_bytes) // self.block_bytes
        return blocks * longest_tokens // self.blocks_for(longest_tokens)

    def longest_tokens(self, memory_bytes: int, limit_tokens: int) -> int:
        """Return the longest sequence up to a limit that fits; 0 when none does."""
        fitting, beyond = 0, limit_tokens + 1
        while beyond - fitting > 1:
            middle = (fitting + beyond) // 2
            if self.needed_bytes(middle) <= memory_bytes:
                fitting = middle
            else:
                beyond = middle
        return fitting

    def _blocks(self, group: Group, tokens: int) -> int:
        if group.states:
            return group.states
        if group.window_tokens is None:
            return -(-tokens // group.block_tokens)
        # A window may begin in the middle of a block.
        kept = min(group.window_tokens - 1 + self.in_flight_tokens, tokens)
        return -(-kept // group.block_tokens) + 1


def plan_cache(architecture: Architecture, rules: CacheRules) -> CachePlan:
    """
    Lay out the cache of a model.

    Args:
        architecture: The model.
        rules: How the engine is told to keep it.
    Raises:
        NotKnown: the pages of its layers cannot be made equal as vLLM does it.
    """
    pages = Counter(_pages(architecture.layers, rules))
    if not pages:
        return CachePlan((), 0, rules.in_flight_tokens)
    shapes = {(page.kind, page.window_tokens) for page in pages}
    if len(pages) == 1 or (len(shapes) == 1 and not any(p.states for p in pages)):
        return _one_group(pages, rules)
    return _many_groups(_equal_pages(pages), rules)


def _pages(layers: Sequence[Layer], rules: CacheRules) -> list[Group]:
    """Return a group of one layer for each layer."""
    chunked = any(layer.kind is LayerKind.CHUNKED for layer in layers)
    if chunked or not rules.is_hybrid:
        # vLLM turns windows off for chunks: every layer keeps every token.
        layers = [_kept_whole(layer) for layer in layers]
    attention = [layer for layer in layers if layer.state is None]
    states = [layer.state for layer in layers if layer.state is not None]
    block_tokens = rules.block_tokens
    state_bytes = max((_state_bytes(state, rules) for state in states), default=0)
    if states and attention:
        token_bytes = _token_bytes(attention[0], rules)
        step = max(rules.step_tokens, block_tokens)
        if attention[0].kind is LayerKind.MLA:
            step = max(step, _MLA_STEP_TOKENS)
        fitting = step * -(-state_bytes // (step * token_bytes))
        block_tokens = max(block_tokens, fitting)
        state_bytes = block_tokens * token_bytes
    kept = _ALIGNED_STATES if attention and rules.is_prefix_caching else 1
    state = Group(
        layers=1,
        kind=LayerKind.RECURRENT,
        block_tokens=block_tokens,
        page_bytes=state_bytes,
        states=kept + rules.speculative_tokens,
    )
    return [
        state if layer.state is not None else _attention(layer, block_tokens, rules)
        for layer in layers
    ]


def _kept_whole(layer: Layer) -> Layer:
    if layer.kind in {LayerKind.SLIDING, LayerKind.CHUNKED}:
        return replace(layer, kind=LayerKind.FULL, window_tokens=None)
    return layer


def _attention(layer: Layer, block_tokens: int, rules: CacheRules) -> Group:
    return Group(
        layers=1,
        kind=layer.kind,
        block_tokens=block_tokens,
        page_bytes=block_tokens * _token_bytes(layer, rules),
        window_tokens=layer.window_tokens,
    )


def _token_bytes(layer: Layer, rules: CacheRules) -> int:
    # Of latent attention every card keeps the whole, and no separate values.
    if layer.kind is LayerKind.MLA:
        return layer.head_dim * rules.value_bytes
    heads = max(1, layer.kv_heads // rules.cards)
    return 2 * heads * layer.head_dim * rules.value_bytes


def _state_bytes(state: State, rules: CacheRules) -> int:
    groups = state.groups
    if groups and groups % rules.cards:
        groups = rules.cards
    channels = (state.channels + groups * state.group_channels) // rules.cards
    steps = state.steps + rules.speculative_tokens
    element_bytes = (
        rules.state_element_bytes or state.element_bytes or rules.model_bytes
    )
    elements = state.elements // rules.cards
    return channels * steps * rules.model_bytes + elements * element_bytes


def _one_group(pages: Counter[Group], rules: CacheRules) -> CachePlan:
    """Put layers of one kind together, also when their pages differ."""
    block_bytes = sum(page.page_bytes * count for page, count in pages.items())
    first = next(iter(pages))
    group = replace(first, layers=pages.total())
    return CachePlan((group,), block_bytes, rules.in_flight_tokens)


def _equal_pages(pages: Counter[Group]) -> Counter[Group]:
    """Make all pages as large as the largest, by more tokens or by padding."""
    largest = max(page.page_bytes for page in pages)
    equal: Counter[Group] = Counter()
    for page, count in pages.items():
        times, rest = divmod(largest, page.page_bytes)
        if rest and page.kind is LayerKind.MLA:
            raise NotKnown("its latent attention stands beside layers of other sizes")
        # A state has no tokens to add, and a page that does not divide is padded.
        tokens = page.block_tokens * (1 if rest or page.states else times)
        same = replace(page, page_bytes=largest, block_tokens=tokens)
        equal[same] += count
    return equal


def _many_groups(pages: Counter[Group], rules: CacheRules) -> CachePlan:
    """Split layers into groups of about equal size, as vLLM pads them."""
    fewest, most = min(pages.values()), max(pages.values())
    # Rather padding than a second group for a few layers more.
    size = most if most < fewest * 1.5 else fewest
    groups = []
    for page, count in pages.items():
        number = -(-count // size)
        shares = [len(range(first, count, number)) for first in range(number)]
        groups += [replace(page, layers=share) for share in shares]
    widest = max(group.layers for group in groups)
    page_bytes = groups[0].page_bytes
    return CachePlan(tuple(groups), page_bytes * widest, rules.in_flight_tokens)
