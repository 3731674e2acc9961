"""How fast this machine prefills and decodes with weights of one type, in a few seconds.

    measure(tensor_type, threads, folder)

A llama of the shape below is written as a file of zeros, which takes no room on the disk, and is
run by llama.cpp in a process of its own, with bare calls of `llama_decode`. Zeros take as long
as other weights: no kernel looks at what it multiplies. `experiment.estimating` says what the
figures are used for.
"""

from __future__ import annotations

import json
import secrets
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.backends.llama_cpp.host import environment
from experiments.errors import BackendError

WIDTH, FEED_FORWARD, HEADS, KV_HEADS, VOCABULARY = 2048, 5632, 32, 8, 256
KV_WIDTH = WIDTH // HEADS * KV_HEADS
MOST_LAYERS = 8
FILE_BYTES = 250e6
"""More than the caches of a processor hold, for all that is read in a step."""

SEQUENCES = (1, 2, 4, 8, 16)
"""Decoded at once, when steps are timed."""

STEPS, PROMPT_TOKENS, STREAM_TOKENS = 5, 512, 1024
DEEPER_TOKENS = 512
"""By how much longer the texts of a deep step are: llama.cpp counts in multiples of 256."""

PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class TensorType:
    """A type of tensor: ggml's number and name, weights per block and bytes per block."""

    number: int
    name: str
    block: int
    block_bytes: int

    @property
    def layers(self) -> int:
        """The layers of the model that is measured with."""
        bytes_per_layer = _weights_per_layer() * self.block_bytes / self.block
        return max(2, min(MOST_LAYERS, round(FILE_BYTES / bytes_per_layer)))


def measure(kind: TensorType, threads: int, folder: Path) -> dict[str, Any]:
    """Return how fast this machine is with weights of one type, as `estimating.Cost` has it.

    As plain data: `prefill`, `attention`, and `steps`, whose numbers of sequences are texts.

    Args:
        kind: of the weights.
        threads: of llama.cpp.
        folder: for a file of zeros, which is removed again.

    Raises:
        BackendError: llama.cpp failed, or the file cannot be written.
    """
    path = folder / f".measured-{kind.name}-{secrets.token_hex(6)}.gguf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, kind)
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(path), str(threads), str(kind.layers)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BackendError(
            f"This machine could not be measured with {kind.name}: {error}",
            "Leave out --measure: the estimate is then rougher.",
        ) from None
    finally:
        path.unlink(missing_ok=True)


