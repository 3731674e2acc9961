"""What prompts share where a model's memory is a state that cannot be cut back to a prefix.

Recurrent and hybrid models keep one state per sequence instead of a cell per token. So prefill
stops where the next prompt goes another way, and the state of that moment is kept in a spare
stream, from which it is copied whole.

There are two spare streams: one for what all prompts of a run begin with, one for what the last
prompt and the next have in common (all of it, for samples of one prompt).

Runs in the worker process only.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from experiments.backends.llama_cpp.memory import SPARE_STREAMS
from experiments.backends.llama_cpp.sequence import Sequence
from experiments.backends.llama_cpp.slots import WORTH_A_COPY, Slot, SlotTable, common


class CheckpointedSlots(SlotTable):
    """All slots of a context whose streams cannot be cut.

    Args:
        context: llama.cpp's, with one stream for each slot and the spare ones.
        count: of slots.
    """

    def __init__(self, context: Any, count: int) -> None:
        super().__init__(context, count)
        self._of_all, self._of_last = (Slot(count + number) for number in range(SPARE_STREAMS))
        self._common: int | None = None

    def clear(self) -> None:
        """Drop all sequences, tokens and kept states."""
        super().clear()
        self._common = None
        self._of_all.tokens, self._of_last.tokens = [], []

    def save(self, slots: list[Slot]) -> None:
        """Keep the states that were wanted of some slots, which were just prefilled."""
        for slot in slots:
            if len(slot.tokens) in slot.stops:
                is_of_all = len(slot.tokens) == self._common
                self._copy(slot, self._of_all if is_of_all else self._of_last)

    def _admit(self, waiting: deque[Sequence], prefilling: list[Slot]) -> Slot | None:
        free = [slot for slot in self._slots if slot.sequence is None]
        if not waiting or not free:
            return None
        if self._common is None:
            first, *others = waiting
            self._common = min(
                (common(first.prompt, other.prompt, len(other.prompt) - 1) for other in others),
                default=0,
            )
        sequence = waiting[0]
        longest = len(sequence.prompt) - 1  # the last token has to be decoded for its logits
        kept = [
            spare
            for spare in (self._of_all, self._of_last)
            if len(spare.tokens) <= longest and spare.tokens == sequence.prompt[: len(spare.tokens)]
        ]
        source = max(kept, key=lambda spare: len(spare.tokens), default=None)
        shared = len(source.tokens) if source is not None else 0
        for slot in prefilling:
            alike = common(sequence.prompt, slot.occupant.prompt, longest)
            if any(shared + WORTH_A_COPY <= stop <= alike for stop in slot.stops):
                return None  # its state is not kept before this step is done
        waiting.popleft()
        target = free[0]
        self._cut(target, 0)
        if source is not None and shared:
            self._copy(source, target)
        target.stops = self._stops(sequence, waiting, shared)
        sequence.shared = shared
        sequence.prefill_began = time.perf_counter()
        target.sequence = sequence
        return target

    def _stops(self, sequence: Sequence, waiting: deque[Sequence], shared: int) -> list[int]:
        """Return the lengths at which the state of a sequence is worth keeping."""
        stops = set()
        if self._common is not None and not self._of_all.tokens:
            stops.add(self._common)
        if waiting:
            longest = min(len(sequence.prompt), len(waiting[0].prompt)) - 1
            stops.add(common(sequence.prompt, waiting[0].prompt, longest))
        return sorted(stop for stop in stops if stop >= shared + WORTH_A_COPY)
