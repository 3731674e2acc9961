"""A person's grades in the report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from reviewed_runs import make_run
from test_report import EVIL

from experiments import report
from experiments.report.reviewed import lines, reviewed
from experiments.review import choosing
from experiments.review.grades import Given, Grades
from experiments.review.rubric import load
from experiments.review.works import works

RUBRIC = load("default", ROOT / "conf")
CORRECT, _, NEARLY, WRONG = RUBRIC.grades


def grade(folders: list[Path], reviewer: str = "alice", budget: int = 99) -> None:
    """Grade programs as the tests do, but for p1 and p2."""
    found = works(folders)
    choice = choosing.choose(found, budget, 0)
    choosing.keep(choice, found, folders, 0)
    grades = Grades(found, folders)
    for work in choice.works:
        given = CORRECT if work.passed else WRONG
        given = {"p1": NEARLY, "p2": NEARLY}.get(work.problem.id, given)
        grades.add(work, Given(given, (), EVIL), reviewer, RUBRIC, "terminal")


def test_the_score_stands_beside_pass_at_1(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10, 9, 0, 0, 0])
    grade([folder])
    (group,) = report.collect([folder]).groups
    found = reviewed(group)
    (row,) = found["rows"]
    assert row.passed == pytest.approx(2 / 6)
    assert row.score.mean == pytest.approx((1 + 0.5 + 0.5) / 6)
    ((title, levels),) = found["tables"]
    assert title == "difficulty"
    assert [(row.name, row.passed, row.score.mean) for row in levels] == [
        ("easy", 0.5, 0.5),
        ("medium", 0.5, 0.25),
        ("hard", 0.0, 0.25),
    ]


def test_models_and_prompts_get_a_score_each(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / f"{model}-{prompt}", [10, 0], model=model, prompt=prompt)
        for model in ("m1", "m2")
        for prompt in ("plain", "cot")
    ]
    grade(folders)
    (group,) = report.collect(folders).groups
    tables = dict(reviewed(group)["tables"])
    assert {row.name for row in tables["model"]} == {"m1", "m2"}
    assert {row.name for row in tables["prompt"]} == {"plain", "cot"}
    assert all(row.score.units == 4 for row in tables["prompt"])


def test_what_tests_missed_is_on_the_page_with_each_program(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10, 9, 0])
    grade([folder])
    grade([folder], "bob")
    collection = report.collect([folder])
    text = report.write(collection, tmp_path / "out").page.read_text()
    assert "Passed all tests, and a person found them not right: 1" in text
    assert "Failed, and a person gave them points: 1" in text
    assert "return x + 1" in text
    assert "alice and bob" in text
    assert EVIL not in text  # a comment is no markup either
    (line,) = lines(collection)
    assert "50.0 (50 to 50), 4 of 4 programs read" in line


def test_grades_are_in_the_report_of_a_copied_folder(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10] * 20)
    grade([folder], budget=8)
    (before,) = lines(report.collect([folder]))
    copy = shutil.copytree(folder, tmp_path / "checkout" / "b")
    shutil.rmtree(folder)
    (after,) = lines(report.collect([copy]))
    assert after == before
    assert "8 of 20 programs read" in after


def test_a_report_without_grades_says_nothing_of_them(tmp_path: Path) -> None:
    collection = report.collect([make_run(tmp_path / "a", [10])])
    text = report.write(collection, tmp_path / "out").page.read_text()
    assert "person" not in text
    assert list(lines(collection)) == []
