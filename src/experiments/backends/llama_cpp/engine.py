"""Many sequences in one llama.cpp context: continuous batching on the low-level API.

Every step is one call of `llama_decode` with one token of each sequence that is being
decoded and, beside them, slices of prompts that are being read. What limits each part is
told in docs/decisions/generation.md. In short:

- Each sequence has a KV stream of its own (`kv_unified` off), so that attention runs over
  its own tokens only. Streams are copied whole and then cut to what two prompts share.
- llama.cpp runs streams in one pass only where their numbers follow each other, so active
  sequences are kept in the lowest slots.
- One prompt is read at a time unless there is room for another beside it: whoever waits may
  then share what was just read.
- Greedy choices are an argmax over the logits where llama.cpp left them; other sampling
  runs in llama.cpp's own sampler chain, one per sequence.

Runs in the worker process only. Not thread-safe.
"""

from __future__ import annotations

import codecs
import ctypes
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from experiments.backends.completeness import BlockWatcher, StatementWatcher, Watcher

READ_BESIDE = 128
"""Most tokens of prompts that are read in a step in which others are decoded."""

WORTH_A_COPY = 32
"""Tokens that must be saved for another slot's stream to be copied."""

PENALTY_WINDOW = 64
"""Last tokens that the repeat penalty looks at, as in llama-cpp-python."""


class EngineError(Exception):
    """llama.cpp refused; its own messages say why."""


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


@dataclass(frozen=True)
class Sampler:
    """How tokens are chosen; a temperature of 0 is greedy."""

    temperature: float = 0.0
    max_tokens: int = 1024
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0


@dataclass(frozen=True)
class Job:
    """One text to be written.

    Attributes:
        key: given back with the result.
        text: the prompt.
        seed: of its sampler.
        is_chat: special tokens in the text are special tokens.
        entry_point: function that completes the answer.
    """

    key: str
    text: str
    seed: int
    is_chat: bool
    entry_point: str


@dataclass
class Written:
    """What became of a job; see `records.Generation`."""

    key: str
    text: str
    finish_reason: str
    prompt_tokens: int = 0
    shared_tokens: int = 0
    new_tokens: int = 0
    seconds_waiting: float = 0.0
    seconds_reading: float = 0.0
    seconds_decoding: float = 0.0
    note: str = ""
    token_ids: list[int] = field(default_factory=list)


@dataclass
class Counters:
    """What was done since the engine was made.

    Time of a step in which prompts were read beside decoding is split between the two in
    proportion to their tokens.
    """

    read_tokens: int = 0
    shared_tokens: int = 0
    decoded_tokens: int = 0
    reading_seconds: float = 0.0
    decoding_seconds: float = 0.0
    steps: int = 0


