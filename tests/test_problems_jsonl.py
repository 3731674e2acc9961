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
    close = with_test("assert abs(candidate(0.5) - 1.0) < 1e-3\nassert candidate(1) == 2")
    items = with_test("assert set(candidate((1, 2))) == {1, 2}", task_id="my/items")
    dataset, _ = read_jsonl(written(tmp_path, close, items))
    assert [problem.atol for problem in dataset.problems] == [1e-3, 0.0]
    assert [problem.comparison for problem in dataset.problems] == ["equal", "set"]


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("assert len(candidate('a')) == 2", "not of a known form"),
        ("assert candidate(1) in (2, 3)", "not of a known form"),
        ("assert candidate(candidate(1)) == 4", "not of a known form"),
        ("output = candidate(1)\nassert output == 2", "outside of an assertion's call"),
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


def test_inputs_and_outputs_need_no_solution(tmp_path: Path) -> None:
    task = {**DOUBLE, "inputs": [[1], [[2]]], "outputs": [2, [2, 2]]}
    del task["canonical_solution"]
    dataset = load_jsonl(written(tmp_path, task))
    programs = ["def double(x): return x * 2", "def double(x): return 2"]
    verdicts = judge([Solution("my/double", n, p) for n, p in enumerate(programs)], dataset)
    assert {verdict.sample: verdict.tests_passed for verdict in verdicts} == {0: 2, 1: 1}


def test_a_solution_that_gives_other_outputs_is_told(tmp_path: Path) -> None:
    fine = {**DOUBLE, "inputs": [[1]], "outputs": [2]}
    wrong = {**DOUBLE, "task_id": "wrong", "inputs": [[1]], "outputs": [3]}
    _, (left_out,) = read_jsonl(written(tmp_path, fine, wrong))
    assert "gives 2, and not 3" in left_out.reason


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
