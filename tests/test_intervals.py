"""Confidence intervals against scipy and hand-made cases."""

import math
import random
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.intervals import bootstrap_interval, wilson_interval


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_wilson_interval_is_that_of_scipy(case: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    total, passed = case
    expected = binomtest(passed, total).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(passed, total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= passed / total <= high <= 1


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_interval_refuses_more_than_all() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        wilson_interval(5, 4)


def test_bootstrap_interval_is_near_that_of_scipy() -> None:
    import numpy
    from scipy.stats import bootstrap

    values = [random.Random(0).random() ** 2 for _ in range(3)] + [0.0, 0.25, 0.5, 1.0, 1.0] * 20
    expected = bootstrap(
        (values,),
        numpy.mean,
        method="percentile",
        n_resamples=20_000,
        rng=numpy.random.default_rng(1),
    ).confidence_interval
    found = bootstrap_interval(values)
    assert found == pytest.approx((expected.low, expected.high), abs=0.01)


def test_bootstrap_interval_is_repeatable_and_its_seed_matters() -> None:
    values = [0.0, 0.2, 0.9, 1.0, 0.4]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_bootstrap_in_pieces_draws_all_its_resamples() -> None:
    values = [0.0, 1.0] * 1500  # more than fit into one piece
    low, high = bootstrap_interval(values)
    width = 2 * 1.96 * pstdev(values) / math.sqrt(len(values))
    assert high - low == pytest.approx(width, rel=0.1)


def test_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])
