"""Verdicts: outcomes, counts, reference outputs, second judgements, what a program may cost."""

import hashlib
import marshal
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.errors import DatasetError
from experiments.judge import judge, references, solutions
from experiments.records import Dataset, Outcome, Problem, Solution
from experiments.sandbox import Calls, Kind, Reply, Sandbox
from experiments.schema import SandboxConfig

PROBLEM = Problem(
    id="p",
    entry_point="f",
    prompt="def f(x):\n",
    reference="def f(x):\n    return 10 // x\n",
    base_inputs=((1,), (2,)),
    extra_inputs=((5,), (0,), (3,)),
)
SETTINGS = SandboxConfig(workers=2, minimum_cpu_seconds=0.2, wall_factor=3.0, memory_megabytes=512)


def dataset(*problems: Problem) -> Dataset:
    return Dataset("set", "digest", problems or (PROBLEM,))


def verdict_of(program: str, problem: Problem = PROBLEM, **settings):
    chosen = replace(SETTINGS, **settings)
    (found,) = judge([Solution(problem.id, 3, program)], dataset(problem), chosen)
    return found


def test_the_reference_passes_where_it_raises_too() -> None:
    found = verdict_of(PROBLEM.reference)
    assert (found.base, found.plus) == (Outcome.PASSED, Outcome.PASSED)
    assert (found.tests_passed, found.tests_total, found.sample) == (5, 5, 3)
    assert found.failure is None
    assert found.cpu_seconds > 0
    assert found.isolation in ("bubblewrap", "process")


@pytest.mark.parametrize(
    ("program", "base", "plus", "passed"),
    [
        ("", "no_code", "no_code", 0),
        ("def f(x", "no_code", "no_code", 0),
        ("g = 1", "no_code", "no_code", 0),
        ("1 / 0", "raised", "raised", 0),
        ("def f(x): return 10 / x", "passed", "wrong_answer", 4),
        ("def f(x): return 10 // x if x else None", "passed", "wrong_answer", 4),
        ("def f(x):\n    if x == 2: raise ValueError\n    return 10 // x", "raised", "raised", 4),
        ("def f(x):\n    while x == 5: pass\n    return 10 // x", "passed", "timed_out", 4),
        ("def f(x): return bytearray(10**11)", "out_of_memory", "out_of_memory", 0),
        (
            "import os\ndef f(x):\n    x == 5 and os._exit(0)\n    return 10 // x",
            "passed",
            "died",
            4,
        ),
    ],
)
def test_outcomes(program: str, base: str, plus: str, passed: int) -> None:
    found = verdict_of(program)
    assert (found.base.value, found.plus.value, found.tests_passed) == (base, plus, passed)
    assert found.failure is not None


def test_the_first_failure_is_told() -> None:
    failure = verdict_of("def f(x): return [x]").failure
    assert failure is not None
    assert (failure.call, failure.expected, failure.actual) == ("f(1)", "10", "[1]")


def test_a_subclass_of_the_expected_exception_is_right_and_another_is_not() -> None:
    good = (
        "class Mine(ZeroDivisionError): pass\ndef f(x):\n    if not x: raise Mine\n    return 10//x"
    )
    assert verdict_of(good).plus is Outcome.PASSED
    assert verdict_of(good.replace("ZeroDivisionError", "ValueError")).plus is Outcome.RAISED


def test_an_exception_of_every_kind_is_of_none() -> None:
    program = (
        "class All(ValueError, ZeroDivisionError, KeyError): pass\n"
        "def f(x):\n    if not x: raise All\n    return 10 // x"
    )
    assert verdict_of(program).plus is Outcome.RAISED


def test_a_program_that_dies_again_and_again_is_given_all_tests() -> None:
    problem = replace(PROBLEM, extra_inputs=tuple((number,) for number in range(3, 20)))
    program = "import os\ndef f(x):\n    if 3 <= x < 10: os._exit(0)\n    return 10 // x"
    found = verdict_of(program, problem)
    assert (found.base, found.plus) == (Outcome.PASSED, Outcome.DIED)
    assert found.tests_passed == 12


