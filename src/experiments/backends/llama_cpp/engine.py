"""Many sequences in one llama.cpp context: continuous batching on the low-level API.

Every step is one call of `llama_decode` with one token of each sequence that is being
decoded and, beside them, slices of prompts that are being read. What limits each part is
told in docs/decisions/generation.md. In short:

- Each sequence has a KV stream of its own (`kv_unified` off), so that attention runs over
  its own tokens only. `places` says who is where and what is shared.
- Greedy choices are an argmax over the logits where llama.cpp left them (`batch`); other
  sampling runs in llama.cpp's own sampler chain, one per sequence (`samplers`).
- While the same sequences go on, a step changes two arrays of the batch and nothing else.

Runs in the worker process only; several engines may share a model (`lanes`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.batch import Batch, logits
from experiments.backends.llama_cpp.model import EngineError, Model
from experiments.backends.llama_cpp.places import Place, Places
from experiments.backends.llama_cpp.samplers import Sampler, chain
from experiments.backends.llama_cpp.sequence import Ends, Job, Sequence, Written, unfit
from experiments.extract.completeness import BlockWatcher, StatementWatcher, Watcher

READ_BESIDE = 128
"""Most tokens of prompts that are read in a step in which others are decoded."""

KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}
"""As ggml numbers them."""


@dataclass(frozen=True)
class Settings:
    """How the model is run.

    Attributes:
        parallel: most sequences at once.
        threads: for decoding and reading.
        context_tokens: most tokens of one sequence, prompt and answer.
        batch_tokens: most tokens in one call of `llama_decode`.
        micro_batch_tokens: most tokens in one pass through the model.
        flash_attention: use llama.cpp's fused attention.
        kv_type: `f16`, `q8_0`, `q4_0`, `f32` or `bf16`.
        stop: texts that end a generation, and are not part of it.
        stop_when_complete: end where the asked answer is complete.
        memory_map: map the file instead of reading it.
    """

    parallel: int
    threads: int
    context_tokens: int
    batch_tokens: int = 512
    micro_batch_tokens: int = 512
    flash_attention: bool = False
    kv_type: str = "f16"
    stop: tuple[str, ...] = ()
    stop_when_complete: bool = True
    memory_map: bool = True


@dataclass
class Counters:
    """What was done since `write` was called.

    Time of a step in which prompts were read beside decoding is split between the two in
    proportion to their tokens.
    """

    prefill_tokens: int = 0
    shared_tokens: int = 0
    decode_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    steps: int = 0


class Engine:
    """Writes many texts at once with one model.

    Args:
        model: loaded.
        settings: how it is run.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self.counters = Counters()
        self._model = model
        self._settings = settings
        self._context: Any = None
        self._context_tokens = 0
        self._places: Places
        self._sampler: Sampler
        self._ends: Ends
        self._batch = Batch(settings.batch_tokens)
        self._steady: list[Place] = []  # if the next batch is of the same sequences as the last

    def write(
        self,
        jobs: Iterable[Job],
        sampler: Sampler,
        on_step: Callable[[int], None] | None = None,
    ) -> Iterator[Written]:
        """Yield what was written, each as soon as it is finished.

        Nothing is left in memory of calls before, so the order of calls changes no text.

        Args:
            jobs: jobs with equal prompts should follow each other.
            sampler: how tokens are chosen.
            on_step: called after each step with the number of active sequences.

        Raises:
            EngineError: llama.cpp failed.
        """
        began = time.perf_counter()
        self.counters = Counters()
        waiting: deque[Sequence] = deque()
        for job in jobs:
            tokens = self._model.tokens(job.text, job.is_chat)
            if refused := unfit(job, len(tokens), self._settings.context_tokens):
                yield refused
            else:
                waiting.append(Sequence(job, tokens, self._watcher(job), began))
        if not waiting:
            return
        self._make_context(max(len(s.prompt) for s in waiting) + sampler.max_tokens)
        self._sampler = sampler
        self._ends = Ends(
            tuple(stop.encode() for stop in self._settings.stop),
            sampler.max_tokens,
            self._settings.context_tokens,
        )
        self._steady = []
        try:
            while waiting or self._places.taken:
                finished = self._step(waiting)
                if on_step is not None:
                    on_step(len(self._places.taken))
                yield from finished
        finally:
            self._places.clear()

    def close(self) -> None:
        """Free the context."""
        if self._context:
            llama.llama_free(self._context)
            self._context = None

    def _watcher(self, job: Job) -> Watcher | None:
        if not self._settings.stop_when_complete:
            return None
        return BlockWatcher(job.entry_point) if job.is_chat else StatementWatcher()

    def _make_context(self, needed_tokens: int) -> None:
        """Make a context whose sequences hold so many tokens, unless there is one."""
        settings = self._settings
        limit = settings.context_tokens
        needed = limit if self._model.must_have_whole_context() else min(limit, needed_tokens)
        wanted = -(-needed // 256) * 256  # as llama.cpp rounds it
        if self._context and self._context_tokens >= wanted:
            return
        self.close()
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = wanted * settings.parallel
        parameters.n_batch = settings.batch_tokens
        parameters.n_ubatch = min(settings.micro_batch_tokens, settings.batch_tokens)
        parameters.n_seq_max = settings.parallel
        parameters.n_outputs_max = settings.parallel  # each sequence has at most one
        parameters.n_threads = parameters.n_threads_batch = settings.threads
        parameters.flash_attn_type = 1 if settings.flash_attention else 0
        parameters.type_k = parameters.type_v = KV_TYPES[settings.kv_type]
        parameters.kv_unified = False
        parameters.swa_full = True  # parts of a sequence can be dropped and shared
        parameters.no_perf = True
        self._context = llama.llama_init_from_model(self._model.pointer, parameters)
        if not self._context:
            raise EngineError("llama.cpp could not make a context")
        self._context_tokens = wanted
        self._places = Places(self._context, settings.parallel)

    def _step(self, waiting: deque[Sequence]) -> list[Written]:
        """Run one batch, and return what was finished by it."""
        began = time.perf_counter()
        if self._steady:
            return self._steady_step(began)
        decoding = self._places.decoding
        room = min(READ_BESIDE, self._batch.size - len(decoding)) if decoding else self._batch.size
        reading = self._places.share_out(waiting, room)
        slices = {id(place.sequence): count for place, count in reading}
        active = self._places.packed(decoding + [place for place, _ in reading])
        self._batch.clear()
        outputs = [place for place in active if self._add(place, slices.get(id(place.sequence)))]
        self._decode()
        finished = self._take(outputs)
        everyone_is_busy = not waiting or len(active) == len(self._places)
        self._steady = [] if reading or finished or not everyone_is_busy else active
        self._count(time.perf_counter() - began, sum(slices.values()), len(decoding))
        return finished

    def _steady_step(self, began: float) -> list[Written]:
        """Decode the next token of the same sequences as in the step before."""
        places = self._steady
        tokens = []
        for place in places:
            token = place.sequence.token_ids[-1]  # type: ignore[union-attr]
            tokens.append(token)
            place.tokens.append(token)
        self._batch.advance(tokens)
        self._decode()
        finished = self._take(places)
        if finished:
            self._steady = []
        self._count(time.perf_counter() - began, 0, len(places))
        return finished

    def _add(self, place: Place, count: int | None) -> bool:
        """Add a slice of a prompt, or the last token, to the batch; tell if it has an output."""
        sequence = place.occupant
        start = len(place.tokens)
        if count is None:
            part = sequence.token_ids[-1:]
            ends = True
        else:
            part = sequence.prompt[start : start + count]
            ends = start + count == len(sequence.prompt)
        self._batch.add(place.number, part, start, output=ends)
        place.tokens.extend(part)
        return ends

    def _decode(self) -> None:
        code = llama.llama_decode(self._context, self._batch.sealed())
        if code != 0:
            raise EngineError(f"llama_decode failed with code {code}")

    def _take(self, places: list[Place]) -> list[Written]:
        """Choose a token for each place that has new logits; return what is thereby finished."""
        if not places:
            return []
        chosen = self._chosen(places)
        now = time.perf_counter()
        finished = []
        for place, token in zip(places, chosen, strict=True):
            sequence = place.occupant
            if not sequence.token_ids:
                sequence.first_token = now
                self.counters.shared_tokens += sequence.shared
            if sequence.accept(token, self._model, self._ends):
                finished.append(sequence.written(now))
                sequence.free()
                place.sequence = None
        return finished

    def _chosen(self, places: list[Place]) -> list[int]:
        """Return the next token of each place."""
        if self._sampler.is_argmax:
            rows = logits(self._context, len(places), self._model.size)
            best: list[int] = rows.argmax(axis=1).tolist()
            return best
        chosen = []
        for row, place in zip(self._batch.output_rows, places, strict=True):
            sequence = place.occupant
            if sequence.chain is None:
                sequence.chain = chain(self._sampler, sequence.job.seed, self._model.size)
            chosen.append(llama.llama_sampler_sample(sequence.chain, self._context, row))
        return chosen

    def _count(self, seconds: float, read: int, decoded: int) -> None:
        counters = self.counters
        counters.steps += 1
        counters.prefill_tokens += read
        counters.decode_tokens += decoded
        share = read / (read + decoded)
        counters.prefill_seconds += seconds * share
        counters.decode_seconds += seconds * (1 - share)
