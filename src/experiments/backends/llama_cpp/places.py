"""Which sequence is decoded in which KV stream, and what prompts share.

A place is a stream of llama.cpp's KV cache. It is a sequence's own while it is read and
decoded, and keeps its tokens afterwards: whoever comes next may begin with them.

- Streams are copied whole and then cut to what two prompts share.
- llama.cpp runs streams in one pass only where their numbers follow each other, so the
  sequences of a step are kept in the lowest places.
- A sequence waits while another is read with which it shares more than with all that is there.

Runs in the worker process only.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.sequence import Sequence

WORTH_A_COPY = 32
"""Tokens that must be saved for another place's stream to be copied."""

TINY_SLICE = 16
"""A pass costs much the same for one token of a prompt as for so many."""


class Place:
    """A KV stream: the tokens in it, and the sequence that it belongs to."""

    __slots__ = ("number", "sequence", "tokens")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.sequence: Sequence | None = None

    @property
    def occupant(self) -> Sequence:
        """The sequence of a place that is not free."""
        assert self.sequence is not None
        return self.sequence

    @property
    def is_decoding(self) -> bool:
        """Whether its sequence has tokens of its own."""
        return self.sequence is not None and bool(self.sequence.token_ids)

    @property
    def is_reading(self) -> bool:
        """Whether its sequence's prompt is being read."""
        return self.sequence is not None and not self.sequence.token_ids


class Places:
    """All places of a context.

    Args:
        context: llama.cpp's, with one stream for each place.
        count: of places.
    """

    def __init__(self, context: Any, count: int) -> None:
        self._memory = llama.llama_get_memory(context)
        self._places = [Place(number) for number in range(count)]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def taken(self) -> list[Place]:
        """Places that have a sequence, in their order."""
        return [place for place in self._places if place.sequence is not None]

    @property
    def decoding(self) -> list[Place]:
        """Places whose sequences have tokens of their own, in their order."""
        return [place for place in self._places if place.is_decoding]

    def clear(self) -> None:
        """Drop all sequences and all tokens."""
        for place in self.taken:
            place.occupant.free()
            place.sequence = None
        for place in self._places:
            place.tokens = []
        llama.llama_memory_clear(self._memory, False)

    def share_out(self, waiting: deque[Sequence], room: int) -> list[tuple[Place, int]]:
        """Return which places read how many tokens of their prompts in this step.

        Args:
            waiting: where those come from who get a place now.
            room: most tokens that are read in this step.
        """
        shares: list[tuple[Place, int]] = []
        readers = [place for place in self._places if place.is_reading]
        while room > 0:
            if readers:
                place = readers.pop(0)
            else:
                admitted = self._admit(waiting, [place for place, _ in shares])
                if admitted is None:
                    break
                place = admitted
            left = len(place.occupant.prompt) - len(place.tokens)
            count = min(left, room)
            if 0 < left - count < TINY_SLICE and count > 2 * TINY_SLICE:
                count -= TINY_SLICE  # no tiny rest
            shares.append((place, count))
            room -= count
            if count < left:
                break
        return shares

    def packed(self, places: list[Place]) -> list[Place]:
        """Move sequences so that they are in the lowest places, and return these in order."""
        active = sorted({place.number for place in places})
        for number in range(len(active)):
            if number not in active:
                source, target = self._places[active.pop()], self._places[number]
                self._copy(source, target)
                target.sequence, source.sequence = source.sequence, None
                active = sorted([*active, number])
        return [self._places[number] for number in active]

    def _admit(self, waiting: deque[Sequence], reading: list[Place]) -> Place | None:
        """Give the next sequence the place that suits it best; None if it had better wait."""
        free = [place for place in self._places if place.sequence is None]
        if not waiting or not free:
            return None
        sequence = waiting[0]
        longest = len(sequence.prompt) - 1  # the last token has to be decoded for its logits
        shared = {
            place.number: common(sequence.prompt, place.tokens, longest) for place in self._places
        }
        fresh = {place.number for place in reading}
        source = max(
            (place for place in self._places if place.number not in fresh),
            key=lambda place: shared[place.number],
            default=None,
        )
        best = shared[source.number] if source else 0
        for place in reading:  # of these, nothing can be copied before this step is done
            if common(sequence.prompt, place.occupant.prompt, longest) >= best + WORTH_A_COPY:
                return None
        target = max(free, key=lambda place: (shared[place.number], -place.number))
        own = shared[target.number]
        if source is not None and best >= own + WORTH_A_COPY:
            target = free[0]
            if target is not source:
                self._copy(source, target)
            own = best
        waiting.popleft()
        sequence.shared = self._cut(target, own)
        sequence.read_began = time.perf_counter()
        target.sequence = sequence
        return target

    def _copy(self, source: Place, target: Place) -> None:
        """Make the target's stream equal to the source's."""
        llama.llama_memory_seq_rm(self._memory, target.number, -1, -1)
        llama.llama_memory_seq_cp(self._memory, source.number, target.number, -1, -1)
        target.tokens = source.tokens.copy()

    def _cut(self, place: Place, length: int) -> int:
        """Drop what follows in a place's stream; return what is left of it."""
        if length < len(place.tokens):
            if length == 0 or not llama.llama_memory_seq_rm(self._memory, place.number, length, -1):
                # A recurrent state cannot be cut: it begins anew.
                llama.llama_memory_seq_rm(self._memory, place.number, -1, -1)
                length = 0
            del place.tokens[length:]
        return length


def common(prompt: list[int], tokens: list[int], most: int) -> int:
    """Return the length of the common beginning, if it is shorter than `most`; else `most`."""
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
