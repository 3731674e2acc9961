"""A JSON Lines file of somebody's own problems."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA

from experiments.errors import DatasetError
from experiments.judge import judge
from experiments.problems import load_jsonl, read_jsonl
from experiments.problems.validate import validate
from experiments.records import Outcome, Solution

DOUBLE: dict[str, Any] = {
    "task_id": "my/double",
    "prompt": 'def double(x):\n    """Return twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
}


def written(folder: Path, *tasks: dict[str, Any] | str) -> Path:
    file = folder / "mine.jsonl"
    lines = (task if isinstance(task, str) else json.dumps(task) for task in tasks)
    file.write_text("\n".join(lines) + "\n")
    return file


def with_test(test: str, **changed: Any) -> dict[str, Any]:
    body = "".join(f"    {line}\n" for line in test.splitlines())
    return {**DOUBLE, "test": f"def check(candidate):\n{body}", **changed}


def test_assertions_become_the_inputs_that_they_are_made_on(tmp_path: Path) -> None:
    test = "assert candidate(2) == 4, 'two'\nassert 6 == candidate(x=3)\nassert candidate(2) == 4"
    dataset, left_out = read_jsonl(written(tmp_path, with_test(test)))
    (problem,) = dataset.problems
    assert left_out == []
    assert dataset.name == "mine"
    assert problem.base_inputs == ((2,), (3,))
    assert problem.reference == DOUBLE["prompt"] + DOUBLE["canonical_solution"]


def test_a_program_is_judged_by_what_the_assertions_say(tmp_path: Path) -> None:
    test = "for x in range(4):\n    assert candidate([x]) == [x, x]"
    dataset = load_jsonl(written(tmp_path, with_test(test)))
    programs = [
        "def double(x): return x * 2",
        "def double(x): return x",
        "def double(x): return [0, 0]",
    ]
    verdicts = judge([Solution("my/double", n, p) for n, p in enumerate(programs)], dataset)
    found = {verdict.sample: verdict for verdict in verdicts}
    assert [found[n].plus for n in range(3)] == [
        Outcome.PASSED,
        Outcome.WRONG_ANSWER,
        Outcome.WRONG_ANSWER,
    ]
    assert found[2].tests_passed == 1


def test_a_tolerance_and_sets_are_kept(tmp_path: Path) -> None:
    tests = {
        "assert abs(candidate(0.5) - 1.0) < 1e-3\nassert candidate(1) == 2": (1e-3, "equal"),
        "assert abs(candidate(0.5) - 1.0) <= 10 ** -5": (1e-5, "equal"),
        "import math\nassert math.isclose(candidate(0.5), 1.0, abs_tol=1e-2)": (1e-2, "equal"),
        "assert set(candidate((1, 2))) == {1, 2}": (0.0, "set"),
    }
    tasks = [with_test(test, task_id=f"my/{n}") for n, test in enumerate(tests)]
    dataset, _ = read_jsonl(written(tmp_path, *tasks))
    assert [(each.atol, each.comparison) for each in dataset.problems] == list(tests.values())


def test_tests_may_stand_at_the_top_and_call_the_function_by_its_name(tmp_path: Path) -> None:
    test = "from math import inf\n\nassert double(2) == 4\nfor x in (3, inf):\n"
    test += "    assert double(x) == x + x\n"
    (problem,) = load_jsonl(written(tmp_path, {**DOUBLE, "test": test})).problems
    assert problem.base_inputs == ((2,), (3,), (float("inf"),))


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("assert len(candidate('a')) == 2", "not of a known form"),
        ("assert candidate(1) in (2, 3)", "not of a known form"),
        ("assert candidate(1) == 2 == 2", "not of a known form"),
        ("assert candidate(1) != 3", "not of a known form"),
        ("assert not candidate(1) == 3", "not of a known form"),
        ("assert set(candidate((1,))) == {1}\nassert candidate(1) == 2", "and some do not"),
        ("assert candidate(candidate(1)) == 4", "not of a known form"),
        ("output = candidate(1)\nassert output[0] == 2", "not of a known form"),
        ("a = candidate(1)\nb = candidate(1)\nassert a == b", "outside of an assertion's call"),
        ("a = candidate(1)\nassert a == 2\nprint(a)", "outside of an assertion's call"),
        ("a = b = candidate(1)\nassert a == 2", "outside of an assertion's call"),
        ("assert candidate(1)", "counts as true"),
        ("assert math.isclose(candidate(1.0), 2.0, abs=0.1)", "not of a known form"),
        ("assert math.isclose(candidate(1.0), 2.0, abs_tol=MOST)", "not of a known form"),
        ("assert sum(candidate((1,)), 2) == 4", "not of a known form"),
        ("assert math.isclose(candidate(1.0), 2.0, rel_tol=0.1)", "not of a known form"),
        ("try:\n    assert candidate(1) == 2\nexcept ValueError: pass", "within try"),
        ("assert candidate(1) == 3", "its solution fails its tests"),
        ("assert candidate(object) == object", "its solution fails its tests"),
        ("assert True", "do not call double"),
        ("assert (", "no Python"),
    ],
)
def test_what_cannot_be_turned_is_left_out_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, test: str, reason: str
) -> None:
    file = written(tmp_path, with_test("assert candidate(1) == 2"), with_test(test, task_id="no"))
    with caplog.at_level(logging.WARNING):
        dataset = load_jsonl(file)
    assert [problem.id for problem in dataset.problems] == ["my/double"]
    assert "1 of 2 problems" in caplog.text
    assert reason in caplog.text


