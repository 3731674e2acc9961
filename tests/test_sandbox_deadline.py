"""The clocks of an executor: what it says is believed within what is seen from outside."""

import pytest

from experiments.sandbox import deadline
from experiments.sandbox.deadline import Deadline, Spent


class Clocks:
    """The kernel's clocks, set by a test."""

    cpu: float | None = 0.0
    waiting = 0.0

    def cpu_seconds(self) -> float | None:
        return self.cpu

    def waiting_seconds(self) -> float:
        return self.waiting


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(deadline, "Clocks", lambda pid=0: clocks)
    return clocks


def begun(total: float = 100.0, spent: Spent | None = None) -> Deadline:
    found = Deadline(10.0, total, spent or Spent())
    found.allowed = 1.0
    found.start(1)
    found.look()
    return found


def test_a_call_ends_no_earlier_than_it_was_last_seen_running_and_no_later_than_now(
    clocks: Clocks,
) -> None:
    watched = begun()
    clocks.cpu = 0.5
    watched.look(0.5)
    clocks.cpu = 0.8
    watched.look(0.3)
    assert watched.told(0.1) == 0.5  # forged: it was seen at 0.5 without an end
    assert watched.told(99.0) == pytest.approx(0.3)  # forged: that is yet to come
    assert watched.told(0.0) == 0.0


def test_what_is_told_truly_is_taken_as_it_is(clocks: Clocks) -> None:
    watched = begun()
    clocks.cpu = 0.4
    watched.look(0.4)
    assert watched.told(0.25) == 0.25
    assert watched.told(0.3) == pytest.approx(0.05)
    assert watched.pending_seconds() == pytest.approx(0.1)


def test_cpu_time_is_limited_for_each_call_and_for_all(clocks: Clocks) -> None:
    watched = begun(total=3.0, spent=Spent(cpu_seconds=1.0))
    clocks.cpu = 1.1
    watched.look(1.1)
    assert watched.passed() == "CPU time"
    assert watched.told(1.1) == pytest.approx(1.1)
    assert watched.passed() == ""
    clocks.cpu = 2.05
    watched.look(1.0)
    assert watched.passed() == "CPU time for all inputs"


def test_writing_an_output_has_a_longer_limit(clocks: Clocks) -> None:
    watched = begun()
    watched.is_writing = True
    clocks.cpu = deadline.WRITING_SECONDS - 0.1
    watched.look(5.0)
    assert watched.passed() == ""
    clocks.cpu += 0.2
    watched.look(0.2)
    assert watched.passed() == "CPU time"


def test_idle_time_counts_over_all_calls_and_executors_and_waiting_does_not(
    clocks: Clocks,
) -> None:
    spent = Spent()
    first = begun(spent=spent)
    first.look(6.0)
    assert first.passed() == ""
    first.told(0.0)
    second = begun(spent=spent)
    clocks.waiting = 3.0
    second.look(6.0)
    assert second.passed() == ""
    second.look(2.0)
    assert second.passed() == "wall time"


def test_much_cpu_time_allows_no_long_sleep(clocks: Clocks) -> None:
    watched = begun()
    watched.allowed = 60.0
    watched.look(9.0)
    assert watched.passed() == ""
    watched.look(2.0)
    assert watched.passed() == "wall time"


def test_without_a_clock_of_the_kernel_a_loop_is_ended_by_the_wall(clocks: Clocks) -> None:
    clocks.cpu = None
    watched = begun()
    watched.look(9.0)
    assert watched.passed() == ""
    watched.look(2.0)
    assert watched.passed() == "wall time"
