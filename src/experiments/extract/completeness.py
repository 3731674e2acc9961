"""Where an answer is complete, so that a model need not go on.

Chat models are asked for one Python block; the answer ends with the closing fence of the
first block that holds the function asked for. Blocks of other languages, blocks without that
function and mere stubs (a signature that is repeated while the problem is thought over) do
not end it.

Base models go on from a signature with its docstring; the answer ends where the next
top-level statement begins.

Watchers are fed bytes as tokens bring them and cost next to nothing between line ends.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from typing import Protocol


class Watcher(Protocol):
    """Watches a text grow."""

    def complete_at(self, text: bytearray) -> int | None:
        """Return the length at which the answer is complete, or None.

        Args:
            text: all that was written so far; only ever grows between calls.
        """


class BlockWatcher:
    """Waits for the closing fence of the first Python block with the entry point."""

    def __init__(self, entry_point: str) -> None:
        self._entry_point = entry_point
        self._defines = _definition_of(entry_point)
        self._line_start = 0
        self._block_start = 0  # of the open block's content
        self._fence = b""  # of the open block; empty outside of blocks
        self._is_python = False

    def complete_at(self, text: bytearray) -> int | None:
        """Return the end of the closing fence, once it is there."""
        while True:
            newline = text.find(b"\n", self._line_start)
            if newline < 0:
                # A closing fence ends the answer before its line is finished.
                line = bytes(text[self._line_start :])
                if self._closes(line) and self._is_answer(
                    text[self._block_start : self._line_start]
                ):
                    return len(text)
                return None
            line = bytes(text[self._line_start : newline])
            if not self._fence:
                if opening := _OPENING.match(line):
                    self._fence = opening["fence"]
                    self._is_python = opening["language"].lower() in _PYTHON
                    self._block_start = newline + 1
            elif self._closes(line):
                block = text[self._block_start : self._line_start]
                if self._is_answer(block):
                    return self._line_start + len(line.rstrip())
                if not _inside_string(block):
                    self._fence = b""
            self._line_start = newline + 1

    def _closes(self, line: bytes) -> bool:
        stripped = line.strip()
        return (
            bool(self._fence)
            and len(stripped) >= len(self._fence)
            and stripped == self._fence[:1] * len(stripped)
        )

    def _is_answer(self, block: bytearray) -> bool:
        return (
            self._is_python
            and self._defines.search(block) is not None
            and not _inside_string(block)
            and not _is_stub(block.decode(errors="replace"), self._entry_point)
        )


class StatementWatcher:
    """Waits for the next top-level statement after the body of a function."""

    def __init__(self) -> None:
        self._line_start = 0
        self._has_body = False
        self._first_line = True

    def complete_at(self, text: bytearray) -> int | None:
        """Return where the next top-level statement begins, once its first byte is there."""
        while True:
            newline = text.find(b"\n", self._line_start)
            end = len(text) if newline < 0 else newline
            line = text[self._line_start : end]
            if self._first_line:
                # It goes on where the prompt ends, which may be in the middle of a line.
                if newline < 0:
                    return None
                self._has_body = bool(line.strip())
                self._first_line = False
            elif (
                line
                and self._has_body
                and bytes(line[:1]) not in _NOT_A_STATEMENT
                and not self._goes_on(text, bytes(line))
            ):
                return self._line_start
            if newline < 0:
                return None
            if bytes(line[:1]) in (b" ", b"\t") and line.strip():
                self._has_body = True
            self._line_start = newline + 1

    def _goes_on(self, text: bytearray, line: bytes) -> bool:
        """Tell whether the line belongs to a string or to brackets that are open."""
        before = text[: self._line_start]
        if _inside_string(before):
            return True
        code = _QUOTES.sub(b"", before)
        opened = sum(code.count(bracket) for bracket in (b"(", b"[", b"{"))
        closed = sum(code.count(bracket) for bracket in (b")", b"]", b"}"))
        # A bracket that was forgotten does not hold up a line that cannot be inside one.
        return opened > closed and _ONLY_A_STATEMENT.match(line) is None


_PYTHON = {b"python", b"py", b"python3", b"py3", b""}
_OPENING = re.compile(
    rb"\s*(?:[-*+>]\s+|\d+[.)]\s+)?(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`{]*)"
)
_NOT_A_STATEMENT = (b" ", b"\t", b"\r", b"#", b")", b"]", b"}")
_ONLY_A_STATEMENT = re.compile(rb"(?:def|class|import|assert|return|print)\b|@|```")
_QUOTES = re.compile(
    rb'\\.|"""|\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL
)


def _definition_of(name: str) -> re.Pattern[bytes]:
    escaped = re.escape(name).encode()
    return re.compile(
        rb"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+%b\b|class[ \t]+%b\b|%b[ \t]*(?::[^=\n]*)?=[^=])"
        % (escaped, escaped, escaped),
        re.MULTILINE,
    )


def _inside_string(source: bytes | bytearray) -> bool:
    """Tell whether the source ends inside a triple-quoted string."""
    if b'"""' not in source and b"'''" not in source:
        return False
    place = 0
    while match := _QUOTES.search(source, place):
        place = match.end()
        if match[0] in (b'"""', b"'''"):
            closing = re.compile(rb"\\.|" + match[0], re.DOTALL)
            while (end := closing.search(source, place)) and end[0][:1] == b"\\":
                place = end.end()
            if end is None:
                return True
            place = end.end()
    return False


def _is_stub(block: str, entry_point: str) -> bool:
    """Tell whether the function is only announced: no body, or one that does nothing."""
    source = textwrap.dedent(block)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the model's code, which is not our concern
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = source.rstrip().splitlines()
        return bool(lines) and lines[-1].rstrip().endswith(":")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point:
            return all(_does_nothing(statement) for statement in node.body)
    return False


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Raise):
        return statement.exc is not None and "NotImplemented" in ast.dump(statement.exc)
    return False
