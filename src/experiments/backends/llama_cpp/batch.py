"""Tokens on their way into llama.cpp, and the logits that come back.

Runs in the worker process only.
"""

from __future__ import annotations

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
        self.for_llama: Any = llama.llama_batch_init(size, 0, 1)

    def clear(self) -> None:
        """Drop all tokens."""
        self.for_llama.n_tokens = 0
        self.output_rows = []

    def add(self, stream: int, tokens: list[int], position: int, output: bool) -> None:
        """Add tokens that follow each other in a stream.

        Args:
            stream: their KV stream.
            tokens: one or more.
            position: of the first of them.
            output: the logits of the last of them are wanted.
        """
        batch = self.for_llama
        first = batch.n_tokens
        for offset, token in enumerate(tokens):
            row = first + offset
            batch.token[row] = token
            batch.pos[row] = position + offset
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = stream
            batch.logits[row] = 0
        batch.n_tokens = first + len(tokens)
        if output:
            batch.logits[batch.n_tokens - 1] = 1
            self.output_rows.append(batch.n_tokens - 1)

    def close(self) -> None:
        """Free the memory."""
        llama.llama_batch_free(self.for_llama)


def likeliest(context: Any, row: int, vocabulary: int) -> int:
    """Return the token with the largest logit after a row of the last batch."""
    logits = llama.llama_get_logits_ith(context, row)
    return int(np.ctypeslib.as_array(logits, (vocabulary,)).argmax())
