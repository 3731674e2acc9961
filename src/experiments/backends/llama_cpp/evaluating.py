"""Given texts → how likely a model finds each of their tokens; nothing is generated.

The reference's distributions are kept in a file, one row of float16 log-probabilities per token,
and other levels are compared with these rows: one model is in memory at a time. What float16
leaves out is told in docs/decisions/fidelity.md.

Runs in the worker process only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import llama_cpp.llama_cpp as llama
import numpy as np

from experiments.backends.llama_cpp.batch import Batch
from experiments.backends.llama_cpp.engine import Settings, context_parameters
from experiments.backends.llama_cpp.model import EngineError, Model
from experiments.backends.llama_cpp.slots import common
from experiments.stats.divergence import ROWS_AT_ONCE, divergence, log_softmax

KEPT = np.dtype("<f2")
"""Numbers of the file with the reference's distributions."""

SCORED_AT_ONCE = 128
"""Tokens in one call of llama.cpp whose logits are wanted: 80 MB of a vocabulary of 150,000."""


@dataclass(frozen=True)
class Text:
    """A prompt with an answer to it, as tokens.

    Attributes:
        key: given back with the result.
        tokens: of both.
        start: of the answer in them; at least 1.
    """

    key: str
    tokens: list[int]
    start: int

    @property
    def scored(self) -> int:
        """Number of the answer's tokens."""
        return len(self.tokens) - self.start


def text_of(model: Model, key: str, prompt: str, answer: str, is_chat: bool) -> Text:
    """Return a prompt and an answer as tokens.

    Both are cut into tokens together, since some vocabularies cut the beginning of a text in
    another way than its middle. The answer begins where the tokens are not the prompt's any more.
    """
    whole = model.tokens(prompt + answer, is_chat)
    alone = model.tokens(prompt, is_chat)
    return Text(key, whole, max(1, common(whole, alone, len(alone))))


class Evaluator:
    """Says how likely a model finds the tokens of texts.

    Args:
        model: loaded.
        settings: how it is run.
        longest: tokens of the longest text.

    Raises:
        EngineError: llama.cpp failed.
    """

    def __init__(self, model: Model, settings: Settings, longest: int) -> None:
        self._model = model
        self._batch = Batch(settings.batch_tokens)
        tokens = settings.context_tokens if model.must_have_whole_context() else longest
        parameters = context_parameters(settings, -(-tokens // 256) * 256, 1)
        parameters.n_outputs_max = min(SCORED_AT_ONCE, settings.batch_tokens)
        self._outputs: int = parameters.n_outputs_max
        self._context: Any = llama.llama_init_from_model(model.pointer, parameters)
        if not self._context:
            raise EngineError("llama.cpp could not make a context")
        self._memory = llama.llama_get_memory(self._context)
        self._there: list[int] = []

    def evaluate(
        self, texts: Sequence[Text], rows: Path, is_reference: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield the scores of each text: `divergence.Scores` with its key, as plain data.

        Args:
            texts: those that begin alike should follow each other.
            rows: file of the reference's distributions.
            is_reference: they are written; else they are read, and the texts are the same.
        """
        with ExitStack() as stack:
            file = stack.enter_context(rows.open("wb" if is_reference else "rb"))
            for text in texts:
                parts = list(self._parts(text, file, is_reference))
                surprisals, tops, divergences = map(np.concatenate, zip(*parts, strict=True))
                yield {
                    "key": text.key,
                    "tokens": text.tokens[text.start :],
                    "surprisals": surprisals.tolist(),
                    "tops": tops.tolist(),
                    "divergences": divergences.tolist(),
                }

    def close(self) -> None:
        """Free the context and the batch."""
        if self._context:
            llama.llama_free(self._context)
            self._context = None
            self._batch.close()

    def _parts(self, text: Text, file: BinaryIO, is_reference: bool) -> Iterator[tuple[Any, ...]]:
        """Yield surprisals, most likely tokens and divergences of a few tokens at a time."""
        targets = np.array(text.tokens[text.start :])
        size = self._model.size
        done = 0
        for logits in self.logits(text):
            for first in range(0, len(logits), ROWS_AT_ONCE):
                own = log_softmax(logits[first : first + ROWS_AT_ONCE])
                count = len(own)
                if is_reference:
                    file.write(own.astype(KEPT).tobytes())
                    found = np.empty(0)
                else:
                    kept = np.fromfile(file, KEPT, count * size).reshape(count, size)
                    found = divergence(log_softmax(kept), own)
                wanted = targets[done : done + count]
                done += count
                yield -own[np.arange(count), wanted], own.argmax(axis=-1), found

    def logits(self, text: Text) -> Iterator[Any]:
        """Yield the logits in the places of the answer's tokens, some rows at a time.

        A row is valid until the next is asked for.
        """
        first = text.start - 1  # its logits are those of the answer's first token
        place = self._keep_common(text.tokens, first)
        size = self._batch.size
        while place < first:
            place += self._decode(text.tokens[place : min(first, place + size)], place, False)
        while place < len(text.tokens) - 1:
            end = min(len(text.tokens) - 1, place + self._outputs)
            place += self._decode(text.tokens[place:end], place, True)
            shape = (len(self._batch.output_rows), self._model.size)
            yield np.ctypeslib.as_array(llama.llama_get_logits(self._context), shape)

    def _keep_common(self, tokens: list[int], most: int) -> int:
        """Drop all that is in memory but the beginning that the text shares with the last one."""
        length = 0 if self._model.has_state else common(tokens, self._there, most)
        if not length or not llama.llama_memory_seq_rm(self._memory, 0, length, -1):
            llama.llama_memory_clear(self._memory, False)
            length = 0
        self._there = tokens[:length]
        return length

    def _decode(self, tokens: list[int], place: int, is_scored: bool) -> int:
        """Read some tokens, and return how many."""
        self._batch.clear()
        if is_scored:
            for offset, token in enumerate(tokens):
                self._batch.add(0, [token], place + offset, output=True)
        else:
            self._batch.add(0, tokens, place, output=False)
        code = llama.llama_decode(self._context, self._batch.for_llama)
        if code != 0:
            raise EngineError(f"llama_decode failed with code {code}")
        self._there += tokens
        return len(tokens)
