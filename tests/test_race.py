"""Races: bets that are fair, claims that hold, and what a race tells."""

import importlib.util
import math
import sys
from itertools import combinations, pairwise, permutations, product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.evidence import Evidence, required
from experiments.stats.race import Finding, Race, Standing, in_race_order

BOTH = np.array([[True, True]])


def evidence(races: int, problems: int, *, population: bool, share: float) -> Evidence:
    return Evidence(
        races, 2, problems, population=population, ahead=(share,), within=(share,), pairs=True
    )


def capitals(each: Evidence) -> dict[str, np.ndarray]:
    """Return the capitals against leads of the second; counting is left out."""
    both = np.broadcast_to(BOTH, each.solved.shape)
    found = {"behind": each.behind(both)[:, 0, 0], "near": each.near(both)[:, 0, 1, 0]}
    return found | {"worse": each.worse(both)[:, 0, 1]}


@pytest.mark.parametrize("true", [-2, 0, 1])
def test_no_bet_on_a_set_gains_on_average_over_all_orders(true: int) -> None:
    """All 720 orders of six problems on which the second is ahead by so many."""
    pairs = {-2: "AAAB==", 0: "AB=AB=", 1: "BAB==="}[true]
    wins = {"A": (1, 0), "B": (0, 1), "=": (1, 1)}
    orders = np.array([[wins[each] for each in order] for order in permutations(pairs)], float)
    assert (orders[0, :, 1] - orders[0, :, 0]).sum() == true
    for share in (true / 6, (true + 1) / 6):
        bets = evidence(len(orders), 6, population=False, share=share)
        for step in range(5):
            bets.add(orders[:, step], np.broadcast_to(BOTH, (len(orders), 2)))
            found = capitals(bets)
            assert found["behind"].mean() <= 1 + 1e-9
            if true <= 0:
                assert found["worse"].mean() <= 1 + 1e-9
            if share == true / 6:
                assert found["near"].mean() <= 1 + 1e-9


@pytest.mark.parametrize(("only_first", "only_second"), [(0.3, 0.3), (0.1, 0.2), (0.5, 0.1)])
def test_no_bet_on_a_population_gains_on_average(only_first: float, only_second: float) -> None:
    """All 243 ways in which five problems may come out, with their probabilities."""
    chances = {(1, 0): only_first, (0, 1): only_second, (1, 1): 1 - only_first - only_second}
    ways = list(product(chances, repeat=5))
    weights = np.array([math.prod(chances[each] for each in way) for way in ways])
    outcomes = np.array(ways, dtype=float)
    bets = evidence(len(ways), 50, population=True, share=only_second - only_first)
    for step in range(5):
        bets.add(outcomes[:, step], np.broadcast_to(BOTH, (len(ways), 2)))
        found = capitals(bets)
        assert (weights * found["behind"]).sum() <= 1 + 1e-9
        assert (weights * found["near"]).sum() <= 1 + 1e-9
        if only_second <= only_first:
            assert (weights * found["worse"]).sum() <= 1 + 1e-9


@pytest.mark.parametrize("population", [True, False])
def test_bets_win_where_there_is_something_to_win(population: bool) -> None:
    bets = evidence(1, 80, population=population, share=0.1)
    for _ in range(30):
        bets.add(np.array([[0.0, 1.0]]), BOTH)
    assert capitals(bets)["worse"][0] > 500
    assert capitals(bets)["behind"][0] > 500
    assert capitals(bets)["near"][0] < 1


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_a_statement_is_refuted_with_every_set_that_contains_it(
    values: list[float], marks: list[bool]
) -> None:
    capital, possible = np.array(values), np.array(marks[: len(values)])
    refuted = capital >= required(capital, 20.0, possible) - 1e-9
    for index in np.flatnonzero(possible):
        others = [other for other in np.flatnonzero(possible) if other != index]
        sets = [
            [index, *chosen]
            for size in range(len(others) + 1)
            for chosen in combinations(others, size)
        ]
        assert refuted[index] == all(capital[each].mean() >= 20 - 1e-9 for each in sets)


def test_the_order_is_the_seeds_alone() -> None:
    names = [f"p{n}" for n in range(50)]
    assert in_race_order(names, 3) == in_race_order(names[::-1], 3)
    assert sorted(in_race_order(names, 3)) == sorted(names)
    assert in_race_order(names, 3) != in_race_order(names, 4)
    assert in_race_order(names, 3)[:20] != names[:20]


def run(solved: dict[str, str], **given: object) -> tuple[Race, Standing]:
    """Race candidates whose outcomes are given in the order of the problems ('1' is solved)."""
    size = len(next(iter(solved.values())))
    race = Race(list(solved), [f"p{n}" for n in range(size)], **given)  # type: ignore[arg-type]
    marks = {
        name: {f"p{n}": mark == "1" for n, mark in enumerate(row)} for name, row in solved.items()
    }
    while block := race.next_block():
        race.observe({name: {each: marks[name][each] for each in block} for name in race.running})
    return race, race.standing()


def found(standing: Standing) -> dict[str, str]:
    return {each.candidate: each.finding.value for each in standing.runners}


