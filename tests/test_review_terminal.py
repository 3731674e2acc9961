"""Grading in the terminal, by keys that are typed and lines that are looked at."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import ROOT
from reviewed_runs import lines, make_run

from experiments.review.grades import Grades
from experiments.review.rubric import load
from experiments.review.terminal import (
    BACKSPACE,
    DOWN,
    ENTER,
    ESCAPE,
    INTERRUPT,
    KEYS,
    Terminal,
    grade_all,
)
from experiments.review.works import works

RUBRIC = load("default", ROOT / "conf")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Typed:
    """A terminal of 80 × 24 into which keys are typed; it keeps what was shown."""

    keys: list[str]
    screens: list[list[str]] = field(default_factory=list)

    def key(self) -> str:
        return self.keys.pop(0) if self.keys else INTERRUPT

    def show(self, lines: Sequence[str]) -> None:
        self.screens.append([COLOURS.sub("", line) for line in lines])

    def grade(self, folder: Path, reviewer: str = "alice") -> int:
        found = works([folder])
        terminal = Terminal(self.key, self.show, lambda: (80, 24))
        return grade_all(found, Grades(found, [folder]), reviewer, RUBRIC, terminal)


def grades(folder: Path) -> list[tuple[object, object]]:
    return [(line["problem_id"], line["grade"]) for line in lines(folder)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "a", [10, 9, 2])


def test_one_key_is_a_grade_and_the_next_work_comes(folder: Path) -> None:
    typed = Typed(["1", "3", "4"])
    assert typed.grade(folder) == 3
    assert grades(folder) == [("p0", "correct"), ("p1", "nearly correct"), ("p2", "wrong")]


def test_everything_is_seen_at_80_by_24_and_nothing_gives_the_model_away(folder: Path) -> None:
    typed = Typed(["1"])
    typed.grade(folder)
    for screen in typed.screens:
        assert len(screen) == 24
        assert max(map(len, screen)) <= 80
    shown = "\n".join(typed.screens[1])
    for text in ("2 of 3", "Return x plus 1", "return x + 1", "9 of 10 tests", "f(1)", "'three'"):
        assert text in shown
    assert KEYS in shown
    for secret in ("secretmodel", "q8_0", "plain"):
        assert secret not in shown


def test_reasons_and_a_comment_go_with_the_grade(folder: Path) -> None:
    comment = ["c", *"offf", BACKSPACE, " ", *"by öne", ENTER]
    typed = Typed(["r", "1", "2", "1", "3", ENTER, *comment, "4"])
    typed.grade(folder)
    (line,) = lines(folder)
    assert line["reasons"] == ["misread task", "inefficient"]
    assert line["comment"] == "off by öne"
    assert any("reasons: misread task, inefficient" in text for text in typed.screens[-2])


def test_a_dropped_comment_is_none_and_digits_in_one_are_no_grade(folder: Path) -> None:
    Typed(["c", "1", "q", ESCAPE, "1"]).grade(folder)
    (line,) = lines(folder)
    assert (line["grade"], line["comment"]) == ("correct", "")


def test_undo_goes_back_and_keeps_reasons_for_the_next_grade(folder: Path) -> None:
    typed = Typed(["r", "1", ENTER, "4", "u", "3", "q"])
    typed.grade(folder)
    assert grades(folder) == [("p0", "wrong"), ("p0", ""), ("p0", "nearly correct")]
    assert lines(folder)[-1]["reasons"] == ["edge case"]


def test_undo_where_nothing_was_graded_does_nothing(folder: Path) -> None:
    assert Typed(["u", "1", "q"]).grade(folder) == 1


def test_who_stops_goes_on_later_and_skipped_works_come_again(folder: Path) -> None:
    assert Typed(["s", "1", "q"]).grade(folder) == 1
    typed = Typed(["4", "4"])
    assert typed.grade(folder) == 2
    assert [screen[0] for screen in typed.screens] == ["2 of 3 · easy", "3 of 3 · hard"]
    assert grades(folder) == [("p1", "correct"), ("p0", "wrong"), ("p2", "wrong")]


def test_each_reviewer_grades_all(folder: Path) -> None:
    assert Typed(["1"] * 3).grade(folder, "alice") == 3
    assert Typed(["1"] * 3).grade(folder, "bob") == 3


def test_a_long_program_scrolls_and_its_failing_input_is_below(tmp_path: Path) -> None:
    program = "def f(x):\n" + "".join(f"    y = {n}\n" for n in range(60)) + "    return y\n"
    folder = make_run(tmp_path / "a", [3], [program])
    typed = Typed(["p", *[" "] * 9, DOWN, "b", "p", "p", "p", "q"])
    typed.grade(folder)
    assert "Return x plus" in "\n".join(typed.screens[0])
    assert "the program" in typed.screens[1][1]
    assert [line.rstrip() for line in typed.screens[10][-6:-3]] == [
        "call     f(1)",
        "expected 2",
        "got      'three'",
    ]
    assert "the program" in typed.screens[-3][1]
    assert all(KEYS in screen[-1] for screen in typed.screens)


def test_the_meaning_of_the_grades_is_a_key_away(folder: Path) -> None:
    typed = Typed(["?", "x", "q"])
    typed.grade(folder)
    assert RUBRIC.grades[2].meaning[:40] in "\n".join(typed.screens[1])


def test_what_a_model_wrote_cannot_steer_the_terminal(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [3], ["def f(x):\n\treturn '\x1b]0;taken\x07\x1b[2J'\n"])
    typed = Typed(["q"])
    typed.grade(folder)
    shown = "\n".join(typed.screens[0])
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\\x1b]0;taken" in shown


def test_the_command_works_in_a_real_terminal(folder: Path) -> None:
    """One grade, then stop; and the terminal is as it was."""
    code = "import sys; from experiments.cli import main; sys.exit(main())"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code, "review", str(folder), "--text", "--reviewers", "Alice"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = _until(ours, "meanings")
    os.write(ours, b"\x1b[B3")
    shown += _until(ours, "2 of 3")
    os.write(ours, b"q")
    shown += _until(ours, "The score: experiments report")
    assert process.wait(60) == 0
    os.close(ours)
    assert "alice graded 1 program; left: 2 of 3" in shown
    (line,) = lines(folder)
    assert (line["grade"], line["reviewer"]) == ("nearly correct", "alice")


def _until(descriptor: int, text: str) -> str:
    shown = ""
    end = time.monotonic() + 60
    while text not in shown:
        assert time.monotonic() < end, shown
        if select.select([descriptor], [], [], 1)[0]:
            shown += os.read(descriptor, 1 << 16).decode(errors="replace")
    return shown
