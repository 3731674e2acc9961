"""The report of a race: its findings come first, and what was not generated is not known."""

import re
from pathlib import Path
from shutil import rmtree

import pytest
from test_report import make_run

from experiments import report
from experiments.app.race import write
from experiments.report import analysis, racing
from experiments.report.markdown import markdown
from experiments.report.plots import plots
from experiments.schema import Question, RaceConfig
from experiments.stats.race import Race
from experiments.store import runs

PROBLEMS = 120


def make_race(
    folder: Path, rates: dict[str, int], question: str = "best", rounds: int = PROBLEMS
) -> Path:
    """Write the folder of a race in which a candidate solves so many of ten problems.

    Args:
        folder: of the sweep.
        rates: by candidate, which differ in their prompt.
        question: of the race.
        rounds: it is stopped after so many.
    """
    ids = [f"p{number}" for number in range(PROBLEMS)]
    going = Race([*rates], ids, block=10, question=question)

    def solved(name: str, place: int) -> bool:
        return place * 7 % 10 < rates[name]

    place = 0
    while (block := going.next_block()) and rounds:
        rounds -= 1
        places = range(place, place + len(block))
        going.observe(
            {
                name: {p: solved(name, at) for p, at in zip(block, places, strict=True)}
                for name in going.running
            }
        )
        place += len(block)
    for index, runner in enumerate(going.standing().runners):
        passed = [solved(runner.candidate, at) for at in range(runner.problems)]
        make_run(folder / str(index), passed, {"prompt": runner.candidate})
    asked = RaceConfig(block=10, question=Question(question))
    overrides = {name: [f"prompt={name}"] for name in rates}
    write(folder / runs.RACE, going, asked, overrides)
    return folder


def test_a_race_is_told_by_its_findings_and_not_by_pass_at_1(tmp_path: Path) -> None:
    """Whatever the pass@1 of one that was dropped is on the few problems that it was asked."""
    make_race(tmp_path, {"a": 1, "b": 10, "c": 10})
    rmtree(tmp_path / "0")
    make_run(tmp_path / "0", [True] * 10, {"prompt": "a"})
    (group,) = report.collect([tmp_path]).groups
    assert group.runs[-1].report.folder.name == "0"
    assert group.runs[-1].metrics["pass_at_1/plus"] == 1.0
    found = analysis.headline(group)
    assert found.startswith("On problems like these, b and c may each be the best")
    assert "a is worse than the best" in found
    assert re.search(r"The race took \d+ of 360 generations: \d+ % were saved", found)


def test_tests_for_a_number_of_problems_chosen_beforehand_are_left_out(tmp_path: Path) -> None:
    collection = report.collect([make_race(tmp_path, {"a": 1, "b": 10, "c": 10})])
    (group,) = collection.groups
    assert analysis.against_the_best(group) == []
    assert analysis.axes(group, collection.labels) == []
    assert not [name for name in plots(collection) if "cost" in name or "score" in name]


def test_the_race_stands_first_on_the_page_with_a_curve_per_candidate(tmp_path: Path) -> None:
    collection = report.collect([make_race(tmp_path, {"a<b": 1, "b": 10, "c": 10})])
    written = report.write(collection, tmp_path / "out")
    page = written.page.read_text()
    assert page.index('id="race-0"') < page.index('id="leaderboard-0"')
    race = page[page.index('id="race-0"') : page.index('id="leaderboard-0"')]
    assert race.count("<svg") == 3
    assert "a&lt;b" in race
    assert "a<b" not in page
    (loser,) = [row for row in race.split("<tr>") if "worse than the best" in row[:200]]
    asked = int(re.findall(r"<td>\d+ of (\d+)</td>", loser)[0])
    assert f"<td>{PROBLEMS - asked}</td>" in loser, "what was not generated"
    assert "not asked" in page, "its squares in the map are empty"
    table = markdown(collection)
    assert f"- a&lt;b: worse than the best (solved {asked // 10} of {asked}" in table


def test_problems_that_a_candidate_was_not_asked_are_no_failures(tmp_path: Path) -> None:
    (group,) = report.collect([make_race(tmp_path, {"a": 1, "b": 10})]).groups
    _, last = group.runs
    assert len(last.rates) < PROBLEMS
    found = analysis.together(group)
    assert found.asked == len(last.rates)
    assert len(found.alone) == found.asked - found.by_all
    every = {problem.id for problem in group.problems}
    eased = [problem.id for problem in analysis.by_ease(group)]
    assert {*eased} == every
    assert eased[-1] in last.rates, "the hardest is one that was asked and not solved"


def test_pairs_about_which_nothing_is_known_are_told(tmp_path: Path) -> None:
    found = racing.read(make_race(tmp_path, {"a": 1, "b": 10, "c": 10}, question="order", rounds=2))
    known = {(first, said, second) for first, said, second, _ in racing.pairs(found)}
    assert known == {
        ("a", "worse than", "b"),
        ("a", "worse than", "c"),
        ("b", "not told apart from", "c"),
    }
    page = report.write(report.collect([tmp_path]), tmp_path / "out").page.read_text()
    assert "not told apart from c" in page


def test_a_race_that_was_stopped_is_told_as_such(tmp_path: Path) -> None:
    collection = report.collect([make_race(tmp_path, {"a": 9, "b": 10}, rounds=2)])
    (group,) = collection.groups
    assert analysis.headline(group) == (
        "The race is not over: after 20 of 120 problems b leads. The same command goes on."
    )
    assert "The race was stopped" in report.write(collection, tmp_path / "out").page.read_text()


def test_a_race_beside_other_runs_has_its_section_and_not_the_headline(tmp_path: Path) -> None:
    make_race(tmp_path / "race", {"a": 1, "b": 10})
    make_run(tmp_path / "single", [True] * PROBLEMS, {"prompt": "d"})
    collection = report.collect([tmp_path])
    (group,) = collection.groups
    assert group.race is None
    assert analysis.headline(group).startswith("d solves")
    page = report.write(collection, tmp_path / "out").page.read_text()
    assert "On problems like these, b is the best" in page


def test_the_screen_tells_the_race(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.show_collection(report.collect([make_race(tmp_path, {"a": 1, "b": 10})]))
    told = " ".join(capsys.readouterr().out.split())
    assert "On problems like these, b is the best; a is worse than the best." in told
    assert "b: the best (solved 20 of 20, known after 20)" in told


@pytest.mark.parametrize("content", ["{", "[]", '{"over": true}'])
def test_a_damaged_race_is_told_and_its_runs_are_shown(tmp_path: Path, content: str) -> None:
    (make_race(tmp_path, {"a": 1, "b": 10}) / runs.RACE).write_text(content)
    collection = report.collect([tmp_path])
    ((_, reason),) = collection.failures
    assert "race.json cannot be read" in reason
    assert len(collection.runs) == 2
