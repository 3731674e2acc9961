"""Paired comparisons against scipy and hand-made cases."""

import math
import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.records import Outcome, Verdict
from experiments.stats.comparing import (
    Comparison,
    Finding,
    compare,
    difference_interval,
    mcnemar_p_value,
    problems_needed,
    same_programs,
    sign_flip_p_value,
)
from experiments.stats.intervals import wilson_interval
from experiments.stats.metrics import pass_rates


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int) -> None:
    from scipy.stats import binomtest

    discordant = only_first + only_second
    expected = binomtest(only_first, discordant).pvalue if discordant else 1.0
    assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_p_value(0, 5) == 2 / 32
    assert mcnemar_p_value(1, 5) == 2 * (1 + 6) / 64
    assert mcnemar_p_value(3, 3) == 1.0


def test_mcnemar_of_very_many_problems_does_not_overflow() -> None:
    assert 0 < mcnemar_p_value(900, 1100) < 1e-4


def test_mcnemar_refuses_negative_numbers() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar_p_value(-1, 2)


differences = st.lists(st.integers(-4, 4).map(lambda n: n / 4), min_size=1, max_size=9)


@settings(deadline=None)
@given(differences)
def test_sign_flip_counts_all_assignments_of_signs(values: list[float]) -> None:
    seen = abs(math.fsum(values))
    sums = [
        abs(math.fsum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in product((-1, 1), repeat=len(values))
    ]
    share = sum(each >= seen - 1e-9 for each in sums) / len(sums)
    assert sign_flip_p_value(values) == pytest.approx(share, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_sign_flip_of_whole_problems_is_mcnemar(first: int, second: int, same: int) -> None:
    values = [-1.0] * first + [1.0] * second + [0.0] * same
    assert sign_flip_p_value(values) == mcnemar_p_value(first, second)


def test_sign_flip_is_near_that_of_scipy() -> None:
    import numpy
    from scipy.stats import permutation_test

    generator = random.Random(2)
    values = [generator.randrange(-9, 12) / 10 for _ in range(70)]
    expected = permutation_test(
        (numpy.array(values),),
        numpy.mean,
        permutation_type="samples",
        n_resamples=50_000,
        rng=numpy.random.default_rng(0),
    )
    assert sign_flip_p_value(values) == pytest.approx(expected.pvalue, abs=0.01)


def test_sign_flip_of_many_fine_differences_is_near_the_normal() -> None:
    from scipy.stats import norm

    generator = random.Random(3)
    values = [generator.randrange(-450, 499) / 997 for _ in range(1000)]
    z = math.fsum(values) / math.sqrt(math.fsum(v * v for v in values))
    assert sign_flip_p_value(values) == pytest.approx(2 * norm.sf(abs(z)), rel=0.1)


def test_sign_flip_rounds_what_is_too_fine() -> None:
    values = [1 / 7, -2 / 11, 3 / 13, 5 / 9, -1 / 8, 4 / 5]
    sums = [
        abs(math.fsum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in product((-1, 1), repeat=len(values))
    ]
    share = sum(each >= abs(math.fsum(values)) - 1e-9 for each in sums) / len(sums)
    assert sign_flip_p_value(values) == pytest.approx(share, abs=0.05)


def test_the_size_of_differences_counts() -> None:
    """Eleven problems that gain much against nine that lose little: no even match."""
    values = [1.0] * 11 + [-0.25] * 9
    assert sign_flip_p_value(values) < 0.02 < mcnemar_p_value(9, 11)


def rates(first: str, second: str) -> tuple[dict[str, float], dict[str, float]]:
    return tuple(  # type: ignore[return-value]
        {f"p{n:03}": float(mark) for n, mark in enumerate(marks)} for marks in (first, second)
    )


def test_compare_counts_problems_that_tell_the_runs_apart() -> None:
    (found,) = compare([rates("1110010", "1001010")])
    assert (found.problems, found.only_first, found.only_second) == (7, 2, 1)
    assert found.first == pytest.approx(4 / 7)
    assert found.difference == pytest.approx(-1 / 7)
    assert found.p_value == 1.0
    assert found.low < found.difference < found.high


def test_compare_takes_common_problems_only_and_in_any_order() -> None:
    first = {"a": 1.0, "b": 0.0, "c": 1.0}
    second = {"d": 1.0, "c": 0.0, "a": 1.0}
    assert compare([(first, second)]) == compare([({"a": 1.0, "c": 1.0}, {"c": 0.0, "a": 1.0})])


def test_compare_without_common_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="in common"):
        compare([({"a": 1.0}, {"b": 1.0})])


def test_pairs_make_the_interval_narrow() -> None:
    """The same rates, but the runs agree on nearly all problems."""
    (paired,) = compare([rates("1" * 50 + "0" * 50, "1" * 48 + "0" * 52)])
    (apart,) = compare([rates("1" * 50 + "0" * 50, "0" * 52 + "1" * 48)])
    assert paired.difference == apart.difference == pytest.approx(-0.02)
    assert paired.high - paired.low < 0.11 < apart.high - apart.low


# The interval and the test are one method.

samples = st.sampled_from((1, 1, 1, 2, 3, 5, 10))


@settings(deadline=None, max_examples=400)
@given(st.data(), samples, st.integers(1, 12))
def test_the_interval_excludes_0_exactly_where_a_difference_is_found(
    data: st.DataObject, samples: int, together: int
) -> None:
    passed = st.integers(0, samples).map(lambda n: n / samples)
    pairs = data.draw(st.lists(st.tuples(passed, passed), min_size=1, max_size=80))
    check(pairs, together)


@pytest.mark.parametrize("samples", [1, 4])
def test_interval_and_finding_agree_on_runs_that_differ_by_chance_or_more(samples: int) -> None:
    generator = random.Random(samples)
    for _ in range(150):
        one, other = generator.random(), generator.random()
        size = generator.choice((5, 20, 60, 164))
        pairs = [
            tuple(sum(generator.random() < p for _ in range(samples)) / samples for p in each)
            for each in [(one, other)] * size
        ]
        check(pairs, generator.choice((1, 3, 66)))


def check(pairs: list[Any], together: int) -> None:
    runs = tuple({str(n): pair[side] for n, pair in enumerate(pairs)} for side in (0, 1))
    (found,) = compare([runs], together=together)
    told = found.finding in (Finding.BETTER, Finding.WORSE)
    assert told == (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
    assert found.low - 1e-9 <= found.difference <= found.high + 1e-9
    assert -1 <= found.low <= found.high <= 1


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_the_balance_of_one_sample_per_problem_has_the_interval_of_clopper_and_pearson(
    first: int, second: int, same: int
) -> None:
    """The end of the interval is nowhere nearer than with a known share of differing problems."""
    from scipy.stats import binomtest

    size = first + second + same
    if not first + second:
        return
    ends = binomtest(second, first + second).proportion_ci(0.95, method="exact")
    share = (first + second) / size
    low, high = difference_interval([-1.0] * first + [1.0] * second + [0.0] * same)
    assert low <= share * (2 * ends.low - 1) + 1e-4
    assert high >= share * (2 * ends.high - 1) - 1e-4


@pytest.mark.parametrize("size", [10, 60, 164])
def test_runs_without_a_difference_have_the_interval_of_the_share_that_may_differ(
    size: int,
) -> None:
    reach = wilson_interval(0, size).high
    assert difference_interval([0.0] * size) == (-reach, reach)


@pytest.mark.slow
@pytest.mark.parametrize("size", [60, 164])
@pytest.mark.parametrize("shares", [(0.02, 0.06), (0.1, 0.1), (0.1, 0.3), (0.0, 0.1), (0.2, 0.7)])
def test_intervals_hold_the_true_difference_as_often_as_they_promise(
    size: int, shares: tuple[float, float]
) -> None:
    generator = random.Random(size)
    first, second = shares
    held = 0
    for _ in range(1000):
        draws = [generator.random() for _ in range(size)]
        low, high = difference_interval(
            [-1.0 if d < first else 1.0 if d < first + second else 0.0 for d in draws]
        )
        held += low <= second - first <= high
    assert held / 1000 > 0.94  # 95 %, less the chance of the simulation


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 0.2])
def test_intervals_of_several_samples_hold_the_true_difference(gain: float) -> None:
    """Problems differ in difficulty; the gain is largest where they are neither easy nor hard."""
    generator = random.Random(5)
    held, samples = 0, 5
    truth = 2 * gain / 8  # the mean of p (1 - p) is 1/8 for p from Beta(1/2, 1/2)
    for _ in range(400):
        differences = []
        for _ in range(100):
            easy = generator.betavariate(0.5, 0.5)
            better = easy + 2 * gain * easy * (1 - easy)
            passed = [sum(generator.random() < p for _ in range(samples)) for p in (easy, better)]
            differences.append((passed[1] - passed[0]) / samples)
        low, high = difference_interval(differences)
        held += low <= truth <= high
    assert held / 400 > 0.925


def finding(first: str, second: str, **options: Any) -> Finding:
    return compare([rates(first, second)], **options)[0].finding


def test_findings() -> None:
    assert finding("1" * 60 + "0" * 40, "1" * 40 + "0" * 60) is Finding.WORSE
    assert finding("1" * 40 + "0" * 60, "1" * 60 + "0" * 40) is Finding.BETTER
    assert finding("1" * 80, "1" * 80) is Finding.EQUAL
    assert finding("1" * 60, "1" * 60) is Finding.UNKNOWN  # 1 in 17 may differ, at 95 %
    assert finding("1100110011", "1101010011") is Finding.UNKNOWN


def test_few_problems_without_a_difference_prove_nothing() -> None:
    (found,) = compare([rates("1" * 10, "1" * 10)])
    assert found.finding is Finding.UNKNOWN
    assert found.needed is not None
    assert found.needed.problems > 10
    assert found.needed.shows == "equality"


def test_a_wider_margin_is_met_sooner() -> None:
    assert finding("1" * 100, "1" * 100, margin=0.01) is Finding.UNKNOWN
    assert finding("1" * 100, "1" * 100, margin=0.1) is Finding.EQUAL


def test_the_same_programs_are_equal_however_few_they_are() -> None:
    found = same_programs({"a": 1.0, "b": 0.0})
    assert (found.finding, found.low, found.high) == (Finding.SAME, 0.0, 0.0)


def test_many_comparisons_ask_for_more_and_have_wider_intervals() -> None:
    pair = rates("1" * 6 + "0" * 50, "0" * 56)
    (alone,) = compare([pair])
    assert alone.finding is Finding.WORSE
    three = compare([pair, pair, pair])
    assert [found.finding for found in three] == [Finding.UNKNOWN] * 3
    assert three[0].p_value == pytest.approx(3 * alone.p_value)
    assert three[0].low < alone.low < alone.high < 0 < three[0].high
    assert compare([pair], together=3) == three[:1]


def test_one_wrong_finding_in_a_family_is_as_rare_as_promised() -> None:
    """Six equal runs, the best of which is chosen by the data and compared with the others."""
    generator = random.Random(7)
    wrong = 0
    for _ in range(200):
        easy = [generator.random() for _ in range(60)]
        runs = [
            {str(n): float(generator.random() < p) for n, p in enumerate(easy)} for _ in "123456"
        ]
        best, *others = sorted(runs, key=lambda run: -sum(run.values()))
        found = compare([(best, other) for other in others], together=15)
        wrong += any(each.finding is Finding.WORSE for each in found)
    assert wrong / 200 < 0.05


def test_unknown_tells_a_number_larger_than_there_were() -> None:
    (found,) = compare([rates("1" * 12 + "0" * 88, "0" * 4 + "1" * 8 + "0" * 88)], margin=0.01)
    assert found.finding is Finding.UNKNOWN
    assert found.needed is not None
    assert found.needed.problems > found.problems
    assert found.needed.shows == "difference"


def test_known_tells_no_number() -> None:
    assert compare([rates("1" * 400, "1" * 400)])[0].needed is None


def test_problems_needed_by_hand() -> None:
    # Connor's formula: (1.959964 sqrt(0.3) + 0.841621 sqrt(0.3 - 0.01))^2 / 0.01
    assert problems_needed(-0.1, 0.3) == 234
    assert problems_needed(0.1, 0.3) == 234
    assert problems_needed(0.0, 0.2) is None


@pytest.mark.parametrize("moments", [(0.5, 0.2), (0.1, 1.1)])
def test_problems_needed_refuses_what_cannot_be(moments: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="mean square"):
        problems_needed(*moments)


def test_problems_needed_gives_the_power_that_it_promises() -> None:
    size = problems_needed(-0.1, 0.2)
    assert size is not None
    generator = random.Random(1)
    seen = 0
    for _ in range(400):
        draws = [generator.random() for _ in range(size)]
        only_first = sum(draw < 0.15 for draw in draws)
        only_second = sum(0.15 <= draw < 0.2 for draw in draws)
        seen += mcnemar_p_value(only_first, only_second) < 0.05
    assert 0.7 < seen / 400 < 0.9  # the exact test is a little weaker than the formula's


def test_problems_to_know_that_runs_are_equal_give_the_power_that_they_promise() -> None:
    pair = "1" * 5 + "0" * 45, "0" * 5 + "1" * 5 + "0" * 40  # 10 % tell them apart, evenly
    (found,) = compare([rates(*pair)])
    assert found.needed is not None
    assert found.needed.shows == "equality"
    size = found.needed.problems
    generator = random.Random(4)
    seen = 0
    for _ in range(200):
        draws = [generator.choice((-1, 1)) * (generator.random() < 0.2) for _ in range(size)]
        low, high = difference_interval([float(draw) for draw in draws])
        seen += low > -0.05 and high < 0.05
    assert 0.65 < seen / 200 < 0.95


def test_many_comparisons_take_more_problems_to_know() -> None:
    pair = rates("1" * 30 + "0" * 70, "1" * 25 + "0" * 66 + "1" * 9)
    alone, among = (compare([pair], together=n, margin=0.001)[0].needed for n in (1, 10))
    assert alone is not None
    assert among is not None
    assert among.problems > 1.5 * alone.problems


def test_problems_that_all_differ_by_the_same_fraction_are_no_error() -> None:
    """Whose mean squared may be larger than their mean square, by the last digit."""
    ids = "abc"
    (found,) = compare([(dict.fromkeys(ids, 0.0), dict.fromkeys(ids, 0.2))])
    assert found.finding is Finding.UNKNOWN


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01")), min_size=1, max_size=60))
def test_comparison_is_symmetric(pairs: list[tuple[str, str]]) -> None:
    first, second = rates("".join(a for a, _ in pairs), "".join(b for _, b in pairs))
    one, other = compare([(first, second), (second, first)])
    assert one.difference == pytest.approx(-other.difference)
    assert (one.only_first, one.p_value) == (other.only_second, other.p_value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-6)


def verdict(number: int, outcome: Outcome) -> Verdict:
    return Verdict(str(number), 0, outcome, outcome, 2, 4, 3, 6)


def test_comparison_of_verdicts_end_to_end() -> None:
    first = pass_rates([verdict(n, Outcome.PASSED) for n in range(40)])
    second = pass_rates([verdict(n, Outcome.PASSED if n < 25 else Outcome.DIED) for n in range(40)])
    (found,) = compare([(first, second)])
    assert isinstance(found, Comparison)
    assert found.finding is Finding.WORSE