def _matrices(layer: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, columns and rows of a layer's matrices."""
    for name, columns, rows in (
        ("attn_q", WIDTH, WIDTH),
        ("attn_k", WIDTH, KV_WIDTH),
        ("attn_v", WIDTH, KV_WIDTH),
        ("attn_output", WIDTH, WIDTH),
        ("ffn_gate", WIDTH, FEED_FORWARD),
        ("ffn_up", WIDTH, FEED_FORWARD),
        ("ffn_down", FEED_FORWARD, WIDTH),
    ):
        yield f"blk.{layer}.{name}.weight", columns, rows


def _weights_per_layer() -> int:
    return sum(columns * rows for _, columns, rows in _matrices(0))


def _write(path: Path, kind: TensorType) -> None:
    """Write a GGUF whose tensors are all zero: a header, and a hole behind it."""
    number: dict[str, int] = {
        "context_length": STREAM_TOKENS,
        "embedding_length": WIDTH,
        "block_count": kind.layers,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "vocab_size": VOCABULARY,
    }
    entries = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("tokenizer.ggml.model") + struct.pack("<I", 8) + _text("no_vocab"),
        _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", 6, 1e-5),
        *(_text(f"llama.{key}") + struct.pack("<II", 4, value) for key, value in number.items()),
    ]
    single = TensorType(0, "f32", 1, 4)
    tensors: list[tuple[str, tuple[int, ...], TensorType]] = [
        ("token_embd.weight", (WIDTH, VOCABULARY), kind),
        ("output_norm.weight", (WIDTH,), single),
    ]
    for layer in range(kind.layers):
        tensors += [(name, (columns, rows), kind) for name, columns, rows in _matrices(layer)]
        norms = ("attn_norm", "ffn_norm")
        tensors += [(f"blk.{layer}.{norm}.weight", (WIDTH,), single) for norm in norms]
    described, offset = b"", 0
    for name, shape, of in tensors:
        count = 1
        for length in shape:
            count *= length
        described += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        described += struct.pack("<IQ", of.number, offset)
        offset += _padded(count // of.block * of.block_bytes)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    header += b"".join(entries) + described
    with path.open("wb") as file:
        file.write(header)
        file.truncate(_padded(len(header)) + offset)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _padded(length: int) -> int:
    return -(-length // 32) * 32


class _Measured:
    """The model in memory, in the process that measures."""

    def __init__(self, path: str, threads: int) -> None:
        import llama_cpp.llama_cpp as llama

        from experiments.backends.llama_cpp.batch import Batch
        from experiments.backends.llama_cpp.engine import Settings, context_parameters
        from experiments.backends.llama_cpp.model import Model

        most = max(SEQUENCES)
        self._llama = llama
        self._model = Model(path, memory_map=False)  # a hole is not to be mapped
        settings = Settings(most, threads, STREAM_TOKENS, PROMPT_TOKENS, PROMPT_TOKENS)
        parameters = context_parameters(settings, STREAM_TOKENS, most)
        self._context = llama.llama_init_from_model(self._model.pointer, parameters)
        if not self._context:
            raise SystemExit("llama.cpp could not make a context for the model of zeros")
        self._batch = Batch(PROMPT_TOKENS)

    def prefill(self) -> float:
        """Return the seconds of a prompt in the first sequence, which is then as long."""
        return self._decode([(0, position) for position in range(PROMPT_TOKENS)], 1)

    def steps(self, sequences: int, position: int) -> float:
        """Return the median of some steps, of texts of that length."""
        return statistics.median(
            self._decode([(one, position + step) for one in range(sequences)], sequences)
            for step in range(STEPS)
        )

    def clear(self) -> None:
        """Make all sequences empty."""
        memory = self._llama.llama_get_memory(self._context)
        self._llama.llama_memory_clear(memory, True)

    def copy(self) -> None:
        """Make all sequences like the first."""
        memory = self._llama.llama_get_memory(self._context)
        for other in range(1, max(SEQUENCES)):
            self._llama.llama_memory_seq_cp(memory, 0, other, -1, -1)

    def _decode(self, rows: list[tuple[int, int]], outputs: int) -> float:
        self._batch.clear()
        for row, (sequence, position) in enumerate(rows):
            is_output = row >= len(rows) - outputs
            self._batch.add(sequence, [row % VOCABULARY], position, is_output)
        began = time.perf_counter()
        if self._llama.llama_decode(self._context, self._batch.for_llama) != 0:
            raise SystemExit("llama_decode failed")
        self._llama.llama_synchronize(self._context)
        return time.perf_counter() - began


def _measured(path: str, threads: int, layers: int) -> dict[str, Any]:
    """Return what `measure` does."""
    model = _Measured(path, threads)
    weights, most = layers * _weights_per_layer(), max(SEQUENCES)
    model.steps(most, 0)  # warms up
    steps = {}
    for count in SEQUENCES:
        model.clear()
        steps[count] = model.steps(count, 0) / weights
    model.clear()
    prefill = model.prefill() / weights / PROMPT_TOKENS
    model.copy()
    longer = model.steps(most, PROMPT_TOKENS) - steps[most] * weights
    values = most * DEEPER_TOKENS * 2 * KV_WIDTH * layers
    return {"prefill": prefill, "steps": steps, "attention": max(0.0, longer / values)}


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