def test_an_output_in_a_variable_is_held_against_the_forms(tmp_path: Path) -> None:
    test = "out = candidate(1)\nassert out == 2, f'{out}'\nfor x in (2, 3):\n"
    test += "    out = candidate(x)\n    assert abs(out - 2 * x) < 1e-4"
    (problem,) = load_jsonl(written(tmp_path, with_test(test))).problems
    assert problem.base_inputs == ((1,), (2,), (3,))
    assert problem.atol == 1e-4


EVALPLUS = """
import numpy as np

def is_floats(x):
    return isinstance(x, float) or (isinstance(x, list) and all(isinstance(i, float) for i in x))

def assertion(out, exp, atol):
    same = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not same and atol != 0:
        np.testing.assert_allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert same

def check(candidate):
    inputs = [[1], [2.5]]
    results = [2, 5.0]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 0)
"""
"""The form in which EvalPlus publishes its data sets for others."""


def test_a_function_of_the_tests_may_do_the_asserting(tmp_path: Path) -> None:
    (problem,) = load_jsonl(written(tmp_path, {**DOUBLE, "test": EVALPLUS})).problems
    assert problem.base_inputs == ((1,), (2.5,))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("        assert same\n", "        pass\n"),
        ("same = out == exp", "same = len(out) == exp"),
        ("    same = out == exp\n", "    same = out == exp\n    return\n"),
        ("    same = out == exp\n", "    same = out == exp\n    same = True\n"),
        ("rtol=1e-07", "rtol=0.5"),
        ("exp, 0)", "exp, object)"),
    ],
)
def test_a_function_that_may_assert_less_is_not_taken(
    tmp_path: Path, before: str, after: str
) -> None:
    assert before in EVALPLUS
    task = {**DOUBLE, "task_id": "no", "test": EVALPLUS.replace(before, after)}
    _, (left_out,) = read_jsonl(written(tmp_path, with_test("assert candidate(1) == 2"), task))
    assert left_out.reason == "candidate is used outside of an assertion's call"


def test_inputs_as_source_text_are_evaluated_in_the_sandbox(tmp_path: Path) -> None:
    """EvoEval's form: what is expected comes from the solution, and floats have a tolerance."""
    task = {**DOUBLE, "inputs": ["1.5", "[float('inf'), (1, 2)]", "{'a'}"], "test": ""}
    task["canonical_solution"] = "    return [x]\n"
    broken = {**task, "task_id": "no", "inputs": ["open('/etc/hostname', 'w')"]}
    dataset, (left_out,) = read_jsonl(written(tmp_path, task, broken))
    (problem,) = dataset.problems
    assert problem.base_inputs == ((1.5,), ([float("inf"), (1, 2)],), ({"a"},))
    verdicts = judge([Solution("my/double", 0, "def double(x): return [x]")], dataset)
    assert [verdict.plus for verdict in verdicts] == [Outcome.PASSED]
    close = Solution("my/double", 0, "def double(x): return [x if x != 1.5 else x + 1e-7]")
    assert [verdict.plus for verdict in judge([close], dataset)] == [Outcome.PASSED]
    assert left_out.reason.startswith("its inputs cannot be evaluated (OSError")


def test_problems_with_several_right_outputs_are_left_out(tmp_path: Path) -> None:
    tasks = [{**DOUBLE, "task_id": f"EvoEval/{n}", "inputs": ["1"]} for n in (9, 10)]
    file = written(tmp_path, *tasks).rename(tmp_path / "EvoEval_difficult-v0.1.0.jsonl")
    dataset, (left_out,) = read_jsonl(file)
    assert [problem.id for problem in dataset.problems] == ["EvoEval/9"]
    assert left_out.task_id == "EvoEval/10"


def test_humaneval_plus_s_own_file_is_read() -> None:
    archive = DATA / "HumanEvalPlus-Mini.jsonl.gz"
    if not archive.exists():
        pytest.skip("HumanEvalPlus-Mini.jsonl.gz is not at hand")
    dataset, left_out = read_jsonl(archive)
    assert left_out == []
    assert len(dataset.problems) == 164
    (zero,) = (problem for problem in dataset.problems if problem.id == "HumanEval/32")
    assert zero.comparison == "find_zero"
    assert all(problem.extra_inputs for problem in dataset.problems)