@pytest.mark.parametrize("question", ["best", "order"])
@pytest.mark.parametrize("population", [True, False])
def test_a_clear_race_is_short(question: str, population: bool) -> None:
    race, standing = run(
        {"good": "1" * 160, "bad": "0" * 160}, question=question, population=population
    )
    assert standing.over
    assert race.next_block() == ()
    assert found(standing) == {"good": "best", "bad": "worse"}
    assert standing.leader == "good"
    assert standing.generations == 40
    assert standing.saved == 1 - 40 / 320
    (claim,) = standing.claims
    assert (claim.candidate, claim.finding, claim.problems) == ("bad", Finding.WORSE, 20)
    bad = standing.runners[1]
    assert (bad.problems, bad.solved, bad.settled_at) == (20, 0, 20)
    assert bad.curve[-1].low >= 0
    assert bad.curve[-1].behind == 1


@pytest.mark.parametrize("question", ["best", "order"])
def test_a_copy_is_told_as_equal(question: str) -> None:
    row = "1101" * 60
    _, standing = run({"one": row, "copy": row, "bad": "0001" * 60}, question=question)
    assert found(standing) == {"one": "equal", "copy": "equal", "bad": "worse"}
    assert standing.saved > 0.4
    assert max(each.curve[-1].high for each in standing.runners[:2]) <= 0.05


def test_what_the_problems_cannot_tell_is_not_known_and_ends_early() -> None:
    _, standing = run({"one": "1100" * 15, "other": "0110" * 15}, block=10)
    assert found(standing) == {"one": "not known", "other": "not known"}
    assert standing.claims == ()
    assert 0.2 < standing.saved < 0.8
    assert standing.runners[1].settled_at is None


def test_a_race_about_one_set_ends_with_what_the_set_shows() -> None:
    rows = {"one": "1100" * 15, "other": "0110" * 14 + "1111", "third": "1010" * 10 + "0" * 20}
    _, standing = run(rows, population=False)
    assert found(standing) == {"one": "equal", "other": "best", "third": "worse"}
    assert [each.solved for each in standing.runners[:2]] == [30, 32]


def test_a_pair_that_follows_from_two_others_is_not_asked_again() -> None:
    rows = {"a": "1" * 200, "b": "10" * 100, "c": "0" * 200}
    _, standing = run(rows, question="order")
    pairs = {(each.candidate, each.other) for each in standing.claims}
    assert pairs == {("b", "a"), ("c", "a"), ("c", "b")}
    assert {each.finding for each in standing.claims} == {Finding.WORSE}


@pytest.mark.parametrize(
    ("candidates", "problems", "words"),
    [
        (["a"], ["p"], "two candidates"),
        (["a", "b"], [], "a problem"),
        (["a", "a"], ["p"], "twice"),
        (["a", "b"], ["p", "p"], "twice"),
    ],
)
def test_what_is_no_race_is_refused(candidates: list[str], problems: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Race(candidates, problems)


def test_a_question_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="question"):
        Race(["a", "b"], ["p"], question="worst")


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "race.py"
    spec = importlib.util.spec_from_file_location("benchmark_race", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("question", ["best", "order"])
@pytest.mark.parametrize("population", [True, False])
@pytest.mark.parametrize(
    ("candidates", "problems", "kind", "correlation"),
    [
        (3, 542, "equal", 0.8),
        (8, 60, "equal", 0.5),
        (8, 164, "5 apart", 0.8),
        (3, 164, "2 apart", 0.5),
        (8, 164, "one leads by 15", 0.5),
    ],
)
def test_few_races_claim_what_is_wrong(
    simulation: ModuleType,
    candidates: int,
    problems: int,
    kind: str,
    correlation: float,
    population: bool,
    question: str,
) -> None:
    """More than 5 % + 3 standard deviations of 200 races would be more than luck."""
    rates = simulation.rates(kind, candidates)
    random = np.random.default_rng(0)
    solved = simulation.outcomes(random, 200, problems, rates, correlation)
    ended = simulation.race(solved, rates, question, population)
    assert ended.wrong.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_wrong_claims_would_be_seen(simulation: ModuleType) -> None:
    """The count of wrong races is no dead figure: a careless race has many."""
    rates = simulation.rates("equal", 3)
    solved = simulation.outcomes(np.random.default_rng(0), 100, 164, rates, 0.5)
    assert simulation.race(solved, rates, alpha=0.9).wrong.mean() > 0.2


@pytest.mark.parametrize(
    ("problems", "kind", "most"),
    [(542, "15 to 70 %", 0.30), (542, "one leads by 15", 0.46), (164, "15 to 70 %", 0.55)],
)
def test_generations_are_saved(
    simulation: ModuleType, problems: int, kind: str, most: float
) -> None:
    """Less than a plain mixture with Bonferroni's correction over pairs takes."""
    rates = simulation.rates(kind, 8)
    solved = simulation.outcomes(np.random.default_rng(1), 50, problems, rates, 0.65)
    assert simulation.race(solved, rates).made.mean() < most


def test_bounds_hold_for_all_points_of_a_curve(simulation: ModuleType) -> None:
    random = np.random.default_rng(2)
    missed = 0
    for _ in range(60):
        solved = simulation.outcomes(random, 1, 100, (0.6, 0.5), 0.5)[0]
        rows = {
            name: "".join(str(int(each)) for each in solved[:, index])
            for index, name in enumerate("ab")
        }
        _, standing = run(rows)
        points = standing.runners[1].curve
        missed += any(not each.low <= 0.1 <= each.high for each in points)
        assert all(a.problems < b.problems for a, b in pairwise(points))
    assert missed <= 8
