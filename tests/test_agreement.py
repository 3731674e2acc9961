"""Cohen's kappa against published values."""

from __future__ import annotations

import pytest

from experiments.stats.agreement import cohens_kappa


def pairs(table: list[list[int]]) -> list[tuple[int, int]]:
    return [
        (row, column)
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]


def test_kappa_and_its_error_are_those_of_r() -> None:
    """R's `vcd::Kappa(SexualFun)`: 0.1293 with error 0.0686; the data are of Agresti, 1990."""
    found = cohens_kappa(pairs([[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]))
    assert found is not None
    assert found.interval is not None
    assert found.items == 91
    assert found.kappa == pytest.approx(0.1293, abs=5e-5)
    error = (found.interval.high - found.interval.low) / 2 / 1.959964
    assert error == pytest.approx(0.0686, abs=5e-5)


def test_kappa_of_two_by_two() -> None:
    """Agreed on 35 of 50, and by chance on half: 0.4."""
    found = cohens_kappa(pairs([[20, 5], [10, 15]]))
    assert found is not None
    assert (found.agreed, found.kappa) == (pytest.approx(0.7), pytest.approx(0.4))


def test_agreement_on_a_few_is_no_certainty() -> None:
    found = cohens_kappa([(1, 1), (0, 0)] * 4)
    assert found is not None
    assert found.interval is not None
    assert (found.kappa, found.interval.high) == (1, 1)
    assert found.interval.low < 0.5


def test_chance_alone_is_zero_and_less_is_below() -> None:
    by_chance = cohens_kappa([(a, b) for a in (0, 1) for b in (0, 1)] * 10)
    never = cohens_kappa([(0, 1), (1, 0)] * 10)
    assert by_chance is not None
    assert never is not None
    assert by_chance.kappa == pytest.approx(0)
    assert never.kappa == pytest.approx(-1)


def test_one_grade_for_all_leaves_nothing_to_agree_on() -> None:
    found = cohens_kappa([("correct", "correct")] * 5)
    assert found is not None
    assert (found.agreed, found.kappa, found.interval) == (1, None, None)


def test_nothing_graded_is_no_agreement() -> None:
    assert cohens_kappa([]) is None
