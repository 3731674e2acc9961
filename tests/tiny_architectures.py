"""Small models with random weights of other architectures than llama's.

Shapes and keys are those that llama.cpp asks for when it loads such a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tiny_model import CHAT_TEMPLATE, END, add_vocabulary, end

WIDTH, LAYERS, HEADS, KV_HEADS, FEED_FORWARD, VOCABULARY = 64, 2, 4, 2, 96, 300
HEAD = WIDTH // HEADS
EXPERTS, USED, OF_EXPERT = 4, 2, 32
INNER, STATE, RANK, KERNEL = 2 * WIDTH, 16, 8, 4
LATENT, ROTATED = 32, 8

Tensor = tuple[str, tuple[int, ...]]
"""Name and shape of a tensor, as numpy counts its dimensions."""


def write_architecture(path: Path, architecture: str, seed: int = 0) -> Path:
    """Write a model of an architecture of `ARCHITECTURES` and return its path."""
    keys, tensors = ARCHITECTURES[architecture]
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_chat_template(CHAT_TEMPLATE)
    for key, value in keys.items():
        name = f"{architecture}.{key}"
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_uint32(name, value)
    add_vocabulary(writer, VOCABULARY, ["<s>", "</s>"])
    for name, shape in [("token_embd.weight", (VOCABULARY, WIDTH)), *tensors()]:
        values = random.standard_normal(shape) / np.sqrt(shape[-1])
        if name.endswith("norm.weight"):
            values = np.ones(shape)
        elif name.endswith("ssm_a"):
            values = -0.01 * np.abs(random.standard_normal(shape))  # states last
        elif name == "token_embd.weight":
            values = random.standard_normal(shape)
        elif name == "output.weight":
            values = random.standard_normal(shape)
            values[END] = 0.0
        writer.add_tensor(name, values.astype(np.float32))
    end(writer)
    return path


def _attention(layer: int, norms: bool = False) -> Iterator[Tensor]:
    block = f"blk.{layer}"
    yield f"{block}.attn_norm.weight", (WIDTH,)
    yield f"{block}.attn_q.weight", (WIDTH, WIDTH)
    yield f"{block}.attn_k.weight", (HEAD * KV_HEADS, WIDTH)
    yield f"{block}.attn_v.weight", (HEAD * KV_HEADS, WIDTH)
    yield f"{block}.attn_output.weight", (WIDTH, WIDTH)
    if norms:
        yield f"{block}.attn_q_norm.weight", (HEAD,)
        yield f"{block}.attn_k_norm.weight", (HEAD,)


def _feed_forward(layer: int) -> Iterator[Tensor]:
    block = f"blk.{layer}"
    yield f"{block}.ffn_norm.weight", (WIDTH,)
    yield f"{block}.ffn_gate.weight", (FEED_FORWARD, WIDTH)
    yield f"{block}.ffn_up.weight", (FEED_FORWARD, WIDTH)
    yield f"{block}.ffn_down.weight", (WIDTH, FEED_FORWARD)


def _experts(layer: int) -> Iterator[Tensor]:
    block = f"blk.{layer}"
    yield f"{block}.ffn_gate_inp.weight", (EXPERTS, WIDTH)
    yield f"{block}.ffn_gate_exps.weight", (EXPERTS, OF_EXPERT, WIDTH)
    yield f"{block}.ffn_up_exps.weight", (EXPERTS, OF_EXPERT, WIDTH)
    yield f"{block}.ffn_down_exps.weight", (EXPERTS, WIDTH, OF_EXPERT)


def _output() -> Iterator[Tensor]:
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (VOCABULARY, WIDTH)


def _gemma3() -> Iterator[Tensor]:
    yield from _output()
    for layer in range(LAYERS):
        yield from _attention(layer, norms=True)
        yield from _feed_forward(layer)
        yield f"blk.{layer}.post_attention_norm.weight", (WIDTH,)
        yield f"blk.{layer}.post_ffw_norm.weight", (WIDTH,)


def _qwen3moe() -> Iterator[Tensor]:
    yield from _output()
    for layer in range(LAYERS):
        yield from _attention(layer, norms=True)
        yield f"blk.{layer}.ffn_norm.weight", (WIDTH,)
        yield from _experts(layer)


def _gpt_oss() -> Iterator[Tensor]:
    yield from _output()
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield from _attention(layer)
        yield f"{block}.attn_output.bias", (WIDTH,)
        yield f"{block}.attn_sinks.weight", (HEADS,)
        yield f"{block}.post_attention_norm.weight", (WIDTH,)
        yield from _experts(layer)
        yield f"{block}.ffn_gate_inp.bias", (EXPERTS,)
        yield f"{block}.ffn_gate_exps.bias", (EXPERTS, OF_EXPERT)
        yield f"{block}.ffn_up_exps.bias", (EXPERTS, OF_EXPERT)
        yield f"{block}.ffn_down_exps.bias", (EXPERTS, WIDTH)


def _mamba() -> Iterator[Tensor]:
    yield from _output()
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (WIDTH,)
        yield f"{block}.ssm_in.weight", (2 * INNER, WIDTH)
        yield f"{block}.ssm_conv1d.weight", (INNER, KERNEL)
        yield f"{block}.ssm_conv1d.bias", (INNER,)
        yield f"{block}.ssm_x.weight", (RANK + 2 * STATE, INNER)
        yield f"{block}.ssm_dt.weight", (INNER, RANK)
        yield f"{block}.ssm_dt.bias", (INNER,)
        yield f"{block}.ssm_a", (INNER, STATE)
        yield f"{block}.ssm_d", (INNER,)
        yield f"{block}.ssm_out.weight", (WIDTH, INNER)


def _lfm2() -> Iterator[Tensor]:
    yield "token_embd_norm.weight", (WIDTH,)
    yield "output.weight", (VOCABULARY, WIDTH)
    yield "blk.0.attn_norm.weight", (WIDTH,)
    yield "blk.0.shortconv.conv.weight", (WIDTH, KERNEL)
    yield "blk.0.shortconv.in_proj.weight", (3 * WIDTH, WIDTH)
    yield "blk.0.shortconv.out_proj.weight", (WIDTH, WIDTH)
    yield from _attention(1, norms=True)
    for layer in range(LAYERS):
        yield from _feed_forward(layer)


def _deepseek2() -> Iterator[Tensor]:
    yield from _output()
    head = HEAD + ROTATED
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (WIDTH,)
        yield f"{block}.attn_q_a_norm.weight", (LATENT,)
        yield f"{block}.attn_kv_a_norm.weight", (LATENT,)
        yield f"{block}.attn_q_a.weight", (LATENT, WIDTH)
        yield f"{block}.attn_q_b.weight", (HEADS * head, LATENT)
        yield f"{block}.attn_kv_a_mqa.weight", (LATENT + ROTATED, WIDTH)
        yield f"{block}.attn_k_b.weight", (HEADS, LATENT, HEAD)
        yield f"{block}.attn_v_b.weight", (HEADS, HEAD, LATENT)
        yield f"{block}.attn_output.weight", (WIDTH, HEADS * HEAD)
        if layer == 0:
            yield from _feed_forward(layer)
            continue
        yield f"{block}.ffn_norm.weight", (WIDTH,)
        yield from _experts(layer)
        yield f"{block}.ffn_gate_shexp.weight", (OF_EXPERT, WIDTH)
        yield f"{block}.ffn_up_shexp.weight", (OF_EXPERT, WIDTH)
        yield f"{block}.ffn_down_shexp.weight", (WIDTH, OF_EXPERT)


_ATTENTION: dict[str, Any] = {
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.key_length": HEAD,
    "attention.value_length": HEAD,
    "rope.dimension_count": HEAD,
}
_EXPERTS: dict[str, Any] = {
    "expert_count": EXPERTS,
    "expert_used_count": USED,
    "expert_feed_forward_length": OF_EXPERT,
}

ARCHITECTURES: dict[str, tuple[dict[str, Any], Any]] = {
    "gemma3": (_ATTENTION | {"attention.sliding_window": 32}, _gemma3),
    "qwen3moe": (_ATTENTION | _EXPERTS, _qwen3moe),
    "gpt-oss": (_ATTENTION | _EXPERTS | {"attention.sliding_window": 32}, _gpt_oss),
    "mamba": (
        {
            "ssm.conv_kernel": KERNEL,
            "ssm.inner_size": INNER,
            "ssm.state_size": STATE,
            "ssm.time_step_rank": RANK,
            "attention.head_count": 0,
        },
        _mamba,
    ),
    "lfm2": (
        _ATTENTION | {"attention.head_count_kv": [0, KV_HEADS], "shortconv.l_cache": KERNEL},
        _lfm2,
    ),
    "deepseek2": (
        {
            **_EXPERTS,
            "attention.head_count": HEADS,
            "attention.head_count_kv": 1,
            "attention.q_lora_rank": LATENT,
            "attention.kv_lora_rank": LATENT,
            "attention.key_length": LATENT + ROTATED,
            "attention.value_length": LATENT,
            "attention.key_length_mla": HEAD + ROTATED,
            "attention.value_length_mla": HEAD,
            "rope.dimension_count": ROTATED,
            "leading_dense_block_count": 1,
            "expert_shared_count": 1,
        },
        _deepseek2,
    ),
}
"""Keys and tensors: a sliding window, experts, both with sinks (gpt-oss), a recurrent model, a
hybrid one, and latent attention (MLA)."""
