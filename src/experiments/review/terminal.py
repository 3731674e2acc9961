"""Grading in the terminal: one work after the other, one key a grade, each saved at once.

The screen is made of lines (`Screen.lines`), so that it can be looked at without a terminal.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from experiments.errors import ConfigError, printable
from experiments.review.grades import Given, Grades
from experiments.review.rubric import Rubric
from experiments.review.works import Work

KEYS = "r reasons  c comment  u undo  s skip  q stop  p program  space ↓ ↑  ? meanings"
"""What can be typed besides a grade."""

TAB_COLUMNS = 4
FEWEST_LINES = 3
"""Lines of a work that are shown, however small the terminal is."""

UP, DOWN, PAGE_UP, PAGE_DOWN = "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~"
ENTER, ESCAPE, BACKSPACE, INTERRUPT = "\r", "\x1b", "\x7f", "\x03"


@dataclass(frozen=True)
class Screen:
    """What is shown of one work.

    Attributes:
        work: that is to be graded.
        title: how far the reviewer is.
        rubric: its grades are the keys.
        reasons, comment: that will go with the grade.
        top: first line of the work that is shown.
        asks: `grade`, `reasons`, `comment` or `meanings`.
    """

    work: Work
    title: str
    rubric: Rubric
    reasons: tuple[str, ...] = ()
    comment: str = ""
    top: int = 0
    asks: str = "grade"

    def lines(self, width: int, height: int) -> list[str]:
        """Return the lines for a terminal of that size, with their colours."""
        head = _rendered(Text(self.title, style="bold", no_wrap=True, overflow="ellipsis"), width)
        foot = _rendered(self._foot(), width)
        room = max(FEWEST_LINES, height - len(head) - len(foot) - 1)
        body = self._body(width)
        top = min(self.top, max(0, len(body) - room))
        below = len(body) - top - room
        more = f"{below} more lines: space" if below > 0 else ("↑" if top else "")
        rule = _rendered(Rule(more, style="dim", align="right"), width)
        shown = body[top : top + room]
        return [*head, *shown, *[""] * (room - len(shown)), *rule, *foot][:height]

    def scrolled(self, by: int, width: int, height: int) -> Screen:
        """Return it with other lines of the work shown."""
        room = max(FEWEST_LINES, height - 2 - len(_rendered(self._foot(), width)))
        last = max(0, len(self._body(width)) - room)
        return replace(self, top=min(last, max(0, self.top + by)))

    def at_program(self, width: int, height: int) -> Screen:
        """Return it with the program at the top, or the statement if that is there already."""
        statement = len(_rendered(_code(self.work.problem.prompt), width))
        there = replace(self, top=0).scrolled(statement, width, height)
        return replace(self, top=0) if there.top == self.top else there

    def _body(self, width: int) -> list[str]:
        return _rendered(Group(*self._sections()), width)

    def _sections(self) -> Iterator[RenderableType]:
        if self.asks == "meanings":
            for number, grade in enumerate(self.rubric.grades, start=1):
                yield Text(f"{number} {grade.name} ({grade.points:g}): {grade.meaning}")
            return
        work = self.work
        yield _code(work.problem.prompt)
        yield Rule("the program", style="dim", align="left")
        yield _code(work.program) if work.program.strip() else Text("none was found")
        yield Rule("the tests", style="dim", align="left")
        kept = ", format lost" if work.format_kept is False else ""
        yield Text(f"{work.verdict.plus}, {work.verdict.tests_text}{kept}".replace("_", " "))
        if failure := work.verdict.failure:
            told = (("call", failure.call), ("expected", failure.expected), ("got", failure.actual))
            for name, text in told:
                if text:
                    yield Text.assemble((f"{name:<9}", "dim"), _plain(text))
        if (work.format_kept is False or not work.program.strip()) and work.text.strip():
            yield Rule("the whole answer", style="dim", align="left")
            yield Text(_plain(work.text))

    def _foot(self) -> RenderableType:
        if self.asks == "comment":
            return Text(f"comment (Enter keeps it, Esc drops it): {self.comment}▏")
        if self.asks == "reasons":
            return Group(_Options(self.rubric.reasons, self.reasons), Text("Enter goes back"))
        given = [f"reasons: {', '.join(self.reasons)}"] if self.reasons else []
        given += [f"comment: {self.comment}"] if self.comment else []
        keys = Text(KEYS, style="dim", no_wrap=True, overflow="ellipsis")
        last = [Text("  ".join(given), style="yellow", no_wrap=True, overflow="ellipsis")]
        grades = _Options([grade.name for grade in self.rubric.grades])
        return Group(grades, keys, *(last if given else []))


@dataclass
class Terminal:
    """Where keys come from and where lines go.

    Attributes:
        key: waits for a key and returns it, one character or an escape sequence.
        show: shows lines from the top of the screen.
        size: returns columns and lines.
    """

    key: Callable[[], str]
    show: Callable[[Sequence[str]], None]
    size: Callable[[], tuple[int, int]]


def grade_all(
    works: Sequence[Work], grades: Grades, reviewer: str, rubric: Rubric, terminal: Terminal
) -> int:
    """Have a reviewer grade what she has not graded yet; return how many she did.

    Args:
        works: in the order of reading.
        grades: where each grade is kept at once.
        reviewer: who grades.
        rubric: by which.
        terminal: where.

    Raises:
        StoreError: a grade could not be kept.
    """
    left = [work for work in works if grades.last(work, reviewer) is None]
    graded: list[tuple[int, Given]] = []
    at, pending = 0, Given(None)
    while at < len(left):
        work = left[at]
        title = f"{len(works) - len(left) + at + 1} of {len(works)}"
        about = " · ".join(filter(None, [title, work.problem.title, work.problem.difficulty]))
        screen = Screen(work, about, rubric, pending.reasons, pending.comment)
        answer = _ask(screen, terminal)
        pending = Given(None)
        if isinstance(answer, Given):
            grades.add(work, answer, reviewer, rubric, "terminal")
            graded.append((at, answer))
            at += 1
        elif answer == "u" and graded:
            at, pending = graded.pop()
            grades.add(left[at], Given(None), reviewer, rubric, "terminal")
        elif answer == "s":
            at += 1
        elif answer in ("q", INTERRUPT):
            break
    return len(graded)


def _ask(screen: Screen, terminal: Terminal) -> Given | str:
    """Return the grade that is given, or the key that asks for something else."""
    while True:
        terminal.show(screen.lines(*terminal.size()))
        key = terminal.key()
        if key == INTERRUPT:
            return key
        if screen.asks == "comment":
            screen = _typed(screen, key)
        elif screen.asks == "reasons":
            screen = _toggled(screen, key)
        elif screen.asks == "meanings":
            screen = replace(screen, asks="grade", top=0)
        elif (scroll := _lines_of(key, terminal.size()[1])) is not None:
            screen = screen.scrolled(scroll, *terminal.size())
        elif key == "p":
            screen = screen.at_program(*terminal.size())
        elif key in _WORDS:
            screen = replace(screen, asks=_WORDS[key], top=0 if key == "?" else screen.top)
        elif (number := _number(key, len(screen.rubric.grades))) is not None:
            return Given(screen.rubric.grades[number], screen.reasons, screen.comment.strip())
        elif key in ("u", "s", "q"):
            return key


_WORDS = {"r": "reasons", "c": "comment", "?": "meanings"}


def _typed(screen: Screen, key: str) -> Screen:
    """Return the screen after a key of a comment."""
    if key in (ENTER, "\n"):
        return replace(screen, asks="grade")
    if key == ESCAPE:
        return replace(screen, asks="grade", comment="")
    if key in (BACKSPACE, "\b"):
        return replace(screen, comment=screen.comment[:-1])
    return replace(screen, comment=screen.comment + key) if key.isprintable() else screen


def _toggled(screen: Screen, key: str) -> Screen:
    """Return the screen after a key among the reasons."""
    if key in (ENTER, "\n", ESCAPE, "r"):
        return replace(screen, asks="grade")
    known = screen.rubric.reasons
    number = _number(key, len(known))
    if number is None:
        return screen
    chosen = {*screen.reasons} ^ {known[number]}
    return replace(screen, reasons=tuple(reason for reason in known if reason in chosen))


def _number(key: str, count: int) -> int | None:
    """Return which of some options a digit means; 0 is the tenth."""
    if len(key) != 1 or not key.isascii() or not key.isdigit():
        return None
    number = (int(key) or 10) - 1
    return number if number < count else None


def _lines_of(key: str, height: int) -> int | None:
    """Return by how many lines a key scrolls."""
    page = max(1, height - 8)
    steps = {" ": page, PAGE_DOWN: page, "b": -page, PAGE_UP: -page}
    return {**steps, DOWN: 1, "j": 1, UP: -1, "k": -1}.get(key)


@dataclass(frozen=True)
class _Options:
    """Names with the digits that choose them, as many in a line as there is room for."""

    names: Sequence[str]
    chosen: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for number, name in enumerate(self.names, start=1):
            style = "bold green" if name in self.chosen else ""
            option = Text.assemble((f"{number % 10}", "bold reverse"), (f" {name}", style))
            if line and line.cell_len + 2 + option.cell_len > options.max_width:
                yield line
                line = Text()
            line.append_text(Text.assemble("  " if line else "", option))
        yield line


def _code(source: str) -> Syntax:
    return Syntax(_plain(source).rstrip(), "python", theme="ansi_dark", word_wrap=True)


def _plain(text: str) -> str:
    return printable(text.expandtabs(TAB_COLUMNS))


def _rendered(content: RenderableType, width: int) -> list[str]:
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=True, color_system="standard", highlight=False
    )
    console.print(content)
    return file.getvalue().rstrip("\n").split("\n")


@contextmanager
def opened() -> Iterator[Terminal]:
    """Yield the terminal of this process, whose former content comes back at the end.

    Raises:
        ConfigError: there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "experiments review --text needs a terminal", "Leave out --text to use MLflow's pages."
        )
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def show(lines: Sequence[str]) -> None:
        sys.stdout.write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
        sys.stdout.flush()

    def size() -> tuple[int, int]:
        found = os.get_terminal_size(sys.stdout.fileno())
        return found.columns or 80, found.lines or 24

    try:
        tty.setraw(descriptor)
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
        yield Terminal(lambda: _key(descriptor), show, size)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _key(descriptor: int) -> str:
    """Return the next key; what is pasted comes as one key after the other."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = ""
    while not text:
        some = os.read(descriptor, 1)
        if not some:
            return INTERRUPT  # the terminal went away
        text = decoder.decode(some)
    while text.startswith(ESCAPE) and select.select([descriptor], [], [], 0.02)[0]:
        text += os.read(descriptor, 1).decode(errors="replace")
        if text[-1].isalpha() or text[-1] == "~":
            break
    return text
