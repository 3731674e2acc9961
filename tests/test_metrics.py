"""Metrics: formulas against scipy and hand-made cases, and what a run's summary says."""

import math
import random
import re
from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.metrics import (
    Comparison,
    Finding,
    answers,
    bootstrap_interval,
    compare,
    holm,
    mcnemar_p_value,
    pass_at_k,
    pass_rates,
    problems_needed,
    summarise,
    wilson_interval,
)
from experiments.records import FinishReason, Generation, Outcome, Problem, Solution, Verdict

# pass@k


@pytest.mark.parametrize("n", range(1, 9))
def test_pass_at_k_is_the_share_of_draws_with_a_pass(n: int) -> None:
    for passed in range(n + 1):
        for k in range(1, n + 1):
            draws = list(combinations([True] * passed + [False] * (n - passed), k))
            share = sum(map(any, draws)) / len(draws)
            assert pass_at_k(n, passed, k) == pytest.approx(share, abs=1e-12)


@settings(deadline=None)
@given(
    st.integers(1, 3000).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_pass_at_k_is_exact_for_many_samples(case: tuple[int, int, int]) -> None:
    n, passed, k = case
    exact = 1 - Fraction(comb(n - passed, k), comb(n, k))
    assert pass_at_k(n, passed, k) == pytest.approx(float(exact), abs=1e-9)


def test_pass_at_1_is_the_share_that_passes() -> None:
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)


@pytest.mark.parametrize("case", [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0), (0, 0, 1)])
def test_pass_at_k_refuses_what_makes_no_sense(case: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(*case)


# Intervals


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


# Comparisons


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


def test_holm_by_hand() -> None:
    # 4 x 0.005, 3 x 0.01, then 2 x 0.03 = 0.06, and 0.04 may not fall below it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1.0, 1.0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_stepwise_procedure_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] * (len(p_values) - rank) > alpha:
                break
            rejected.add(index)
        assert {i for i, value in enumerate(adjusted) if value <= alpha} == rejected


def rates(first: str, second: str) -> tuple[dict[str, float], dict[str, float]]:
    return tuple(  # type: ignore[return-value]
        {f"p{n:03}": float(mark) for n, mark in enumerate(marks)} for marks in (first, second)
    )


def test_compare_counts_problems_that_tell_the_runs_apart() -> None:
    found = compare(*rates("1110010", "1001010"))
    assert (found.problems, found.only_first, found.only_second) == (7, 2, 1)
    assert found.first == pytest.approx(4 / 7)
    assert found.difference == pytest.approx(-1 / 7)
    assert found.p_value == 1.0
    assert found.low < found.difference < found.high


def test_compare_takes_common_problems_only_and_in_any_order() -> None:
    first = {"a": 1.0, "b": 0.0, "c": 1.0}
    second = {"d": 1.0, "c": 0.0, "a": 1.0}
    assert compare(first, second) == compare({"a": 1.0, "c": 1.0}, {"c": 0.0, "a": 1.0})


def test_compare_without_common_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="in common"):
        compare({"a": 1.0}, {"b": 1.0})


def test_pairs_make_the_interval_narrow() -> None:
    """The same rates, but the runs agree on nearly all problems."""
    paired = compare(*rates("1" * 50 + "0" * 50, "1" * 48 + "0" * 52))
    apart = compare(*rates("1" * 50 + "0" * 50, "0" * 52 + "1" * 48))
    assert paired.difference == apart.difference == pytest.approx(-0.02)
    assert paired.high - paired.low < 0.1 < apart.high - apart.low


def test_interval_for_equality_is_that_of_bonett_and_price() -> None:
    """The first alone solves 5 of 100 problems and the second 2; one is added to either."""
    b, c, n = 6, 3, 102
    low = (c - b) / n - 1.96 * math.sqrt(((b + c) / n - ((b - c) / n) ** 2) / n)
    pair = "1" * 30 + "0" * 70, "1" * 25 + "0" * 73 + "11"
    assert finding(*pair, margin=-low + 0.0001) is Finding.EQUAL
    assert finding(*pair, margin=-low - 0.0001) is Finding.UNKNOWN


def finding(first: str, second: str, **options: float) -> Finding:
    return answers([compare(*rates(first, second))], **options)[0].finding


