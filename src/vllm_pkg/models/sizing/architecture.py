"""
The shape of a model, as far as memory depends on it. Values only.

Sizes are those of the whole model; what a single card holds of it is for the cache and
the weights to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LayerKind(StrEnum):
    """How a layer remembers what it has read."""

    FULL = "full attention"
    SLIDING = "sliding-window attention"
    CHUNKED = "chunked attention"
    MLA = "multi-head latent attention"
    RECURRENT = "recurrent state"


@dataclass(frozen=True)
class State:
    """
    What a Mamba or linear-attention layer keeps per sequence, however long it is.

    Args:
        channels: Channels of its convolution, without those of groups.
        groups: Groups whose channels every card needs whole (Mamba 2), or 0.
        group_channels: Channels per group.
        steps: Tokens that the convolution remembers.
        elements: Numbers in the recurrent state.
        heads: What a number of cards must divide.
        element_bytes: Size of one of these numbers; None when it is the model's.
    """

    channels: int
    groups: int
    group_channels: int
    steps: int
    elements: int
    heads: int
    element_bytes: int | None = None


@dataclass(frozen=True)
class Layer:
    """
    One layer that keeps something between tokens.

    Args:
        kind: How.
        kv_heads: Key-value heads; 1 for latent attention, 0 without attention.
        head_dim: Numbers per head; of latent attention, the latent and its position.
        window_tokens: How far a sliding window or a chunk reaches; else None.
        state: Of a recurrent layer; else None.
    """

    kind: LayerKind
    kv_heads: int = 0
    head_dim: int = 0
    window_tokens: int | None = None
    state: State | None = None


@dataclass(frozen=True)
class Architecture:
    """
    What ``config.json`` says about memory.

    Args:
        model_type: The family's name in the config.
        layers: The layers that keep something, in order; empty for an encoder.
        hidden_layers: Layers that the config counts, to tell further ones apart.
        hidden_size: Width of the hidden state.
        attention_heads: Query heads; 0 without attention.
        vocabulary: Number of tokens.
        mlp_width: Numbers per token in the widest feed-forward layer; with experts, of
            all that one token uses.
        context_tokens: Longest sequence; None when the config does not say.
        value_bytes: Size of one number in the model's own type; None if not said.
        quantization: How the weights are stored compressed; None when they are not.
        cache_value_bytes: Size of one number in the KV cache when the checkpoint asks
            for its own; else None.
        is_tied: Whether the output layer is the embedding, stored or not.
    """

    model_type: str
    layers: tuple[Layer, ...]
    hidden_layers: int
    hidden_size: int
    attention_heads: int
    vocabulary: int
    mlp_width: int
    context_tokens: int | None
    value_bytes: int | None
    quantization: str | None = None
    cache_value_bytes: int | None = None
    is_tied: bool = False

    def splits_over(self, cards: int) -> bool:
        """
        Return whether a number of cards can share the model.

        Source: vLLM 0.32, ModelConfig.verify_with_parallel_config; fewer key-value
        heads than cards are copied to equal numbers of cards.
        """
        heads = {layer.kv_heads for layer in self.layers if layer.kv_heads}
        states = {layer.state.heads for layer in self.layers if layer.state}
        return (
            self.attention_heads % cards == 0
            and all(count % cards == 0 for count in states)
            and all(count % cards == 0 or cards % count == 0 for count in heads)
        )
