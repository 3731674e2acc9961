"""A person's grades: rubric, choice, files, score."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from reviewed_runs import lines, make_run

from experiments.errors import ConfigError, StoreError
from experiments.review import choosing, scoring
from experiments.review.grades import Given, Grades
from experiments.review.rubric import Rubric, load
from experiments.review.works import FORMAT_LOST, NEARLY_PASSED, Work, works
from experiments.store.reviews import Review

CONF = ROOT / "conf"
RUBRIC = load("default", CONF)
CORRECT, LOST, NEARLY, WRONG = RUBRIC.grades


# --- the rubric


@pytest.mark.parametrize("path", sorted((CONF / "review").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_rubric_of_ours_is_one_and_says_what_it_is_for(path: Path) -> None:
    found = load(path.stem, CONF)
    assert found.name == path.stem
    assert path.read_text().startswith("#")
    assert [g.points for g in found.grades] == sorted(
        (g.points for g in found.grades), reverse=True
    )
    assert all(grade.meaning for grade in found.grades)


def test_a_rubric_is_known_by_all_that_it_says() -> None:
    changed = replace(RUBRIC, grades=(replace(CORRECT, points=0.9), *RUBRIC.grades[1:]))
    assert load("default", CONF).digest == RUBRIC.digest != changed.digest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("points: 0.75", "point: 0.75", "Key 'point' not in 'GradeConfig'"),
        ("points: 0.75", "points: 7.5", "grades[1].points=7.5 is out of range. Take 0 to 1."),
        ("points: 0.75", "points: many", "'many'"),
        ("name: wrong", "name: correct", "grades has 'correct' twice"),
        ("  - edge case", "  - no answer", "reasons has 'no answer' twice"),
        ("version: 1", "version: 0", "version=0 is out of range"),
        ("right: true", "rigt: true", "rigt"),
        ("grades:  ", "grade:  ", "Key 'grade'"),
        ("  - name: wrong", "  - name: ''", "grades has a name of 0 characters"),
        ("name: default", "name: [", "line 9"),
    ],
)
def test_a_typo_in_a_rubric_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (CONF / "review" / "default.yaml").read_text()
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load(str(file), CONF)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_rubric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no rubric 'defalt'\. Did you mean 'default'"):
        load("defalt", CONF)


# --- what there is to grade


def test_equal_programs_are_one_work_and_count_for_each(tmp_path: Path) -> None:
    same = ["def f(x):\n    return x\n"] * 2
    folders = [make_run(tmp_path / "a", [10, 3], same), make_run(tmp_path / "b", [10, 3], same)]
    found = works(folders)
    assert [(work.problem.id, len(work.places)) for work in found] == [("p0", 2), ("p1", 2)]


def test_equal_programs_of_which_one_lost_the_format_are_two_works(tmp_path: Path) -> None:
    same = ["def f(x):\n    return x\n"]
    folders = [
        make_run(tmp_path / "a", [10], same),
        make_run(tmp_path / "b", [10], same, format_kept=False),
    ]
    assert len({work.digest for work in works(folders)}) == 2


def test_a_run_of_programs_alone_cannot_be_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10])
    (folder / "generations.jsonl").unlink()
    with pytest.raises(StoreError, match="no generations, so there is nothing to read"):
        works([folder])


# --- what to read first


def test_what_tests_leave_open_is_preferred(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10] * 60 + [9] * 30 + [1] * 60)
    chosen = choosing.choose(works([folder]), 50, seed=0).works
    share = {kind: sum(work.kind == kind for work in chosen) for kind in ("passed", "failed")}
    assert len(chosen) == 50
    assert sum(work.kind == NEARLY_PASSED for work in chosen) / 30 > share["passed"] / 60
    assert sum(work.kind == NEARLY_PASSED for work in chosen) / 30 > share["failed"] / 60
    assert min(share.values()) > 0


def test_where_runs_disagree_is_preferred(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / "a", [10] * 60),
        make_run(tmp_path / "b", [10] * 40 + [2] * 20),
    ]
    found = works(folders)
    chosen = choosing.choose(found, 40, seed=0).works
    disputed = [work for work in found if work.is_disputed]
    assert (len(disputed), len(found)) == (40, 120)
    assert sum(work.is_disputed for work in chosen) / 40 > 40 / 120 * 1.2


def test_the_seed_decides_choice_and_order(tmp_path: Path) -> None:
    found = works([make_run(tmp_path / "a", [10] * 30)])

    def chosen(seed: int, budget: int = 10) -> list[str]:
        return [work.problem.id for work in choosing.choose(found, budget, seed).works]

    assert chosen(0) == chosen(0)
    assert set(chosen(0)) != set(chosen(1))
    assert set(chosen(0)) < set(chosen(0, 20))


@pytest.mark.parametrize("budget", [1, 3, 9, 500])
def test_any_budget_can_be_spent(tmp_path: Path, budget: int) -> None:
    folders = [make_run(tmp_path / name, [10, 9, 0] * 7) for name in ("a", "b")]
    assert len(choosing.choose(works(folders), budget, seed=0).works) == min(budget, 42)


# --- grades in the folders


def graded(folder: Path, number: int = 0) -> tuple[Grades, Work]:
    found = works([folder])
    return Grades(found, [folder]), found[number]


def test_a_grade_is_on_disk_at_once_with_all_that_tells_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 3])
    grades, work = graded(folder)
    assert grades.add(
        work, Given(NEARLY, ("edge case",), "off by one"), "alice", RUBRIC, "terminal"
    )
    (line,) = lines(folder)
    assert line["work"] == work.digest
    assert {name: line[name] for name in line if name not in ("time", "work")} == {
        "problem_id": "p0",
        "sample": 0,
        "grade": "nearly correct",
        "points": 0.5,
        "right": False,
        "reasons": ["edge case"],
        "comment": "off by one",
        "reviewer": "alice",
        "rubric": "default 1",
        "rubric_digest": RUBRIC.digest,
        "origin": "terminal",
    }


def test_the_last_grade_counts_and_none_takes_it_back(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10])
    grades, work = graded(folder)
    for grade in (CORRECT, WRONG):
        grades.add(work, Given(grade), "alice", RUBRIC, "terminal")
    (found,) = scoring.read([folder])
    assert found.reviews["alice"].grade == "wrong"
    grades.add(work, Given(None), "alice", RUBRIC, "terminal")
    (found,) = scoring.read([folder])
    assert found.reviews == {}
    assert len(lines(folder)) == 3


def test_the_same_grade_again_is_no_new_line(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10])
    for _ in range(2):
        grades, work = graded(folder)
        grades.add(work, Given(CORRECT), "alice", RUBRIC, "queue x", when=5.0)
    grades.add(work, Given(WRONG), "alice", RUBRIC, "queue x", when=4.0)  # given before
    assert len(lines(folder)) == 1


def test_a_grade_of_equal_programs_is_in_each_folder(tmp_path: Path) -> None:
    same = ["def f(x):\n    return x\n"]
    folders = [make_run(tmp_path / name, [10], same) for name in ("a", "b")]
    Grades(works(folders), folders).add(
        works(folders)[0], Given(CORRECT), "alice", RUBRIC, "terminal"
    )
    assert lines(folders[0]) == lines(folders[1])


def test_what_an_interrupted_call_left_out_is_added(tmp_path: Path) -> None:
    same = ["def f(x):\n    return x\n"]
    folders = [make_run(tmp_path / name, [10], same) for name in ("a", "b")]
    grades, work = graded(folders[0])
    grades.add(work, Given(CORRECT), "alice", RUBRIC, "terminal")
    for _ in range(2):
        Grades(works(folders), folders)
        assert lines(folders[0]) == lines(folders[1])


def test_grades_survive_a_copy_of_the_folder(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10])
    grades, work = graded(folder)
    grades.add(work, Given(WRONG), "alice", RUBRIC, "terminal")
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "b")
    shutil.rmtree(folder)
    assert [each.points for each in scoring.read([copy]) if each.reviews] == [0.0]


# --- the score


def review_all(folder: Path, budget: int, points: dict[str, int], seed: int = 0) -> None:
    """Grade what is chosen; `points` has the number of the grade by problem."""
    found = works([folder])
    choice = choosing.choose(found, budget, seed)
    choosing.keep(choice, found, [folder], seed)
    grades = Grades(found, [folder])
    for work in choice.works:
        grades.add(work, Given(RUBRIC.grades[points[work.problem.id]]), "alice", RUBRIC, "terminal")


def test_the_score_of_a_part_holds_that_of_the_whole(tmp_path: Path) -> None:
    chance = random.Random(3)
    passed = [chance.choice((10, 9, 2)) for _ in range(60)]
    points = {
        f"p{n}": chance.choices((0, 2, 3), (good, 3, 10 - good))[0] for n, good in enumerate(passed)
    }
    truth = sum(RUBRIC.grades[number].points for number in points.values()) / 60
    held = 0
    for seed in range(20):
        folder = make_run(tmp_path / str(seed), passed)
        review_all(folder, 24, points, seed)
        found = scoring.score(scoring.read([folder]), lambda place: True)
        assert found is not None
        assert (found.drawn, found.units) == (24, 60)
        held += found.interval.low <= truth <= found.interval.high
    assert held >= 18


def test_a_grade_that_was_not_drawn_stands_for_itself_alone(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10] * 30)
    review_all(folder, 10, {f"p{n}": 0 for n in range(30)})
    before = scoring.score(scoring.read([folder]), lambda place: True)
    grades, _ = graded(folder)
    (other, *_) = [w for w in works([folder]) if grades.last(w, "alice") is None]
    grades.add(other, Given(WRONG), "alice", RUBRIC, "trace")
    after = scoring.score(scoring.read([folder]), lambda place: True)
    assert before is not None
    assert after is not None
    assert before.mean == 1
    assert after.mean == pytest.approx(29 / 30)


def test_grades_that_nobody_drew_are_no_estimate_of_the_rest(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10])
    grades, work = graded(folder)
    grades.add(work, Given(CORRECT), "alice", RUBRIC, "trace")
    assert scoring.score(scoring.read([folder]), lambda place: True) is None


def test_a_larger_budget_keeps_what_was_chosen(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10] * 30)
    for budget in (20, 10, 12):
        review_all(folder, budget, {f"p{n}": 0 for n in range(30)})
    chosen = [each for each in scoring.read([folder]) if each.chosen]
    assert len(chosen) == 20


def test_what_was_drawn_with_other_runs_or_budgets_stays_drawn(tmp_path: Path) -> None:
    """One after the other: both runs with much to read, with little, and one of them alone."""
    folders = [make_run(tmp_path / name, [10, 9, 2] * 10) for name in ("a", "b")]
    drawn: set[str] = set()
    for number, (some, budget) in enumerate([(folders, 40), (folders, 8), (folders[:1], 10)]):
        found = works(some)
        choice = choosing.choose(found, budget, number)
        choosing.keep(choice, found, some, number)
        drawn |= {work.digest for work in choice.works}
    read = scoring.read(folders)
    assert {each.work.digest for each in read if each.chosen} == drawn
    assert all(len({e.work.kind for e in read if e.stratum == each.stratum}) == 1 for each in read)


def test_two_reviewers_get_kappa_and_what_they_differ_on(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10, 3, 3])
    grades, _ = graded(folder)
    for work, alice, bob in zip(
        works([folder]), (CORRECT, WRONG, WRONG, NEARLY), (CORRECT, CORRECT, WRONG, NEARLY),
        strict=True,
    ):  # fmt: skip
        grades.add(work, Given(alice), "alice", RUBRIC, "terminal")
        grades.add(work, Given(bob), "bob", RUBRIC, "terminal")
    found = {(each.first, each.second): each for each in scoring.agreements(scoring.read([folder]))}
    assert set(found) == {("alice", "bob"), ("alice", "the tests"), ("bob", "the tests")}
    together = found["alice", "bob"]
    assert together.agreement.agreed == 0.75
    assert [each.work.problem.id for each in together.differing] == ["p1"]
    assert found["bob", "the tests"].agreement.kappa == 1
    assert found["alice", "the tests"].agreement.kappa == pytest.approx(0.5)


def test_what_tests_missed_in_both_directions(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [10, 10, 9, 1])
    grades, _ = graded(folder)
    for work, grade in zip(works([folder]), (CORRECT, NEARLY, NEARLY, WRONG), strict=True):
        grades.add(work, Given(grade), "alice", RUBRIC, "terminal")
    down, up = scoring.missed(scoring.read([folder]))
    assert [each.work.problem.id for each in down] == ["p1"]
    assert [each.work.problem.id for each in up] == ["p2"]


def test_a_lost_format_alone_is_a_kind_of_its_own(tmp_path: Path) -> None:
    (work,) = works([make_run(tmp_path / "a", [10], format_kept=False)])
    assert work.kind == FORMAT_LOST
    assert isinstance(RUBRIC, Rubric)
    assert LOST.right


def test_the_interval_of_each_run_and_difficulty_covers_95_percent(tmp_path: Path) -> None:
    """Two runs share some of their programs, and one budget serves both."""
    chance = random.Random(1)
    passed = [chance.choice((10, 10, 9, 2)) for _ in range(60)]
    shared = [f"def f(x):\n    return x + {number}\n" for number in range(60)]
    others = [f"{each}#\n" if number % 2 else each for number, each in enumerate(shared)]
    again = [
        chance.choice((10, 9, 2)) if number % 2 else good for number, good in enumerate(passed)
    ]
    folders = [
        make_run(tmp_path / "a", passed, shared),
        make_run(tmp_path / "b", again, others),
    ]
    found = works(folders)
    asked = {
        "run a": lambda place: place.folder == folders[0],
        "run b": lambda place: place.folder == folders[1],
        "all": lambda place: True,
        "easy of a": lambda place: (
            place.folder == folders[0] and int(place.problem_id[1:]) % 3 == 0
        ),
    }
    held = dict.fromkeys(asked, 0)
    tries = 150
    for seed in range(tries):
        points = {
            work.digest: chance.choices((1.0, 0.5, 0.0), (8, 1, 1) if work.passed else (0, 3, 7))[0]
            for work in found
        }
        choice = choosing.choose(found, 36, seed)
        chosen = {work.digest for work in choice.works}
        graded_works = [
            scoring.Graded(
                work,
                {"alice": _review(points[work.digest])} if work.digest in chosen else {},
                choice.strata[work.problem.id, work.digest],
                work.digest in chosen,
            )
            for work in found
        ]
        for name, counts in asked.items():
            weights = {work.digest: sum(map(counts, work.places)) for work in found}
            truth = sum(weights[d] * points[d] for d in weights) / sum(weights.values())
            estimate = scoring.score(graded_works, counts)
            assert estimate is not None
            held[name] += estimate.interval.low - 1e-9 <= truth <= estimate.interval.high + 1e-9
    assert {name: count / tries for name, count in held.items() if count / tries < 0.93} == {}


def _review(points: float) -> Review:
    return Review("", 0, "", "x", points, points == 1, (), "", "alice", 0.0, "", "", "")