def test_findings() -> None:
    assert finding("1" * 60 + "0" * 40, "1" * 40 + "0" * 60) is Finding.WORSE
    assert finding("1" * 40 + "0" * 60, "1" * 60 + "0" * 40) is Finding.BETTER
    assert finding("1" * 60, "1" * 60) is Finding.EQUAL
    assert finding("1" * 40, "1" * 40) is Finding.UNKNOWN  # 1 in 14 may differ, at 95 %
    assert finding("1100110011", "1101010011") is Finding.UNKNOWN


def test_few_problems_without_a_difference_prove_nothing() -> None:
    (answer,) = answers([compare(*rates("1" * 10, "1" * 10))])
    assert answer.finding is Finding.UNKNOWN
    assert answer.problems_needed is not None
    assert answer.problems_needed > 10


def test_a_wider_margin_is_met_sooner() -> None:
    assert finding("1" * 100, "1" * 100, margin=0.01) is Finding.UNKNOWN
    assert finding("1" * 100, "1" * 100, margin=0.1) is Finding.EQUAL


def test_the_interval_of_runs_without_a_difference_has_a_width() -> None:
    found = compare(*rates("1" * 60, "1" * 60))
    assert found.low == -found.high == pytest.approx(-1.96 * math.sqrt(2 / 62 / 62), abs=1e-4)


def test_many_comparisons_ask_for_more() -> None:
    first, second = "1" * 6 + "0" * 50, "0" * 56
    alone = compare(*rates(first, second))
    assert answers([alone])[0].finding is Finding.WORSE
    assert answers([alone, alone, alone])[0].finding is Finding.UNKNOWN


def test_unknown_tells_a_number_larger_than_there_were() -> None:
    comparison = compare(*rates("1" * 12 + "0" * 88, "0" * 4 + "1" * 8 + "0" * 88))
    (answer,) = answers([comparison], margin=0.01)
    assert answer.finding is Finding.UNKNOWN
    assert answer.problems_needed is not None
    assert answer.problems_needed > comparison.problems


def test_known_tells_no_number() -> None:
    assert answers([compare(*rates("1" * 400, "1" * 400))])[0].problems_needed is None


def test_problems_needed_by_hand() -> None:
    # Connor's formula: (1.959964 sqrt(0.3) + 0.841621 sqrt(0.3 - 0.01))^2 / 0.01
    assert problems_needed(0.2, 0.1) == 234
    assert problems_needed(0.1, 0.2) == 234
    assert problems_needed(0.1, 0.1) is None


@pytest.mark.parametrize("shares", [(-0.1, 0.2), (0.6, 0.5)])
def test_problems_needed_refuses_what_are_no_shares(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        problems_needed(*shares)


def test_problems_needed_gives_the_power_that_it_promises() -> None:
    size = problems_needed(0.15, 0.05)
    assert size is not None
    generator = random.Random(1)
    seen = 0
    for _ in range(400):
        draws = [generator.random() for _ in range(size)]
        only_first = sum(draw < 0.15 for draw in draws)
        only_second = sum(0.15 <= draw < 0.2 for draw in draws)
        seen += mcnemar_p_value(only_first, only_second) < 0.05
    assert 0.7 < seen / 400 < 0.9  # the exact test is a little weaker than the formula's


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01")), min_size=1, max_size=60))
def test_comparison_is_symmetric(pairs: list[tuple[str, str]]) -> None:
    first, second = rates("".join(a for a, _ in pairs), "".join(b for _, b in pairs))
    one, other = compare(first, second), compare(second, first)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.only_first, one.p_value) == (other.only_second, other.p_value)
    assert one.square == pytest.approx(other.square)


# summarise


def problem(name: str, difficulty: str = "") -> Problem:
    return Problem(name, "f", "def f(): ...", "", ((),), ((),), difficulty=difficulty)


def verdict(
    name: str, outcome: Outcome, base: Outcome | None = None, sample: int = 0, **more: int
) -> Verdict:
    tests = {"base_passed": 2, "base_total": 4, "extra_passed": 3, "extra_total": 6, **more}
    return Verdict(name, sample, base or outcome, outcome, cpu_seconds=0.5, **tests)


