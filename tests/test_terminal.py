"""Progress that is told at any width, and where nobody watches."""

import io
import os
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from experiments.environment import terminal


class Lines(io.StringIO):
    """Standard error that is no terminal, and says when a line was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_count_and_remaining_time_are_visible(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "console", console)
    monkeypatch.setattr(terminal, "when", lambda _: "on Mon 30 Nov at 02:15")
    with terminal.bar("Generating", 15_000, 1_200) as progress:
        progress.advance("18,000 tokens/s, and what else there is to say")
    lines = [line for line in shown.getvalue().replace("\r", "\n").split("\n") if "left" in line]
    assert lines
    assert all("1201/15000" in line for line in lines)
    assert all("left, over on Mon 30 Nov at 02:15" in line for line in lines)


def test_where_nothing_moves_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Lines()
    monkeypatch.setattr(terminal, "console", Console(file=shown, width=80))
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 0.01)
    with terminal.bar("Judging", 4, 1) as progress:
        assert shown.written.wait(30)
        assert "Judging 1/4, none done" in shown.getvalue()
        progress.advance()
        shown.written.clear()
        assert shown.written.wait(30)
        shown.written.clear()
        assert shown.written.wait(30)
    line = next(each for each in shown.getvalue().splitlines() if "Judging 2/4, " in each)
    assert "per " in line
    assert "left, over at " in line
    assert shown.getvalue().splitlines()[-1].startswith("Judging 4/4 in ")


def test_a_task_that_fails_ends_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "console", Console(file=Lines(), width=80))
    with pytest.raises(ValueError, match="bad"), terminal.bar("Judging", 4):
        raise ValueError("bad")
    assert not [each for each in threading.enumerate() if each.name == "progress"]


def test_a_terminal_that_is_not_in_utf_8_gets_what_it_can_show() -> None:
    code = "from experiments.environment.terminal import results; results.print('50 %, 19–81')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"50 %, 19?81\n", done.stderr.decode()