def test_stopping_at_the_first_failure_gives_the_same_outcome() -> None:
    for program in (PROBLEM.reference, "def f(x): return 10 / x", "def f(x): return x"):
        full, short = verdict_of(program), verdict_of(program, stop_at_first_failure=True)
        assert (full.base, full.plus, full.failure) == (short.base, short.plus, short.failure)


LOOP = "def f(x):\n    while True: pass"


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """CPU seconds of each run of a program."""
    seconds: list[float] = []
    run = Sandbox.run

    def running(self, *arguments, **settings) -> Iterator:
        try:
            yield from run(self, *arguments, **settings)
        finally:
            seconds.append(self.cpu_seconds)

    monkeypatch.setattr(Sandbox, "run", running)
    return seconds


def test_a_timed_out_program_is_judged_once_more() -> None:
    samples = [Solution("p", 0, LOOP), Solution("p", 1, "")]
    judging = judge(samples, dataset(), SETTINGS)
    found = list(judging)
    assert [(each.sample, each.retried) for each in found] == [(1, False), (0, True)]
    assert (judging.retried, judging.changed) == (1, 0)


def test_programs_near_a_limit_are_judged_again_on_all_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second_judgements: set[int] = set()
    judge_program = solutions.judge_program

    def watched(sandbox, program, reference, settings, is_second):
        if is_second:
            second_judgements.add(threading.get_ident())
        return judge_program(sandbox, program, reference, settings, is_second)

    monkeypatch.setattr(solutions, "judge_program", watched)
    samples = [Solution("p", number, f"{LOOP}\n# {number}") for number in range(6)]
    assert len(list(judge(samples, dataset(), SETTINGS))) == 6
    assert len(second_judgements) == 2


def test_a_loop_costs_about_twice_its_limit(spent: list[float]) -> None:
    problem = replace(PROBLEM, extra_inputs=tuple((number,) for number in range(3, 40)))
    for stop, most in ((True, 2.2), (False, 2.6)):
        verdict_of(PROBLEM.reference, problem, stop_at_first_failure=stop)
        del spent[:]
        found = verdict_of(LOOP, problem, minimum_cpu_seconds=0.5, stop_at_first_failure=stop)
        assert found.base is found.plus is Outcome.TIMED_OUT
        loops = [seconds for seconds in spent if seconds > 0.05]  # not the reference
        assert 2 * 0.5 <= sum(loops) < most * 0.5
        assert found.tests_not_run > 30


def test_after_a_timeout_fast_inputs_are_counted_all_the_same() -> None:
    program = "def f(x):\n    while x == 5: pass\n    return 10 // x"
    found = verdict_of(program)
    assert (found.base, found.plus) == (Outcome.PASSED, Outcome.TIMED_OUT)
    assert (found.tests_passed, found.tests_not_run) == (4, 0)
    assert found.tests_text == "4 of 5 tests passed"


def test_what_was_not_run_makes_the_count_a_lower_bound() -> None:
    program = "def f(x):\n    while x in (5, 3): pass\n    return 10 // x"
    found = verdict_of(program)
    assert (found.tests_passed, found.tests_not_run) == (3, 1)
    assert found.tests_text == "at least 3 of 5 tests passed"
    assert verdict_of(PROBLEM.reference).tests_not_run == 0
    assert verdict_of("").tests_not_run == 0


def test_a_wrong_program_gets_little_time_for_its_other_inputs(spent: list[float]) -> None:
    problem = replace(PROBLEM, extra_inputs=tuple((number,) for number in range(3, 60)))
    program = """
import time
def f(x):
    began = time.process_time()
    while time.process_time() < began + 0.1: pass
    return x
"""
    found = verdict_of(program, problem)
    assert (found.base, found.plus) == (Outcome.WRONG_ANSWER, Outcome.WRONG_ANSWER)
    assert found.tests_not_run > 40
    assert not found.retried
    assert max(spent) < 1.0