def generation(name: str, cached: bool = False, sample: int = 0, **more: float) -> Generation:
    values = {
        "prompt_tokens": 100,
        "shared_tokens": 60,
        "new_tokens": 21,
        "seconds_reading": 2.0,
        "seconds_decoding": 4.0,
        **more,
    }
    return Generation(
        f"{name}{sample}",
        name,
        sample,
        "text",
        FinishReason.END_TOKEN,
        cached=cached,
        **values,  # type: ignore[arg-type]
    )


RUN = {
    "problems": [
        problem("a", "easy"),
        problem("b", "easy"),
        problem("c", "very hard"),
        problem("d"),
    ],
    "verdicts": [
        verdict("a", Outcome.PASSED, base_passed=4, extra_passed=6),
        verdict("b", Outcome.WRONG_ANSWER, base=Outcome.PASSED),
        verdict("c", Outcome.TIMED_OUT),
    ],
    "solutions": [
        Solution("a", 0, "x", format_kept=True, syntax_valid=True),
        Solution("b", 0, "x", format_kept=False, syntax_valid=True),
        Solution("c", 0, "", format_kept=False, syntax_valid=False),
    ],
    "generations": [generation("a"), generation("b"), generation("c", cached=True, new_tokens=999)],
}


def summary(**changes: object) -> dict[str, float]:
    return summarise(**{**RUN, **changes})  # type: ignore[arg-type]


def test_summary_tells_base_and_plus_apart() -> None:
    found = summary()
    assert found["pass_at_1/plus"] == pytest.approx(1 / 3)
    assert found["pass_at_1/base"] == pytest.approx(2 / 3)
    assert (found["pass_at_1/plus_low"], found["pass_at_1/plus_high"]) == wilson_interval(1, 3)
    assert "pass_at_2/plus" not in found


def test_summary_by_difficulty() -> None:
    found = summary()
    assert found["pass_at_1_easy/plus"] == 0.5
    assert found["pass_at_1_easy/base"] == 1.0
    assert found["pass_at_1_very_hard/plus"] == 0.0


def test_summary_counts_tests_format_and_outcomes() -> None:
    found = summary()
    assert found["tests_passed/base"] == pytest.approx(fmean([1, 0.5, 0.5]))
    assert found["tests_passed/extra"] == pytest.approx(fmean([1, 0.5, 0.5]))
    assert found["tests_passed/all"] == pytest.approx(fmean([1, 0.5, 0.5]))
    assert found["format/kept"] == pytest.approx(1 / 3)
    assert found["format/syntax_valid"] == pytest.approx(2 / 3)
    assert (
        found["outcomes/passed"]
        == found["outcomes/wrong_answer"]
        == found["outcomes/timed_out"]
        == 1
    )
    assert found["outcomes/raised"] == 0
    assert found["outcomes_base/passed"] == 2
    assert found["finish/end_token"] == 3
    assert found["count/problems"] == 4
    assert (found["count/judged"], found["count/solved"]) == (3, 1)
    assert (found["count/generations"], found["count/cached"]) == (3, 1)
    assert found["cost/judging_cpu_seconds"] == 1.5


def test_problems_count_the_same_however_many_tests_they_have() -> None:
    verdicts = [
        verdict("a", Outcome.PASSED, base_passed=1, base_total=1, extra_passed=0, extra_total=0),
        verdict(
            "b", Outcome.WRONG_ANSWER, base_passed=0, base_total=99, extra_passed=0, extra_total=0
        ),
    ]
    found = summary(verdicts=verdicts)
    assert found["tests_passed/base"] == 0.5
    assert "tests_passed/extra" not in found


def test_cached_generations_count_for_tokens_but_not_for_speed_and_cost() -> None:
    found = summary()
    assert found["speed/reading_tokens_per_second"] == 40 / 2
    assert found["speed/decoding_tokens_per_second"] == 20 / 4
    assert found["tokens/new"] == 21 + 21 + 999
    assert found["tokens/shared"] == pytest.approx(0.6)
    assert found["cost/seconds_per_problem"] == 6.0
    assert found["cost/seconds_per_solved_problem"] == 12.0


