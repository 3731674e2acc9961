"""How much memory a model needs, told before it is loaded."""

from __future__ import annotations

from experiments.environment import machine
from experiments.errors import BackendError
from experiments.records import Weights
from experiments.schema import BITS_PER_WEIGHT

MOST_AT_ONCE = 16
"""Beyond this many sequences, two cores gain little and memory is better left alone."""

BYTES_PER_VALUE = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}

USUAL_LEVELS = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k")
"""Of the levels that would fit, those that are proposed."""

SPARE_STREAMS = 2
"""Streams beside those of the sequences, where states are kept that prompts share."""

MARGIN_BYTES = 192 * machine.MEBIBYTE
"""The process itself and llama.cpp's buffers for intermediate results."""


def parallel(weights: Weights, context_tokens: int, kv_type: str) -> int:
    """Return how many sequences are decoded at once by default.

    It depends on the machine and the model, and not on what happens to be free at the
    moment: the same command finds its generations again.
    """
    most = MOST_AT_ONCE if machine.cores() <= 4 else 2 * MOST_AT_ONCE
    each = kv_bytes(weights, context_tokens, kv_type)
    if not each:
        return most
    room = (machine.memory_total() - weights.bytes) / 2
    return max(1, min(most, int(room / each)))


def kv_bytes(weights: Weights, tokens: int, kv_type: str) -> float:
    """Return the bytes that a sequence of so many tokens keeps; 0 if it is not known.

    Keys and values of each token, and the state of recurrent layers.
    """
    return weights.kv_values_per_token * tokens * BYTES_PER_VALUE[kv_type] + weights.state_bytes


def check(weights: Weights, tokens: int, sequences: int, kv_type: str, at_once: int) -> None:
    """Say now if the model does not fit into memory.

    Args:
        weights: to be loaded.
        tokens: of the longest sequence.
        sequences: decoded at once.
        kv_type: numbers in the KV cache.
        at_once: tokens of a pass whose attention scores are kept; 0 with flash attention.

    Raises:
        BackendError: it does not fit; names what would.
    """
    spare = SPARE_STREAMS if weights.state_bytes else 0
    cache = kv_bytes(weights, tokens, kv_type) * (sequences + spare)
    logits = 4 * weights.vocabulary * sequences
    scores = 4 * weights.heads * at_once * tokens
    beside = cache + logits + scores + MARGIN_BYTES
    needed = weights.bytes + beside
    there = machine.memory_available()
    if needed <= there:
        return
    sizes = {name: weights.parameters * BITS_PER_WEIGHT[name] / 8 for name in USUAL_LEVELS}
    fitting = [
        name for name, size in sizes.items() if size < weights.bytes and size + beside <= there
    ]
    one = kv_bytes(weights, tokens, kv_type) * (1 + spare) + scores + MARGIN_BYTES
    if fitting:
        hint = f"These would fit: quantization={','.join(fitting)}."
    elif sequences > 1 and weights.bytes + one <= there:
        hint = "It would fit with fewer at once: backend.parallel=1."
    else:
        hint = "No quantization of it would fit: choose a smaller model, or free some memory."
    if fitting and sequences > 1 and weights.bytes + one <= there:
        hint += " So would this one, with fewer at once: backend.parallel=1."
    if needed - scores <= there:
        hint = "It would fit with backend.flash_attention=true, which keeps no scores. " + hint
    raise BackendError(
        f"Not enough memory for {weights.path}: {_size(needed)} needed (weights "
        f"{_size(weights.bytes)}, {sequences} sequences of {tokens} tokens {_size(cache)}, scores "
        f"of attention {_size(scores)}), "
        f"{_size(there)} there",
        hint,
    )


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