def test_inputs_and_outputs_need_no_solution(tmp_path: Path) -> None:
    task = {**DOUBLE, "inputs": [[1], [[2]]], "outputs": [2, [2, 2]]}
    del task["canonical_solution"]
    dataset = load_jsonl(written(tmp_path, task))
    programs = ["def double(x): return x * 2", "def double(x): return 2"]
    verdicts = judge([Solution("my/double", n, p) for n, p in enumerate(programs)], dataset)
    assert {verdict.sample: verdict.tests_passed for verdict in verdicts} == {0: 2, 1: 1}


def test_tests_without_a_solution_are_not_tried_on_mutants(tmp_path: Path) -> None:
    solved = {**DOUBLE, "inputs": [[1]], "outputs": [2]}
    unsolved = {**solved, "task_id": "my/unsolved"}
    del unsolved["canonical_solution"]
    report = validate(str(written(tmp_path, solved, unsolved)), workers=1, cache_folder=tmp_path)
    assert report.ok
    assert [score.problem_id for score in report.scores] == ["my/double"]
    assert report.notes == (
        "the strength of the tests of 1 problem was not measured: that takes a solution to "
        "change, and none is given",
    )


def test_a_solution_that_gives_other_outputs_is_told(tmp_path: Path) -> None:
    fine = {**DOUBLE, "inputs": [[1]], "outputs": [2]}
    wrong = {**DOUBLE, "task_id": "wrong", "inputs": [[1]], "outputs": [3]}
    _, (left_out,) = read_jsonl(written(tmp_path, fine, wrong))
    assert "gives 2, and not 3" in left_out.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"outputs": [2, 4]}, "it has 1 inputs and 2 outputs"),
        ({"outputs": 2}, "no list of outputs"),
        ({"inputs": []}, "an empty one"),
        ({"inputs": [1]}, "the list of a call's arguments"),
        ({"atol": -1}, "atol is -1"),
        ({"canonical_solution": 5}, "is no text"),
        ({"canonical_solution": "    return x ("}, "does not define double"),
        ({"inputs": ["[lambda: 1]"], "outputs": None}, "its inputs are no plain data"),
        ({"inputs": None, "outputs": None}, "no 'test', and no inputs and outputs"),
    ],
)
def test_inputs_and_outputs_that_cannot_be_used_are_left_out_with_the_reason(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    fine = {**DOUBLE, "inputs": [[1]], "outputs": [2]}
    task = {**fine, "task_id": "no", **changed}
    task = {key: value for key, value in task.items() if value is not None}
    _, (left_out,) = read_jsonl(written(tmp_path, fine, task))
    assert left_out.task_id == "no"
    assert reason in left_out.reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", "no JSON object"),
        ('{"task_id": "a", "prompt": "p"}', "no text 'entry_point'"),
        ('{"task_id": "a", "prompt": "p", "entry_point": "a b"}', "which is no name"),
        ('{"task_id": "a", "prompt": "p", "entry_point": "f"}', "no problem that can be judged"),
    ],
)
def test_a_broken_line_is_told(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        load_jsonl(written(tmp_path, line))


def test_a_file_that_is_not_there_or_not_named_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Set dataset\.file=PATH"):
        load_jsonl(None)
    with pytest.raises(DatasetError, match="cannot be read"):
        load_jsonl(tmp_path / "nowhere.jsonl")
    task = with_test("assert candidate(1) == 2")
    with pytest.raises(DatasetError, match="is there twice"):
        load_jsonl(written(tmp_path, task, task))


def test_the_checks_of_data_sets_take_a_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        with_test("assert candidate(1) == 2\nassert candidate(-3) == -6"),
        with_test("assert len(candidate('a')) == 2", task_id="no"),
    )
    report = validate(str(file), cache_folder=tmp_path / "cache")
    assert [finding.where for finding in report.findings] == ["no"]
    assert report.problems == 1


def test_humaneval_s_own_file_is_read(tmp_path: Path) -> None:
    archive = DATA / "HumanEval.jsonl.gz"
    if not archive.exists():
        pytest.skip("HumanEval.jsonl.gz is not at hand")
    dataset, left_out = read_jsonl(archive)
    assert dataset.name == "HumanEval"
    assert len(dataset.problems) == 161
    assert [each.task_id for each in left_out] == [f"HumanEval/{n}" for n in (32, 33, 37)]
    unpacked = tmp_path / "HumanEval.jsonl"
    unpacked.write_bytes(gzip.decompress(archive.read_bytes()))
    assert load_jsonl(unpacked).digest == dataset.digest
