"""How much a sequence keeps in memory beside the weights: its KV cache and its recurrent state.

Counted as llama.cpp allocates both (`llama_hparams`, `llama_kv_cache`, `llama_memory_recurrent`),
for a context as the engine makes it: sliding windows keep every token (`swa_full`), and without
flash attention every layer keeps values as wide as the widest. Indexers of sparse attention
(DeepSeek V3.2 and later) are not counted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from experiments.weights.header import Header

_RECURRENT = ("ssm_", "time_mix_", "shortconv.")
"""How names of tensors begin that only recurrent layers have."""

Shapes = Mapping[str, tuple[int, ...]]


def kv_values_per_token(found: Header) -> int:
    """Return how many numbers are kept in the KV cache for one token; 0 if it is not known."""
    keys, values = [], []
    shared = found.of_architecture("attention.shared_kv_layers") or 0
    of_layer = _layers(found)
    for layer, shapes in enumerate(of_layer[: len(of_layer) - shared]):
        heads = _heads(found, layer)
        if heads and _has_attention(shapes):
            keys.append(_width(found, shapes, "key", heads))
            values.append(_width(found, shapes, "value", heads))
    if found.of_architecture("attention.key_length_mla"):
        return sum(keys)  # one compressed row, which holds the values as well
    return sum(keys) + max(values, default=0) * len(values)


def most_heads(found: Header) -> int:
    """Return the number of attention heads of the layer that has most; 0 if it is not known."""
    value = found.metadata.get(f"{found.architecture}.attention.head_count")
    counts = value if isinstance(value, tuple) else (value,)
    return max((count for count in counts if type(count) is int), default=0)


def state_bytes(found: Header) -> int:
    """Return the bytes that a sequence of any length keeps in recurrent layers."""

    def number(key: str) -> int:
        return found.of_architecture(key) or 0

    width, heads = number("embedding_length"), number("attention.head_count")
    inner, state = number("ssm.inner_size"), number("ssm.state_size")
    steps = max(number("ssm.conv_kernel") - 1, 0)
    if head := number("wkv.head_size"):  # RWKV
        values = width * ((number("token_shift_count") or 2) + head)
    elif length := number("shortconv.l_cache"):  # LFM2
        values = width * (length - 1)
    elif head := number("kda.head_dim"):  # Kimi's delta attention
        values = heads * head * (3 * steps + head)
    else:  # Mamba, and gated delta nets
        values = steps * (inner + 2 * number("ssm.group_count") * state) + inner * state
    return 4 * values * sum(map(_is_recurrent, _layers(found)))


def _layers(found: Header) -> list[Shapes]:
    """Return each layer's tensors by name; without layers that predict further tokens."""
    by_layer: defaultdict[int, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for tensor in found.tensors:
        if name := re.fullmatch(r"blk\.(\d{1,4})\.(.+)", tensor.name):
            by_layer[int(name[1])][name[2]] = tensor.shape
    count = found.of_architecture("block_count") or 0
    count -= found.of_architecture("nextn_predict_layers") or 0
    return [by_layer[layer] for layer in range(min(count, 10_000))]


def _is_recurrent(shapes: Shapes) -> bool:
    return any(name.startswith(_RECURRENT) for name in shapes)


def _has_attention(shapes: Shapes) -> bool:
    """Return whether a layer keeps keys and values; gated delta nets name theirs `attn_qkv`."""
    if _is_recurrent(shapes):
        return "attn_k.weight" in shapes
    return any(name.startswith("attn_") and "norm" not in name for name in shapes)


def _heads(found: Header, layer: int) -> int:
    """Return the number of KV heads of a layer."""
    for key in ("head_count_kv", "head_count"):
        value = found.metadata.get(f"{found.architecture}.attention.{key}")
        if isinstance(value, tuple):  # one per layer
            value = value[layer] if layer < len(value) else 0
        if type(value) is int:
            return value
    return 0


def _width(found: Header, shapes: Shapes, what: str, heads: int) -> int:
    """Return how many numbers a layer keeps of a token, as keys or as values."""
    of_tensor = shapes.get(f"attn_{what[0]}.weight", ())
    if len(of_tensor) == 2:
        return of_tensor[1]
    length = found.of_architecture(f"attention.{what}_length")
    if length is None:
        all_heads = found.of_architecture("attention.head_count") or 1
        length = (found.of_architecture("embedding_length") or 0) // all_heads
    return heads * length
