"""Many sequences in one llama.cpp context: continuous batching on the low-level API.

Every step is one call of `llama_decode` with one token of each sequence that is being
decoded and, beside them, slices of prompts that are being prefilled. What limits each part is
told in docs/decisions/generation.md. In short:

- Each sequence has a KV stream of its own (`kv_unified` off), so that attention runs over
  its own tokens only. `slots` says which sequence is where and what is shared.
- Greedy choices are an argmax over the logits where llama.cpp left them (`batch`); other
  sampling runs in llama.cpp's own sampler chain, one per sequence (`samplers`).

Runs in the worker process only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Texts
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.batch import Batch, likeliest
from experiments.backends.llama_cpp.checkpoints import CheckpointedSlots
from experiments.backends.llama_cpp.memory import SPARE_STREAMS
from experiments.backends.llama_cpp.model import EngineError, Model
from experiments.backends.llama_cpp.samplers import chain, is_argmax
from experiments.backends.llama_cpp.sequence import (
    Completion,
    Job,
    Sequence,
    StopConditions,
    prompt_too_long,
)
from experiments.backends.llama_cpp.slots import Slot, SlotTable
from experiments.extract import thoughts
from experiments.schema import Sampling

PREFILL_BESIDE_DECODE = 128
"""Most tokens of prompts that are prefilled in a step in which others are decoded."""

KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}
"""As ggml numbers them."""


@dataclass(frozen=True)
class Settings:
    """How the model is run; most are as in `LlamaCpp`.

    Attributes:
        thought_open, thought_close: markers of a thought beside the known ones.
        thought_tokens: most tokens of a thought; None: there is no such limit.
    """

    parallel: int
    threads: int
    context_tokens: int
    batch_tokens: int = 512
    micro_batch_tokens: int = 512
    flash_attention: bool = False
    kv_type: str = "f16"
    stop: Texts[str] = ()
    stop_when_complete: bool = True
    memory_map: bool = True
    thought_open: str = ""
    thought_close: str = ""
    thought_tokens: int | None = None

    @property
    def styles(self) -> tuple[thoughts.Style, ...]:
        """The ways to think that are looked for."""
        return thoughts.known(self.thought_open, self.thought_close)


@dataclass
class Counters:
    """What was done since `complete` was called.

    Time of a step in which prompts were prefilled beside decoding is split between the two in
    proportion to their tokens.
    """

    prefill_tokens: int = 0
    shared_tokens: int = 0
    decode_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    steps: int = 0


def context_parameters(settings: Settings, context_tokens: int, streams: int) -> Any:
    """Return llama.cpp's parameters of a context.

    Args:
        settings: how the model is run.
        context_tokens: most tokens of one sequence.
        streams: sequences in it, each with an output of one token at most.
    """
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = context_tokens * streams
    parameters.n_batch = settings.batch_tokens
    parameters.n_ubatch = min(settings.micro_batch_tokens, settings.batch_tokens)
    parameters.n_seq_max = parameters.n_outputs_max = streams
    parameters.n_threads = parameters.n_threads_batch = settings.threads
    parameters.flash_attn_type = 1 if settings.flash_attention else 0
    parameters.type_k = parameters.type_v = KV_TYPES[settings.kv_type]
    parameters.kv_unified = False
    parameters.swa_full = True  # parts of a sequence can be dropped and shared
    parameters.no_perf = True
    return parameters


class Engine:
    """Completes many prompts at once with one model.

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
        self._slots: SlotTable
        self._sampling: Sampling
        self._ends: StopConditions
        self._batch = Batch(settings.batch_tokens)

    def complete(
        self,
        jobs: Iterable[Job],
        sampling: Sampling,
        on_step: Callable[[int], None] | None = None,
    ) -> Iterator[Completion]:
        """Yield completions, each as soon as it is finished.

        Nothing is left in memory of calls before, so the order of calls changes no text.

        Args:
            jobs: jobs with equal prompts should follow each other.
            sampling: how tokens are chosen.
            on_step: called after each step with the number of active sequences.

        Raises:
            EngineError: llama.cpp failed.
        """
        began = time.perf_counter()
        self.counters = Counters()
        waiting: deque[Sequence] = deque()
        for job in jobs:
            tokens = self._model.tokens(job.text, job.is_chat)
            if refused := prompt_too_long(job, len(tokens), self._settings.context_tokens):
                yield refused
            else:
                waiting.append(Sequence(job, tokens, began, self._thought(job)))
        if not waiting:
            return
        self._make_context(max(len(s.prompt) for s in waiting) + sampling.max_tokens)
        self._sampling = sampling
        self._ends = StopConditions(
            tuple(stop.encode() for stop in self._settings.stop),
            sampling.max_tokens,
            self._settings.context_tokens,
            self._settings.stop_when_complete,
            self._settings.thought_tokens,
        )
        try:
            while waiting or self._slots.busy:
                finished = self._step(waiting)
                if on_step is not None:
                    on_step(len(self._slots.busy))
                yield from finished
        finally:
            self._slots.clear()

    def close(self) -> None:
        """Free the context and the batch; nothing can be completed any more."""
        self._free_context()
        self._batch.close()

    def _free_context(self) -> None:
        if self._context:
            llama.llama_free(self._context)
            self._context = None

    def _thought(self, job: Job) -> thoughts.ThoughtReader | None:
        """Return what tells the thought in a completion; None where it goes on from a program."""
        styles = self._settings.styles
        if not job.is_chat:
            return None
        return thoughts.ThoughtReader(styles, thoughts.opened_by(job.text, styles))

    def _make_context(self, needed_tokens: int) -> None:
        """Make a context whose sequences hold so many tokens, unless there is one."""
        settings = self._settings
        limit = settings.context_tokens
        needed = limit if self._model.must_have_whole_context() else min(limit, needed_tokens)
        wanted = -(-needed // 256) * 256  # as llama.cpp rounds it
        if self._context and self._context_tokens >= wanted:
            return
        self._free_context()
        streams = settings.parallel + (SPARE_STREAMS if self._model.has_state else 0)
        parameters = context_parameters(settings, wanted, streams)
        if self._model.has_state:
            # Some of these architectures abort where it is no multiple of the streams.
            parameters.n_ubatch = max(1, parameters.n_ubatch // streams) * streams
            parameters.n_batch = max(parameters.n_batch, parameters.n_ubatch)
        self._context = llama.llama_init_from_model(self._model.pointer, parameters)
        if not self._context:
            raise EngineError("llama.cpp could not make a context")
        self._context_tokens = wanted
        kind = CheckpointedSlots if self._model.has_state else SlotTable
        self._slots = kind(self._context, settings.parallel)

    def _step(self, waiting: deque[Sequence]) -> list[Completion]:
        """Run one batch, and return what was finished by it."""
        began = time.perf_counter()
        decoding = self._slots.decoding
        most = self._batch.size - len(decoding)
        if decoding:
            most = min(most, PREFILL_BESIDE_DECODE)
        prefilling = self._slots.schedule_prefill(waiting, most)
        counts = {id(slot.sequence): count for slot, count in prefilling}
        active = self._slots.compacted(decoding + [slot for slot, _ in prefilling])
        self._batch.clear()
        outputs = [slot for slot in active if self._add(slot, counts.get(id(slot.sequence)))]
        code = llama.llama_decode(self._context, self._batch.for_llama)
        if code != 0:
            raise EngineError(f"llama_decode failed with code {code}")
        self._slots.save([slot for slot in active if slot.is_prefilling])
        finished = self._take(outputs)
        self._count(time.perf_counter() - began, sum(counts.values()), len(decoding))
        return finished

    def _add(self, slot: Slot, count: int | None) -> bool:
        """Add a slice of a prompt, or the last token, to the batch; tell if it has an output."""
        sequence = slot.occupant
        start = len(slot.tokens)
        if count is None:
            part = sequence.token_ids[-1:]
            ends = True
        else:
            part = sequence.prompt[start : start + count]
            ends = start + count == len(sequence.prompt)
        self._batch.add(slot.number, part, start, output=ends)
        slot.tokens.extend(part)
        return ends

    def _take(self, slots: list[Slot]) -> list[Completion]:
        """Choose a token for each slot that has new logits; return what is thereby finished."""
        tokens = [
            self._next_token(slot.occupant, row)
            for row, slot in zip(self._batch.output_rows, slots, strict=True)
        ]
        now = time.perf_counter()
        finished = []
        for slot, token in zip(slots, tokens, strict=True):
            sequence = slot.occupant
            if not sequence.token_ids:
                sequence.first_token = now
                self.counters.shared_tokens += sequence.shared
            if sequence.accept(token, self._model, self._ends):
                finished.append(sequence.completion(now))
                sequence.free()
                slot.sequence = None
        return finished

    def _next_token(self, sequence: Sequence, row: int) -> int:
        """Return the token that follows a row of the last batch."""
        if is_argmax(self._sampling):
            if sequence.forced:
                return sequence.forced.popleft()
            return likeliest(self._context, row, self._model.size)
        if sequence.chain is None:
            sequence.chain = chain(self._sampling, sequence.job.seed, self._model.size)
        if sequence.forced:
            llama.llama_sampler_accept(sequence.chain, sequence.forced[0])
            return sequence.forced.popleft()
        token: int = llama.llama_sampler_sample(sequence.chain, self._context, row)
        return token

    def _count(self, seconds: float, prefilled: int, decoded: int) -> None:
        counters = self.counters
        counters.steps += 1
        counters.prefill_tokens += prefilled
        counters.decode_tokens += decoded
        share = prefilled / (prefilled + decoded)
        counters.prefill_seconds += seconds * share
        counters.decode_seconds += seconds * (1 - share)