def test_wall_clock_decides_where_it_is_known() -> None:
    found = summary(generating_seconds=5.0)
    assert found["cost/seconds_per_problem"] == 2.5
    assert found["speed/tokens_per_second"] == 42 / 5


def test_all_cached_tells_no_speed_and_no_cost() -> None:
    found = summary(
        generations=[generation(name, cached=True) for name in "abc"], generating_seconds=0.1
    )
    assert not [name for name in found if name.startswith(("speed/", "cost/seconds"))]


def test_nothing_solved_has_no_cost_per_solved_problem() -> None:
    found = summary(verdicts=[verdict("a", Outcome.RAISED)])
    assert "cost/seconds_per_solved_problem" not in found
    assert found["cost/seconds_per_problem"] == 6.0


def test_several_samples_give_every_k_and_intervals_over_problems() -> None:
    outcomes = {"a": "PPF", "b": "FFF", "c": "PFF", "d": "PPP"}
    verdicts = [
        verdict(name, Outcome.PASSED if mark == "P" else Outcome.DIED, sample=sample)
        for name, marks in outcomes.items()
        for sample, mark in enumerate(marks)
    ]
    found = summary(verdicts=verdicts)
    assert found["pass_at_1/plus"] == pytest.approx(0.5)
    assert found["pass_at_2/plus"] == pytest.approx(fmean([1, 0, 2 / 3, 1]))
    assert found["pass_at_3/plus"] == pytest.approx(0.75)
    assert "pass_at_4/plus" not in found
    expected = bootstrap_interval([2 / 3, 0, 1 / 3, 1])
    bounds = (found["pass_at_1/plus_low"], found["pass_at_1/plus_high"])
    assert bounds == pytest.approx(expected)
    assert pass_rates(verdicts) == pytest.approx({"a": 2 / 3, "b": 0, "c": 1 / 3, "d": 1})


def test_many_samples_give_round_k() -> None:
    verdicts = [verdict("a", Outcome.PASSED, sample=sample) for sample in range(60)]
    found = summary(verdicts=verdicts)
    ks = sorted(int(m[1]) for name in found if (m := re.fullmatch(r"pass_at_(\d+)/plus", name)))
    assert ks == [*range(1, 11), 20, 50]


def test_equal_results_do_not_claim_certainty() -> None:
    verdicts = [verdict(name, Outcome.PASSED, sample=sample) for name in "ab" for sample in (0, 1)]
    assert summary(verdicts=verdicts)["pass_at_2/plus_low"] < 0.5


def test_an_empty_run_has_counts_only() -> None:
    found = summarise([], [], [], [])
    assert set(found.values()) == {0.0}
    assert not [name for name in found if name.startswith(("pass_at", "speed", "format", "tests"))]


def test_names_suit_mlflow_and_values_are_finite() -> None:
    for name, value in summary(generating_seconds=3.0).items():
        assert re.fullmatch(r"[\w/]+", name, re.ASCII), name
        assert isinstance(value, float), name
        assert math.isfinite(value), name


def test_every_metric_is_explained() -> None:
    import experiments.metrics

    table = experiments.metrics.__doc__ or ""
    for name in summary(generating_seconds=3.0):
        section, rest = name.removesuffix("_low").removesuffix("_high").split("/")
        known = [f"`{section}/", f"`{re.sub('_1_.*', '_1_LEVEL', section)}/"]
        known.append(f"`{re.sub('at_[0-9]+', 'at_K', section)}/")
        assert any(text in table for text in known), name
        assert rest in table or section in ("outcomes", "outcomes_base", "finish"), name


def test_summary_does_not_depend_on_order() -> None:
    turned = {key: list(reversed(values)) for key, values in RUN.items()}  # type: ignore[call-overload]
    assert summarise(**turned) == pytest.approx(summary())


def test_comparison_of_verdicts_end_to_end() -> None:
    first = pass_rates([verdict(str(n), Outcome.PASSED) for n in range(40)])
    second = pass_rates(
        [verdict(str(n), Outcome.PASSED if n < 25 else Outcome.DIED) for n in range(40)]
    )
    (answer,) = answers([compare(first, second)])
    assert isinstance(answer.comparison, Comparison)
    assert answer.finding is Finding.WORSE
