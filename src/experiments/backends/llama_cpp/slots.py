"""Which sequence is decoded in which KV stream, and what prompts share.

A slot is a stream of llama.cpp's KV cache. It is a sequence's own while it is prefilled and
decoded, and keeps its tokens afterwards: the next sequence may begin with them.

- Streams are copied whole and then cut to what two prompts share.
- llama.cpp runs streams in one pass only where their numbers follow each other, so the
  sequences of a step are kept in the lowest slots.
- A sequence waits while another is prefilled with which it shares more than with all that is
  there.

Runs in the worker process only.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.sequence import Sequence

WORTH_A_COPY = 32
"""Tokens that must be saved for another slot's stream to be copied."""

TINY_SLICE = 16
"""Fewer tokens take the routines of decoding, and their rounding would stay in the cache."""


class Slot:
    """A KV stream.

    Attributes:
        number: of the stream.
        tokens: that are in it.
        sequence: that it belongs to; None: it is free.
        stops: lengths of the prompt at which a step of its prefill ends.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.sequence: Sequence | None = None
        self.stops: list[int] = []

    @property
    def occupant(self) -> Sequence:
        """The sequence of a slot that is not free."""
        assert self.sequence is not None
        return self.sequence

    @property
    def is_decoding(self) -> bool:
        """Whether its sequence has tokens of its own."""
        return self.sequence is not None and bool(self.sequence.token_ids)

    @property
    def is_prefilling(self) -> bool:
        """Whether its sequence's prompt is not decoded to its end."""
        return self.sequence is not None and not self.sequence.token_ids


class SlotTable:
    """All slots of a context.

    Args:
        context: llama.cpp's, with one stream for each slot.
        count: of slots.
    """

    def __init__(self, context: Any, count: int) -> None:
        self._memory = llama.llama_get_memory(context)
        self._slots = [Slot(number) for number in range(count)]

    @property
    def busy(self) -> list[Slot]:
        """Slots that have a sequence, in their order."""
        return [slot for slot in self._slots if slot.sequence is not None]

    @property
    def decoding(self) -> list[Slot]:
        """Slots whose sequences have tokens of their own, in their order."""
        return [slot for slot in self._slots if slot.is_decoding]

    def clear(self) -> None:
        """Drop all sequences and all tokens."""
        for slot in self.busy:
            slot.occupant.free()
            slot.sequence = None
        for slot in self._slots:
            slot.tokens = []
        llama.llama_memory_clear(self._memory, False)

    def schedule_prefill(self, waiting: deque[Sequence], most: int) -> list[tuple[Slot, int]]:
        """Return which slots prefill how many tokens of their prompts in this step.

        Args:
            waiting: sequences without a slot; those that get one now are taken from it.
            most: tokens that are prefilled in this step.
        """
        shares: list[tuple[Slot, int]] = []
        prefilling = [slot for slot in self._slots if slot.is_prefilling]
        while most > 0:
            if prefilling:
                slot = prefilling.pop(0)
            else:
                admitted = self._admit(waiting, [slot for slot, _ in shares])
                if admitted is None:
                    break
                slot = admitted
            whole = len(slot.occupant.prompt)
            end = next((stop for stop in slot.stops if stop > len(slot.tokens)), whole)
            left = end - len(slot.tokens)
            count = min(left, most)
            if 0 < left - count < TINY_SLICE and count > 2 * TINY_SLICE:
                count -= TINY_SLICE  # no tiny rest
            shares.append((slot, count))
            most -= count
            if count < left or end < whole:
                break
        return shares

    def save(self, slots: list[Slot]) -> None:
        """Keep what is wanted of some slots, which were just prefilled: they keep it themselves."""

    def compacted(self, slots: list[Slot]) -> list[Slot]:
        """Move sequences so that they are in the lowest slots, and return these in order."""
        active = sorted({slot.number for slot in slots})
        for number in range(len(active)):
            if number not in active:
                source, target = self._slots[active.pop()], self._slots[number]
                self._copy(source, target)
                target.sequence, source.sequence = source.sequence, None
                target.stops, source.stops = source.stops, []
                active = sorted([*active, number])
        return [self._slots[number] for number in active]

    def _admit(self, waiting: deque[Sequence], prefilling: list[Slot]) -> Slot | None:
        """Give the next sequence the slot that suits it best; None if it had better wait."""
        free = [slot for slot in self._slots if slot.sequence is None]
        if not waiting or not free:
            return None
        sequence = waiting[0]
        longest = len(sequence.prompt) - 1  # the last token has to be decoded for its logits
        shared = {
            slot.number: common(sequence.prompt, slot.tokens, longest) for slot in self._slots
        }
        fresh = {slot.number for slot in prefilling}
        source = max(
            (slot for slot in self._slots if slot.number not in fresh),
            key=lambda slot: shared[slot.number],
            default=None,
        )
        best = shared[source.number] if source else 0
        for slot in prefilling:  # of these, nothing can be copied before this step is done
            if common(sequence.prompt, slot.occupant.prompt, longest) >= best + WORTH_A_COPY:
                return None
        target = max(free, key=lambda slot: (shared[slot.number], -slot.number))
        own = shared[target.number]
        if source is not None and best >= own + WORTH_A_COPY:
            target = free[0]
            if target is not source:
                self._copy(source, target)
            own = best
        waiting.popleft()
        sequence.shared = self._cut(target, own)
        sequence.prefill_began = time.perf_counter()
        target.sequence = sequence
        return target

    def _copy(self, source: Slot, target: Slot) -> None:
        """Make the target's stream equal to the source's."""
        llama.llama_memory_seq_rm(self._memory, target.number, -1, -1)
        llama.llama_memory_seq_cp(self._memory, source.number, target.number, -1, -1)
        target.tokens = source.tokens.copy()

    def _cut(self, slot: Slot, length: int) -> int:
        """Drop what follows in a slot's stream; return what is left of it."""
        if length < len(slot.tokens):
            if length == 0 or not llama.llama_memory_seq_rm(self._memory, slot.number, length, -1):
                llama.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
                length = 0  # where this memory cannot be cut, the sequence begins anew
            del slot.tokens[length:]
        return length


def common(prompt: list[int], tokens: list[int], most: int) -> int:
    """Return the length of the common beginning, `most` at the most."""
    pairs = zip(prompt[:most], tokens, strict=False)
    same = 0
    for mine, other in pairs:
        if mine != other:
            break
        same += 1
    return same
