"""Verdicts: outcomes, counts, ground truth, second judgements."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.errors import DatasetError
from experiments.judge import Judging, judge, truth
from experiments.records import Dataset, Outcome, Problem, Solution, Verdict
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


def verdict(program: str, problem: Problem = PROBLEM, **settings):
    chosen = replace(SETTINGS, **settings)
    (found,) = judge([Solution(problem.id, 3, program)], dataset(problem), chosen)
    return found


def test_the_reference_passes_where_it_raises_too() -> None:
    found = verdict(PROBLEM.reference)
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
    found = verdict(program)
    assert (found.base.value, found.plus.value, found.tests_passed) == (base, plus, passed)
    assert found.failure is not None


def test_the_first_failure_is_told() -> None:
    failure = verdict("def f(x): return [x]").failure
    assert failure is not None
    assert (failure.call, failure.expected, failure.actual) == ("f(1)", "10", "[1]")


def test_a_subclass_of_the_expected_exception_is_right_and_another_is_not() -> None:
    good = (
        "class Mine(ZeroDivisionError): pass\ndef f(x):\n    if not x: raise Mine\n    return 10//x"
    )
    assert verdict(good).plus is Outcome.PASSED
    assert verdict(good.replace("ZeroDivisionError", "ValueError")).plus is Outcome.RAISED


def test_an_exception_of_every_kind_is_of_none() -> None:
    program = (
        "class All(ValueError, ZeroDivisionError, KeyError): pass\n"
        "def f(x):\n    if not x: raise All\n    return 10 // x"
    )
    assert verdict(program).plus is Outcome.RAISED


def test_a_program_that_dies_again_and_again_is_given_all_tests() -> None:
    problem = replace(PROBLEM, extra_inputs=tuple((number,) for number in range(3, 20)))
    program = "import os\ndef f(x):\n    if 3 <= x < 10: os._exit(0)\n    return 10 // x"
    found = verdict(program, problem)
    assert (found.base, found.plus) == (Outcome.PASSED, Outcome.DIED)
    assert found.tests_passed == 12


def test_stopping_at_the_first_failure_gives_the_same_outcome() -> None:
    for program in (PROBLEM.reference, "def f(x): return 10 / x", "def f(x): return x"):
        full, short = verdict(program), verdict(program, stop_at_first_failure=True)
        assert (full.base, full.plus, full.failure) == (short.base, short.plus, short.failure)


def test_a_timed_out_program_is_judged_once_more() -> None:
    solutions = [Solution("p", 0, "def f(x):\n    while True: pass"), Solution("p", 1, "")]
    judging = judge(solutions, dataset(), SETTINGS)
    found = list(judging)
    assert [(each.sample, each.retried) for each in found] == [(1, False), (0, True)]
    assert (judging.retried, judging.changed) == (1, 0)


def test_solutions_are_judged_while_more_are_given() -> None:
    with Judging(dataset(), SETTINGS) as judging:
        judging.give([Solution("p", 0, PROBLEM.reference)])
        time.sleep(0.3)
        assert list(judging.ready()) == []  # no core was given
        judging.use(1)
        found: list[Verdict] = []
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            found += judging.ready()
        assert [(each.sample, each.plus) for each in found] == [(0, Outcome.PASSED)]
        judging.give([Solution("p", 1, ""), Solution("p", 2, PROBLEM.reference)])
        assert sorted(each.sample for each in judging) == [1, 2]
        assert list(judging) == []


def test_samples_that_wait_for_a_reference_are_all_judged(tmp_path: Path) -> None:
    other = replace(PROBLEM, id="q", reference="import time\ntime.sleep(0.2)\nf = abs")
    solutions = [Solution(name, n, PROBLEM.reference) for n in range(5) for name in "pq"]
    found = list(judge(solutions, dataset(PROBLEM, other), SETTINGS, tmp_path))
    passed = {(each.problem_id, each.sample) for each in found if each.plus is Outcome.PASSED}
    assert len(found) == 10
    assert passed == {("p", n) for n in range(5)}


def test_closing_ends_the_judging_of_what_was_given() -> None:
    judging = Judging(dataset(), SETTINGS)
    judging.give(Solution("p", number, PROBLEM.reference) for number in range(500))
    judging.use(2)
    judging.close()
    assert list(judging) == []
    assert not any(thread.is_alive() for thread in judging._pool._threads)


def test_closing_does_not_wait_for_a_program_that_goes_on() -> None:
    for program in ("def f(x):\n    while True: pass", "import time\ntime.sleep(1000)"):
        judging = Judging(dataset(), replace(SETTINGS, minimum_cpu_seconds=30.0, wall_factor=100.0))
        judging.give([Solution("p", 0, program)])
        judging.use(1)
        time.sleep(1.0)
        began = time.monotonic()
        judging.close()
        assert time.monotonic() - began < 5


def test_more_workers_than_cores_are_used_where_they_are_asked_for() -> None:
    judging = judge(
        [Solution("p", number, PROBLEM.reference) for number in range(20)],
        dataset(),
        replace(SETTINGS, workers=5),
    )
    next(judging)
    assert len(judging._pool._threads) == 5
    assert len(list(judging)) == 19


def test_a_failing_reference_is_an_error_of_the_data_set() -> None:
    broken = replace(PROBLEM, reference="def f(x): return object()")
    with pytest.raises(DatasetError, match=r"p: the reference fails on f\(1\)"):
        verdict("", broken)


def test_a_solution_of_an_unknown_problem_is_an_error() -> None:
    with pytest.raises(DatasetError, match="q, which is not in set"):
        list(judge([Solution("q", 0, "")], dataset(), SETTINGS))


def test_the_truth_is_cached_and_a_damaged_cache_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    measure = truth._measure

    def counting(*arguments):
        measured.append(1)
        return measure(*arguments)

    monkeypatch.setattr(truth, "_measure", counting)

    def passes() -> bool:
        solution = Solution("p", 0, PROBLEM.reference)
        (found,) = judge([solution], dataset(), SETTINGS, tmp_path)
        return found.plus is Outcome.PASSED

    assert passes()
    assert passes()
    assert len(measured) == 1
    for number, damage in enumerate((lambda data: data[:20], lambda data: data[:-20] + b"?" * 20)):
        (kept,) = tmp_path.rglob("output.pkl")
        kept.write_bytes(damage(kept.read_bytes()))
        assert passes()
        assert len(measured) == 2 + number
        assert passes()
        assert len(measured) == 2 + number


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
