"""How much memory a model needs, told before it is loaded."""

from __future__ import annotations

from experiments.backends import Memory
from experiments.environment import machine
from experiments.environment.terminal import counted
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

MARGIN = 192 * machine.MEBIBYTE
"""The process itself and llama.cpp's buffers for intermediate results."""

SHORTER = (4096, 2048, 1024)
"""Contexts that are proposed, in tokens."""


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


def need(weights: Weights, tokens: int, sequences: int, kv_type: str, at_once: int = 0) -> Memory:
    """Return how much memory a model takes, and why it is refused if that is not there.

    Args:
        weights: to be loaded.
        tokens: of the longest sequence.
        sequences: decoded at once.
        kv_type: numbers in the KV cache.
        at_once: tokens of a pass whose attention scores are kept; 0 with flash attention.
    """
    spare = SPARE_STREAMS if weights.state_bytes else 0

    def beside(length: int, streams: int, kind: str, kept: int) -> float:
        """Return the bytes that are needed beside the weights."""
        cache = kv_bytes(weights, length, kind) * (streams + spare)
        return cache + 4 * weights.vocabulary * streams + 4 * weights.heads * kept * length + MARGIN

    there = machine.memory_available()
    usual = beside(tokens, sequences, kv_type, at_once)
    needed = weights.bytes + usual
    if needed <= there:
        return Memory(needed, there)

    def fits(length: int, streams: int, kind: str, kept: int) -> bool:
        return weights.bytes + beside(length, streams, kind, kept) <= there

    sizes = {name: weights.parameters * BITS_PER_WEIGHT[name] / 8 for name in USUAL_LEVELS}
    levels = [
        name for name, size in sizes.items() if size < weights.bytes and size + usual <= there
    ]
    shorter = next((n for n in SHORTER if n < tokens and fits(n, sequences, kv_type, at_once)), 0)
    hints = []
    if fits(tokens, sequences, kv_type, 0):
        hints.append("It would fit with backend.flash_attention=true, which keeps no scores.")
    if levels:
        hints.append(f"These would fit: quantization={','.join(levels)}.")
    if sequences > 1 and fits(tokens, 1, kv_type, at_once):
        hints.append("It would fit with fewer at once: backend.parallel=1.")
    if kv_type != "q8_0" and fits(tokens, sequences, "q8_0", 0):
        smaller = "backend.flash_attention=true backend.kv_type=q8_0"
        hints.append(f"It would fit with a smaller cache: {smaller}.")
    if shorter:
        hints.append(f"It would fit with a shorter context: backend.context_tokens={shorter}.")
    cache = kv_bytes(weights, tokens, kv_type) * (sequences + spare)
    refusal = BackendError(
        f"Not enough memory for {weights.path}: {_size(needed)} needed (weights "
        f"{_size(weights.bytes)}, {counted(sequences, 'sequence')} of {tokens} tokens "
        f"{_size(cache)}, scores of attention {_size(4 * weights.heads * at_once * tokens)}), "
        f"{_size(there)} there",
        " ".join(hints)
        or "No quantization of it would fit: choose a smaller model, or free some memory.",
    )
    return Memory(needed, there, refusal)


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