def test_what_follows_a_failure_cannot_make_the_verdict_doubtful() -> None:
    program = "def f(x):\n    while x == 5: pass\n    return x"
    judging = judge([Solution("p", 0, program)], dataset(), SETTINGS)
    (found,) = judging
    assert found.plus is Outcome.WRONG_ANSWER
    assert judging.retried == 0


def test_samples_that_wait_for_a_reference_are_all_judged(tmp_path: Path) -> None:
    other = replace(PROBLEM, id="q", reference="import time\ntime.sleep(0.2)\nf = abs")
    solutions = [Solution(name, n, PROBLEM.reference) for n in range(5) for name in "pq"]
    found = list(judge(solutions, dataset(PROBLEM, other), SETTINGS, tmp_path))
    passed = {(each.problem_id, each.sample) for each in found if each.plus is Outcome.PASSED}
    assert len(found) == 10
    assert passed == {("p", n) for n in range(5)}


def workers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("ThreadPoolExecutor")]


def test_closing_ends_the_judging_of_what_was_given() -> None:
    samples = (Solution("p", n, f"{PROBLEM.reference}\n# {n}") for n in range(500))
    with judge(samples, dataset(), SETTINGS) as judging:
        next(judging)
        assert len(workers()) == 2
    assert list(judging) == []
    assert not workers()


@pytest.mark.parametrize("program", [LOOP, "import time\ntime.sleep(1000)"])
def test_closing_does_not_wait_for_a_program_that_goes_on(program: str) -> None:
    samples = [Solution("p", 0, ""), Solution("p", 1, program)]
    patient = replace(SETTINGS, minimum_cpu_seconds=30.0, wall_factor=100.0)
    judging = judge(samples, dataset(), patient)
    assert next(judging).sample == 0
    began = time.monotonic()
    judging.close()
    assert time.monotonic() - began < 5


