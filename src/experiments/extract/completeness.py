"""Where an answer is complete, so that a model need not go on.

Chat models are asked for one Python block; the answer ends with the closing fence of the
first block that holds a program with the function asked for. Blocks of other languages, blocks
without that function and mere stubs (a signature that is repeated while the problem is thought
over) do not end it. What a block, a definition and a stub are is said in `grammar`, where
`extract` finds the program by the same rules.

Base models go on from a signature with its docstring; the answer ends where the next
top-level statement begins.

Watchers are fed bytes as tokens bring them and cost next to nothing between line ends.
"""

from __future__ import annotations

from experiments.extract._source import program_in
from experiments.extract._text import normalised, own_turn
from experiments.extract.grammar import BodyScanner, blocks


class BlockWatcher:
    """Waits for the closing fence of the first Python block with the entry point.

    Args:
        entry_point: the name of the function that was asked for.
        start: where the answer begins in the text, behind a thought.
    """

    def __init__(self, entry_point: str, start: int = 0) -> None:
        self._entry_point = entry_point
        self._start = self._line_start = start
        self._open_since = start  # where the open block begins, or the text behind the last one
        self._turn_ended = False

    def complete_at(self, text: bytearray) -> int | None:
        """Return the end of the line with the closing fence, once it is there.

        Args:
            text: all that was generated so far; only ever grows between calls.
        """
        while not self._turn_ended:
            newline = text.find(b"\n", self._line_start)
            line = text[self._line_start : len(text) if newline < 0 else newline]
            # A closing fence ends the answer before its line is finished.
            has_fence = b"```" in line or b"~~~" in line if newline >= 0 else _is_bare_fence(line)
            if has_fence and self._is_answered(text, newline):
                return self._line_start + len(line.rstrip())
            if newline < 0:
                break
            self._line_start = newline + 1
        return None

    def _is_answered(self, text: bytearray, newline: int) -> bool:
        """Tell whether the line with a fence that begins at `_line_start` closes the answer."""
        end = len(text) if newline < 0 else newline
        source = normalised(text[self._open_since : end].decode(errors="replace"))
        # What follows the end of the turn is another turn, made up.
        turn, self._turn_ended = own_turn(source, is_begin=self._open_since == self._start)
        found = blocks(turn, grows=True)
        if found and found[-1].closed:
            if found[-1].python and program_in(found[-1].source, self._entry_point):
                return True
            if newline >= 0:
                self._open_since = newline + 1
        elif found and found[-1].line == turn.count("\n"):
            self._open_since = self._line_start
        return False


class StatementWatcher:
    """Waits for the next top-level statement after the body of a function."""

    def __init__(self) -> None:
        self._body = BodyScanner()
        self._line_start = 0
        self._has_body = False
        self._first_line = True

    def complete_at(self, text: bytearray) -> int | None:
        """Return where the next top-level statement begins, once its first byte is there."""
        while True:
            newline = text.find(b"\n", self._line_start)
            if newline < 0 and self._first_line:
                return None  # it goes on where the prompt ends, maybe in the middle of a line
            end = len(text) if newline < 0 else newline
            line = text[self._line_start : end].decode(errors="replace")
            if self._has_body and self._body.begins_anew(line):
                return self._line_start
            if newline < 0:
                return None
            self._body.take(line)
            self._has_body |= bool(line.strip()) and (self._first_line or line[0] in " \t")
            self._first_line = False
            self._line_start = newline + 1


Watcher = BlockWatcher | StatementWatcher
"""Watches a text grow."""


def watcher_for(entry_point: str, is_chat: bool, start: int = 0) -> Watcher:
    """Return what waits for the end of an answer that begins at a place in a text."""
    return BlockWatcher(entry_point, start) if is_chat else StatementWatcher()


def _is_bare_fence(line: bytearray) -> bool:
    """Tell whether a line consists of a fence."""
    mark = line.strip()
    return len(mark) >= 3 and mark[0] in b"`~" and mark == mark[:1] * len(mark)