class Model:
    """A loaded model and its vocabulary.

    Args:
        path: of the GGUF.
        memory_map: map the file instead of reading it.

    Raises:
        EngineError: llama.cpp cannot load it.
    """

    def __init__(self, path: str, memory_map: bool = True) -> None:
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        if not memory_map:
            parameters.load_mode = llama.llama_load_mode_from_str(b"none")
        self.pointer = llama.llama_model_load_from_file(path.encode(), parameters)
        if not self.pointer:
            raise EngineError("llama.cpp could not load the model")
        self.vocabulary = llama.llama_model_get_vocab(self.pointer)
        self.size = llama.llama_vocab_n_tokens(self.vocabulary)
        self._begin = (
            [llama.llama_vocab_bos(self.vocabulary)]
            if llama.llama_vocab_get_add_bos(self.vocabulary)
            else []
        )
        self._pieces: list[bytes | None] = [None] * self.size
        self._is_end: dict[int, bool] = {}
        self._piece = ctypes.create_string_buffer(1024)

    def tokens(self, text: str, is_chat: bool) -> list[int]:
        """Return the prompt's tokens, with exactly one begin token where the model wants it."""
        content = text.encode()
        size = len(content) + 8
        while True:
            room = (llama.llama_token * size)()
            count = llama.llama_tokenize(
                self.vocabulary, content, len(content), room, size, False, is_chat
            )
            if count >= 0:
                break
            size = -count
        tokens = list(room[:count])
        if tokens[:1] != self._begin:
            tokens = self._begin + tokens
        return tokens

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; nothing for special ones."""
        found = self._pieces[token]
        if found is None:
            size = len(self._piece)
            length = llama.llama_token_to_piece(self.vocabulary, token, self._piece, size, 0, False)
            if length < 0:
                self._piece = ctypes.create_string_buffer(-length)
                return self.piece(token)
            found = self._pieces[token] = self._piece.raw[:length]
        return found

    def is_end(self, token: int) -> bool:
        """Tell whether the token ends a generation."""
        found = self._is_end.get(token)
        if found is None:
            found = self._is_end[token] = bool(llama.llama_vocab_is_eog(self.vocabulary, token))
        return found

    def must_have_whole_context(self) -> bool:
        """Tell whether the model's arithmetic depends on the size of the context."""
        room = ctypes.create_string_buffer(64)
        length = llama.llama_model_meta_val_str(
            self.pointer, b"general.architecture", room, len(room)
        )
        name = room.value + b".rope.scaling.original_context_length" if length > 0 else b""
        return bool(llama.llama_model_meta_val_str(self.pointer, name, room, len(room)) >= 0)

    def close(self) -> None:
        """Free the memory."""
        if self.pointer:
            llama.llama_model_free(self.pointer)
            self.pointer = None


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
        self._memory: Any = None
        self._context_tokens = 0
        self._slots: list[_Slot] = []
        self._steady: list[_Slot] = []  # if the next batch is of the same sequences as the last
        self._batch = _Batch(settings.batch_tokens)
        self._row_types: dict[int, Any] = {}
        self._stops = [stop.encode() for stop in settings.stop]

    def write(
        self,
        jobs: Sequence[Job],
        sampler: Sampler,
        on_step: Callable[[int], None] | None = None,
    ) -> Iterator[Written]:
        """Yield what was written, each as soon as it is finished.

        Args:
            jobs: jobs with equal prompts should follow each other.
            sampler: how tokens are chosen.
            on_step: called after each step with the number of active sequences.

        Raises:
            EngineError: llama.cpp failed.
        """
        began = time.perf_counter()
        waiting: deque[_Sequence] = deque()
        for job in jobs:
            tokens = self._model.tokens(job.text, job.is_chat)
            if len(tokens) >= self._settings.context_tokens:
                yield _too_long(job, len(tokens), self._settings.context_tokens)
            elif not tokens:
                yield Written(job.key, "", "prompt_too_long", note="The prompt is empty.")
            else:
                waiting.append(_Sequence(job, tokens, self._watcher(job), began))
        if not waiting:
            return
        self._make_context(max(len(s.prompt) for s in waiting) + sampler.max_tokens)
        try:
            while waiting or any(slot.sequence for slot in self._slots):
                finished = self._step(waiting, sampler)
                if on_step is not None:
                    on_step(sum(slot.sequence is not None for slot in self._slots))
                yield from finished
        finally:
            self._steady = []
            for slot in self._slots:
                if slot.sequence is not None:
                    slot.sequence.free()
                slot.sequence = None

    def close(self) -> None:
        """Free the context."""
        if self._context:
            llama.llama_free(self._context)
            self._context = None
            self._slots = []

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
        kind = _KV_TYPES[settings.kv_type]
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = wanted * settings.parallel
        parameters.n_batch = settings.batch_tokens
        parameters.n_ubatch = min(settings.micro_batch_tokens, settings.batch_tokens)
        parameters.n_seq_max = settings.parallel
        parameters.n_outputs_max = settings.parallel  # each sequence has at most one
        parameters.n_threads = parameters.n_threads_batch = settings.threads
        parameters.flash_attn_type = 1 if settings.flash_attention else 0
        parameters.type_k = parameters.type_v = kind
        parameters.kv_unified = False
        parameters.swa_full = True  # parts of a sequence can be dropped and shared
        parameters.no_perf = True
        self._context = llama.llama_init_from_model(self._model.pointer, parameters)
        if not self._context:
            raise EngineError("llama.cpp could not make a context")
        self._memory = llama.llama_get_memory(self._context)
        self._context_tokens = wanted
        self._slots = [_Slot(number) for number in range(settings.parallel)]

    def _step(self, waiting: deque[_Sequence], sampler: Sampler) -> list[Written]:
        """Run one batch, and return what was finished by it."""
        began = time.perf_counter()
        if self._steady:
            return self._steady_step(began, sampler)
        decoding = [slot for slot in self._slots if slot.is_decoding]
        room = min(READ_BESIDE, self._batch.size - len(decoding)) if decoding else self._batch.size
        reading = self._share_out(waiting, room)
        slices = {id(slot.sequence): count for slot, count in reading}
        active = self._packed(decoding, [slot for slot, _ in reading])
        read = 0
        self._batch.clear()
        outputs: list[_Slot] = []
        for slot in active:
            sequence = slot.sequence
            assert sequence is not None
            count = slices.get(id(sequence), 0)
            if count:
                start = len(slot.tokens)
                part = sequence.prompt[start : start + count]
                ends = start + count == len(sequence.prompt)
                self._batch.add_slice(slot.number, part, start, output=ends)
                slot.tokens.extend(part)
                read += count
                if ends:
                    outputs.append(slot)
            else:
                slot.tokens.append(sequence.last)
                self._batch.add(slot.number, sequence.last, len(slot.tokens) - 1)
                outputs.append(slot)
        self._decode()
        finished = self._take(outputs, sampler)
        everyone_is_busy = not waiting or len(active) == len(self._slots)
        self._steady = [] if read or finished or not everyone_is_busy else active
        self._count(time.perf_counter() - began, read, len(decoding))
        return finished

    def _steady_step(self, began: float, sampler: Sampler) -> list[Written]:
        """Decode the next token of the same sequences as in the step before."""
        slots = self._steady
        tokens = []
        for slot in slots:
            token = slot.sequence.last  # type: ignore[union-attr]
            tokens.append(token)
            slot.tokens.append(token)
        self._batch.advance(tokens)
        self._decode()
        finished = self._take(slots, sampler)
        if finished:
            self._steady = []
        self._count(time.perf_counter() - began, 0, len(slots))
        return finished

    def _share_out(self, waiting: deque[_Sequence], room: int) -> list[tuple[_Slot, int]]:
        """Return which slots read how many tokens of their prompts in this step."""
        shares: list[tuple[_Slot, int]] = []
        readers = [slot for slot in self._slots if slot.is_reading]
        while room > 0:
            if readers:
                slot = readers.pop(0)
            else:
                slot_or_none = self._admit(waiting, [slot for slot, _ in shares])
                if slot_or_none is None:
                    break
                slot = slot_or_none
            assert slot.sequence is not None
            left = len(slot.sequence.prompt) - len(slot.tokens)
            count = min(left, room)
            if 0 < left - count < 16 and count > 32:
                count -= 16  # no tiny rest: a pass costs much the same for 1 token as for 16
            shares.append((slot, count))
            room -= count
            if count < left:
                break
        return shares

    def _admit(self, waiting: deque[_Sequence], reading: list[_Slot]) -> _Slot | None:
        """Give the next sequence the place that suits it best; None if it had better wait."""
        free = [slot for slot in self._slots if slot.sequence is None]
        if not waiting or not free:
            return None
        sequence = waiting[0]
        longest = len(sequence.prompt) - 1  # the last token has to be decoded for its logits
        shared = {
            slot.number: _shared(sequence.prompt, slot.tokens, longest) for slot in self._slots
        }
        fresh = {slot.number for slot in reading}
        source = max(
            (slot for slot in self._slots if slot.number not in fresh),
            key=lambda slot: shared[slot.number],
            default=None,
        )
        best = shared[source.number] if source else 0
        for slot in reading:  # of these, nothing can be copied before this step is done
            assert slot.sequence is not None
            if _shared(sequence.prompt, slot.sequence.prompt, longest) >= best + WORTH_A_COPY:
                return None
        place = max(free, key=lambda slot: (shared[slot.number], -slot.number))
        own = shared[place.number]
        if source is not None and best >= own + WORTH_A_COPY:
            place = free[0]
            if place is not source:
                self._copy(source, place)
            own = best
        waiting.popleft()
        kept = self._cut(place, own)
        sequence.shared = kept
        sequence.read_began = time.perf_counter()
        place.sequence = sequence
        self.counters.shared_tokens += kept
        return place

    def _packed(self, decoding: list[_Slot], reading: list[_Slot]) -> list[_Slot]:
        """Move sequences so that the active slots are the lowest, and return them in order."""
        active = sorted({slot.number for slot in decoding + reading})
        for place in range(len(active)):
            if place not in active:
                last = active.pop()
                source, target = self._slots[last], self._slots[place]
                self._copy(source, target)
                target.sequence, source.sequence = source.sequence, None
                active = sorted([*active, place])
        return [self._slots[number] for number in active]

    def _copy(self, source: _Slot, target: _Slot) -> None:
        """Make the target's stream equal to the source's."""
        llama.llama_memory_seq_rm(self._memory, target.number, -1, -1)
        llama.llama_memory_seq_cp(self._memory, source.number, target.number, -1, -1)
        target.tokens = source.tokens.copy()

    def _cut(self, slot: _Slot, length: int) -> int:
        """Drop what follows in a slot's stream; return what is left of it."""
        if length < len(slot.tokens):
            if length == 0 or not llama.llama_memory_seq_rm(self._memory, slot.number, length, -1):
                # A recurrent state cannot be cut: it begins anew.
                llama.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
                length = 0
            del slot.tokens[length:]
        return length

    def _decode(self) -> None:
        code = llama.llama_decode(self._context, self._batch.sealed())
        if code != 0:
            raise EngineError(f"llama_decode failed with code {code}")

    def _take(self, slots: list[_Slot], sampler: Sampler) -> list[Written]:
        """Choose a token for each slot that has new logits; return what is thereby finished."""
        if not slots:
            return []
        if sampler.temperature <= 0 and sampler.repeat_penalty == 1:
            chosen = self._logits(len(slots)).argmax(axis=1).tolist()
        else:
            rows = self._batch.output_rows
            chosen = []
            for row, slot in zip(rows, slots, strict=True):
                sequence = slot.sequence
                assert sequence is not None
                if sequence.chain is None:
                    sequence.chain = _chain(sampler, sequence.job.seed, self._model.size)
                chosen.append(llama.llama_sampler_sample(sequence.chain, self._context, row))
        now = time.perf_counter()
        finished = []
        for slot, token in zip(slots, chosen, strict=True):
            sequence = slot.sequence
            assert sequence is not None
            if not sequence.token_ids:
                sequence.first_token = now
            if self._accept(sequence, token, sampler.max_tokens):
                finished.append(sequence.written(now))
                sequence.free()
                slot.sequence = None
        return finished

    def _accept(self, sequence: _Sequence, token: int, max_tokens: int) -> bool:
        """Add a token to a sequence; tell whether it is finished."""
        model = self._model
        sequence.last = token
        sequence.token_ids.append(token)
        if model.is_end(token):
            sequence.finish_reason = "end_token"
            return True
        text = sequence.text
        piece = model.piece(token)
        text += piece
        for stop in self._stops:
            found = text.find(stop, max(0, len(text) - len(piece) - len(stop) + 1))
            if found >= 0:
                del text[found:]
                sequence.finish_reason = "stop_string"
                return True
        if sequence.watcher is not None:
            end = sequence.watcher.complete_at(text)
            if end is not None:
                del text[end:]
                sequence.finish_reason = "answer_complete"
                return True
        count = len(sequence.token_ids)
        if count >= max_tokens:
            sequence.finish_reason = "token_limit"
            return True
        if len(sequence.prompt) + count >= self._settings.context_tokens:
            sequence.finish_reason = "token_limit"
            sequence.note = f"The context of {self._settings.context_tokens} tokens is full."
            return True
        return False

    def _logits(self, rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the logits of the last batch where llama.cpp keeps them: no copy."""
        pointer = llama.llama_get_logits(self._context)
        kind = self._row_types.get(rows)
        if kind is None:
            kind = self._row_types[rows] = ctypes.c_float * (rows * self._model.size)
        values = kind.from_address(ctypes.addressof(pointer.contents))
        return np.frombuffer(values, np.float32).reshape(rows, self._model.size)

    def _count(self, seconds: float, read: int, decoded: int) -> None:
        counters = self.counters
        counters.steps += 1
        counters.read_tokens += read
        counters.decoded_tokens += decoded
        share = read / (read + decoded)
        counters.reading_seconds += seconds * share
        counters.decoding_seconds += seconds * (1 - share)


@dataclass
class _Sequence:
    """A job on its way."""

    job: Job
    prompt: list[int]
    watcher: Watcher | None
    began: float
    text: bytearray = field(default_factory=bytearray)
    token_ids: list[int] = field(default_factory=list)
    last: int = -1
    shared: int = 0
    read_began: float = 0.0
    first_token: float = 0.0
    finish_reason: str = ""
    note: str = ""
    chain: Any = None

    def written(self, now: float) -> Written:
        return Written(
            key=self.job.key,
            text=_decoded(self.text),
            finish_reason=self.finish_reason,
            prompt_tokens=len(self.prompt),
            shared_tokens=self.shared,
            new_tokens=len(self.token_ids),
            seconds_waiting=self.read_began - self.began,
            seconds_reading=self.first_token - self.read_began,
            seconds_decoding=now - self.first_token,
            note=self.note,
            token_ids=self.token_ids,
        )

    def free(self) -> None:
        if self.chain is not None:
            llama.llama_sampler_free(self.chain)
            self.chain = None


class _Slot:
    """A KV stream: the tokens in it, and the sequence that it belongs to."""

    __slots__ = ("number", "sequence", "tokens")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.sequence: _Sequence | None = None

    @property
    def is_decoding(self) -> bool:
        return self.sequence is not None and bool(self.sequence.token_ids)

    @property
    def is_reading(self) -> bool:
        return self.sequence is not None and not self.sequence.token_ids


class _Batch:
    """llama.cpp's batch, with its arrays as numpy arrays: nothing is copied."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.output_rows: list[int] = []
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._slot = np.zeros(size, np.int32)
        self._output = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)
        first = self._slot.ctypes.data
        self._slot_pointers = np.arange(first, first + 4 * size, 4, dtype=np.uintp)
        self._batch = llama.llama_batch(
            n_tokens=0,
            token=_pointer(self._token, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._position, ctypes.c_int32),
            n_seq_id=_pointer(self._ones, ctypes.c_int32),
            seq_id=_pointer(self._slot_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._output, ctypes.c_int8),
        )
        self._length = 0

    def clear(self) -> None:
        self._length = 0
        self.output_rows = []

    def add(self, slot: int, token: int, position: int) -> None:
        row = self._length
        self._token[row] = token
        self._position[row] = position
        self._slot[row] = slot
        self._output[row] = 1
        self.output_rows.append(row)
        self._length = row + 1

    def advance(self, tokens: list[int]) -> None:
        """Make it the same batch with the next token of each sequence."""
        self._token[: self._length] = tokens
        self._position[: self._length] += 1

    def add_slice(self, slot: int, tokens: list[int], position: int, output: bool) -> None:
        start, end = self._length, self._length + len(tokens)
        self._token[start:end] = tokens
        self._position[start:end] = np.arange(position, position + len(tokens))
        self._slot[start:end] = slot
        self._output[start:end] = 0
        if output:
            self._output[end - 1] = 1
            self.output_rows.append(end - 1)
        self._length = end

    def sealed(self) -> Any:
        self._batch.n_tokens = self._length
        return self._batch


_KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}


def _chain(sampler: Sampler, seed: int, vocabulary: int) -> Any:
    """Return a chain of llama.cpp's samplers, in llama-cpp-python's order."""
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    chain = llama.llama_sampler_chain_init(parameters)

    def add(part: Any) -> None:
        llama.llama_sampler_chain_add(chain, part)

    if sampler.repeat_penalty != 1:
        add(
            llama.llama_sampler_init_penalties(
                vocabulary, PENALTY_WINDOW, sampler.repeat_penalty, 0.0, 0.0
            )
        )
    if sampler.temperature <= 0:
        add(llama.llama_sampler_init_greedy())
        return chain
    if sampler.top_k > 0:
        add(llama.llama_sampler_init_top_k(sampler.top_k))
    if sampler.top_p < 1:
        add(llama.llama_sampler_init_top_p(sampler.top_p, 1))
    if sampler.min_p > 0:
        add(llama.llama_sampler_init_min_p(sampler.min_p, 1))
    add(llama.llama_sampler_init_temp(sampler.temperature))
    add(llama.llama_sampler_init_dist(seed))
    return chain


def _shared(prompt: list[int], tokens: list[int], most: int) -> int:
    """Return the length of the common beginning."""
    most = min(most, len(tokens))
    if prompt[:most] == tokens[:most]:
        return most
    low, high = 0, most  # equal up to low, not up to high
    while high - low > 1:
        middle = (low + high) // 2
        if prompt[low:middle] == tokens[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _decoded(text: bytearray) -> str:
    """Return the text; a character that was cut off at the end is left out."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(text), final=False)


def _too_long(job: Job, tokens: int, context_tokens: int) -> Written:
    return Written(
        job.key,
        "",
        "prompt_too_long",
        prompt_tokens=tokens,
        note=f"The prompt has {tokens} tokens, and the context has room for {context_tokens}, "
        "the answer included. Set backend.context_tokens higher, or choose a shorter prompt.",
    )


def _pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