def test_an_interrupt_ends_the_programs_that_are_judged() -> None:
    patient = replace(SETTINGS, minimum_cpu_seconds=30.0)
    interrupt = [threading.main_thread().ident, signal.SIGINT]
    threading.Timer(2.0, signal.pthread_kill, interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(judge([Solution("p", 0, LOOP)], dataset(), patient))
    assert time.monotonic() - began < 20
    assert not workers()


def test_an_error_of_a_worker_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of the judge")

    monkeypatch.setattr(solutions, "judge_program", broken)
    with pytest.raises(ZeroDivisionError, match="a fault of the judge"):
        list(judge([Solution("p", 0, "")], dataset(), SETTINGS))
    assert not workers()


@pytest.mark.parametrize("asked", [5, None])
def test_there_is_a_worker_per_core_or_as_many_as_are_asked_for(
    asked: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solutions, "cores", lambda: 3)
    samples = [Solution("p", n, f"{PROBLEM.reference}\n# {n}") for n in range(30)]
    with judge(samples, dataset(), replace(SETTINGS, workers=asked)) as judging:
        next(judging)
        assert len(workers()) == (asked or 3)


def test_no_more_workers_start_than_there_are_programs() -> None:
    samples = [Solution("p", 0, PROBLEM.reference), Solution("p", 1, "")]
    with judge(samples, dataset(), replace(SETTINGS, workers=50)) as judging:
        next(judging)
        assert len(workers()) == 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"reference": "def f(x): return object()"}, r"the reference fails on f\(1\)"),
        ({"reference": "def f(x): raise type('Own', (Exception,), {})"}, r"fails on f\(1\): .*Own"),
        ({"reference": "1 / 0"}, "the reference cannot be loaded: ZeroDivisionError"),
        ({"reference": "def g(x): return x"}, "the reference cannot be loaded"),
        ({"reference": "import os\ndef f(x): os._exit(0)"}, "p: the reference"),
        ({"base_inputs": ((object(),),)}, "an input is not plain data"),
        ({"comparison": "alike"}, "unknown comparison 'alike'"),
    ],
)
def test_a_reference_that_cannot_be_used_is_an_error_of_the_data_set(
    changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(DatasetError, match=told):
        verdict_of("", replace(PROBLEM, **changed))


def test_a_slow_reference_is_timed_until_two_times_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    times, asked = iter([9.0, 4.0, 2.0, 1.0, 1.1]), []

    def replies(sandbox: object, problem: Problem, calls: Calls) -> list[Reply]:
        asked.append(len(calls))
        seconds = [0.01, next(times)][: len(calls)] if len(calls) > 1 else [next(times)]
        return [Reply(n, Kind.VALUE, b"N", cpu_seconds=each) for n, each in enumerate(seconds)]

    monkeypatch.setattr(references, "_replies", replies)
    (_, _, fast), (_, _, slow) = references._compute(None, PROBLEM, Calls([(1,), (2,)]))  # type: ignore[arg-type]
    assert (fast, slow) == (0.01, 1.0)
    assert asked == [2, 1, 1, 1, 1]


def test_a_solution_of_an_unknown_problem_is_an_error() -> None:
    with pytest.raises(DatasetError, match="q, which is not in set"):
        list(judge([Solution("q", 0, "")], dataset(), SETTINGS))


def test_reference_outputs_are_kept_and_a_damaged_cache_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    compute = references._compute

    def counting(*arguments):
        computed.append(1)
        return compute(*arguments)

    monkeypatch.setattr(references, "_compute", counting)
    anew = replace(SETTINGS, rejudge=True)  # a kept verdict needs no reference

    def passes() -> bool:
        solution = Solution("p", 0, PROBLEM.reference)
        (found,) = judge([solution], dataset(), anew, tmp_path)
        return found.plus is Outcome.PASSED

    assert passes()
    assert passes()
    assert len(computed) == 1
    for number, damage in enumerate((lambda data: data[:20], lambda data: data[:-20] + b"?" * 20)):
        (kept,) = (tmp_path / "references").iterdir()
        kept.write_bytes(damage(kept.read_bytes()))
        assert passes()
        assert len(computed) == 2 + number
        assert passes()
        assert len(computed) == 2 + number


class Planted:
    """What does harm when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


FORGED = (
    b"[]\n",
    b"[[1, 2]]\nx",
    b'[[1, "", -1]]\nx',
    b'[[9, "", 0.1]]\nx',
    b"[" * 100_000,
    marshal.dumps(compile("", "x", "exec")),
)
"""What somebody may write as outputs of a reference, with the right checksum."""


def test_what_is_planted_in_a_folder_of_kept_outputs_is_not_believed_nor_run(
    tmp_path: Path,
) -> None:
    """A configuration names the folder, and may come from a stranger with the folder."""
    cache, harm = tmp_path / "cache", tmp_path / "harm"
    solution, anew = Solution("p", 0, PROBLEM.reference), replace(SETTINGS, rejudge=True)
    list(judge([solution], dataset(), anew, cache))
    (kept,) = (cache / "references").iterdir()
    key, pickled = kept.read_bytes()[:32], pickle.dumps(Planted(harm))
    forged = [key + hashlib.sha256(each).digest() + each for each in (pickled, *FORGED)]
    for body in (pickled, *forged):
        kept.write_bytes(body)
        (found,) = judge([solution], dataset(), anew, cache)
        assert found.plus is Outcome.PASSED
    assert not harm.exists()


def test_many_solutions_of_many_problems_get_their_own_verdicts() -> None:
    other = replace(PROBLEM, id="q", reference="def f(x): return -x", extra_inputs=())
    programs = {"p": PROBLEM.reference, "q": other.reference}
    solutions = [
        Solution(name, number, programs[source])
        for number, (name, source) in enumerate([(n, s) for n in "pq" for s in "pq"] * 10)
    ]
    found = {each.sample: each for each in judge(solutions, dataset(PROBLEM, other), SETTINGS)}
    assert len(found) == len(solutions)
    for solution in solutions:
        right = solution.program == programs[solution.problem_id]
        assert (found[solution.sample].plus is Outcome.PASSED) == right
