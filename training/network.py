"""The llama architecture in torch, small, with weights named as llama.cpp names them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the network.

    Width and feed-forward width are multiples of 256, the block of llama.cpp's k-quants;
    else it would fall back to other types for those rows.
    """

    vocabulary: int = 1536
    context: int = 4096
    layers: int = 4
    width: int = 256
    feed_forward: int = 768
    heads: int = 4
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class Llama(nn.Module):
    """Token ids (batch, length) → logits (batch, length, vocabulary).

    Input and output embedding are the same matrix, as in a GGUF without `output.weight`.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("output.weight", "down.weight"))
                deviation = 0.02 / (2 * shape.layers) ** 0.5 if residual else 0.02
                nn.init.normal_(weight, std=deviation)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of the token after each token."""
        rotation = _rotation(ids.shape[1], self.shape)
        state = self.embedding(ids)
        for block in self.blocks:
            state = block(state, rotation)
        return functional.linear(self.norm(state), self.embedding.weight)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights under the names that a GGUF of this architecture has."""
        named = {"token_embd.weight": self.embedding.weight, "output_norm.weight": self.norm.weight}
        for number, block in enumerate(self.blocks):
            for name, layer in block.named_children():
                named[f"blk.{number}.{_GGUF_NAMES[name]}.weight"] = layer.weight
        return {name: weight.detach().float() for name, weight in named.items()}


_GGUF_NAMES = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "feed_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


class _Block(nn.Module):
    """Attention, then the gated feed-forward network, each on a normalized residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        linear: Any = lambda rows, columns: nn.Linear(rows, columns, bias=False)  # noqa: E731
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.query = linear(shape.width, shape.width)
        self.key = linear(shape.width, shape.width)
        self.value = linear(shape.width, shape.width)
        self.output = linear(shape.width, shape.width)
        self.feed_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.gate = linear(shape.width, shape.feed_forward)
        self.up = linear(shape.width, shape.feed_forward)
        self.down = linear(shape.feed_forward, shape.width)

    def forward(self, state: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Return the state after this layer."""
        batch, length, width = state.shape
        normed = self.attention_norm(state)
        query, key, value = (
            layer(normed).view(batch, length, self.shape.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(
            _rotate(query, rotation), _rotate(key, rotation), value, is_causal=True
        )
        state = state + self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        normed = self.feed_norm(state)
        return state + self.down(functional.silu(self.gate(normed)) * self.up(normed))


def _rotation(length: int, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of RoPE's angles, (length, head width / 2)."""
    exponents = torch.arange(0, shape.head_width, 2) / shape.head_width
    angles = torch.outer(torch.arange(length), shape.rope_base**-exponents)
    return angles.cos(), angles.sin()


def _rotate(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate neighbouring pairs, as llama.cpp does for this architecture."""
    cosine, sine = (part.to(heads.dtype) for part in rotation)
    even, odd = heads[..., 0::2], heads[..., 1::2]
    pairs = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1)
    return pairs.flatten(-2)
