"""llama.cpp's batches and logits as numpy arrays that are where llama.cpp reads and writes them.

Runs in the worker process only.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np


class Batch:
    """Tokens for one call of `llama_decode`.

    Args:
        size: most tokens.

    Attributes:
        output_rows: rows whose logits are asked for.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.output_rows: list[int] = []
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._stream = np.zeros(size, np.int32)
        self._output = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)
        first = self._stream.ctypes.data
        self._stream_pointers = np.arange(first, first + 4 * size, 4, dtype=np.uintp)
        self._batch = llama.llama_batch(
            n_tokens=0,
            token=_pointer(self._token, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._position, ctypes.c_int32),
            n_seq_id=_pointer(self._ones, ctypes.c_int32),
            seq_id=_pointer(self._stream_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._output, ctypes.c_int8),
        )
        self._length = 0

    def clear(self) -> None:
        """Drop all tokens."""
        self._length = 0
        self.output_rows = []

    def add(self, stream: int, tokens: list[int], position: int, output: bool) -> None:
        """Add tokens that follow each other in a stream.

        Args:
            stream: their KV stream.
            tokens: one or more.
            position: of the first of them.
            output: the logits of the last of them are wanted.
        """
        start, end = self._length, self._length + len(tokens)
        self._token[start:end] = tokens
        self._position[start:end] = range(position, position + len(tokens))
        self._stream[start:end] = stream
        self._output[start:end] = 0
        if output:
            self._output[end - 1] = 1
            self.output_rows.append(end - 1)
        self._length = end

    def advance(self, tokens: list[int]) -> None:
        """Make it the same batch with the next token of each sequence."""
        self._token[: self._length] = tokens
        self._position[: self._length] += 1

    def sealed(self) -> Any:
        """Return it as llama.cpp takes it."""
        self._batch.n_tokens = self._length
        return self._batch


def logits(context: Any, rows: int, vocabulary: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the last batch's logits [rows, vocabulary] where llama.cpp keeps them.

    They are valid until the next batch.
    """
    kind: Any = ctypes.c_float * (rows * vocabulary)
    address = ctypes.addressof(llama.llama_get_logits(context).contents)
    return np.frombuffer(kind.from_address(address), np.float32).reshape(rows, vocabulary)


def _pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
