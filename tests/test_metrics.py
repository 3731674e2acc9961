"""Metrics: formulas against scipy and hand-made cases, and what a run's summary says."""

import math
import re
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.records import FinishReason, Generation, Outcome, Problem, Solution, Verdict
from experiments.stats.costs import Measured, is_mixed
from experiments.stats.intervals import bootstrap_interval, wilson_interval
from experiments.stats.metrics import pass_all_k, pass_at_k, pass_rates, summarise

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


@pytest.mark.parametrize("n", range(1, 8))
def test_pass_all_k_is_the_share_of_draws_in_which_all_pass(n: int) -> None:
    for passed in range(n + 1):
        for k in range(1, n + 1):
            assert pass_all_k(n, passed, k) == pytest.approx(comb(passed, k) / comb(n, k))


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
        "prefill_seconds": 2.0,
        "decode_seconds": 4.0,
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


EVERYTHING = Measured(3.0, joules=9.0, usd_per_token=(1e-6, 2e-6))


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


def test_cached_generations_without_a_clock_count_for_tokens_alone() -> None:
    found = summary()
    assert found["speed/prefill_tokens_per_second"] == 40 / 2
    assert found["speed/decode_tokens_per_second"] == 20 / 4
    assert found["tokens/new"] == 21 + 21 + 999
    assert found["tokens/shared"] == pytest.approx(0.6)
    assert found["cost/seconds_per_problem"] == 6.0
    assert found["cost/seconds_per_solved_problem"] == 12.0


def stored(name: str, seconds: float, made_on: str) -> Generation:
    return replace(generation(name, cached=True), wall_seconds=seconds, made_on=made_on)


def test_generations_from_the_store_cost_what_they_did_when_they_were_made() -> None:
    kept = [stored("a", 1.0, "here"), stored("b", 3.0, "here")]
    found = summary(generations=[*kept, generation("c")], measured=Measured(4.0, "here"))
    assert found["speed/tokens_per_second"] == 63 / 8
    assert found["cost/seconds_per_problem"] == found["cost/seconds_per_completion"] == 8 / 3
    assert found["cost/seconds_per_solved_problem"] == 8.0
    assert not is_mixed(found)
    alone = summary(generations=kept, measured=Measured(0.01, "here"))
    assert alone["cost/seconds_per_problem"] == 2.0  # and nothing was generated


def test_what_was_made_elsewhere_or_has_no_clock_is_counted() -> None:
    kept = [stored("a", 1.0, "another"), stored("b", 3.0, "here"), generation("c", cached=True)]
    found = summary(generations=kept, measured=Measured(0.0, "here"))
    assert (found["count/elsewhere"], found["count/untimed"]) == (1, 1)
    assert is_mixed(found)
    assert is_mixed({"count/cached": 1.0}), "runs of earlier versions"


def test_equal_samples_are_paid_once() -> None:
    one = generation("a", wall_seconds=2.0)
    found = summary(generations=[one, replace(one, sample=1)], measured=Measured(2.0))
    assert found["speed/tokens_per_second"] == 21 / 2


def test_energy_and_money_per_solved_problem() -> None:
    paid = Measured(6.0, joules=30.0, usd_per_token=(1e-3, 1e-2))
    found = summary(measured=paid)
    assert found["cost/joules_per_solved_problem"] == 30.0  # `a`, made in this run
    assert found["cost/usd"] == pytest.approx(300e-3 + (21 + 21 + 999) * 1e-2)
    assert found["cost/usd_per_solved_problem"] == found["cost/usd"]
    assert not [name for name in summary() if "joules" in name or "usd" in name]


def test_wall_clock_decides_where_it_is_known() -> None:
    found = summary(measured=Measured(5.0))
    assert found["cost/seconds_per_problem"] == 2.5
    assert found["speed/tokens_per_second"] == 42 / 5


def test_all_cached_tells_no_speed_and_no_cost() -> None:
    found = summary(
        generations=[generation(name, cached=True) for name in "abc"], measured=Measured(0.1)
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
    assert found["pass_all_2/plus"] == pytest.approx(fmean([1 / 3, 0, 0, 1]))
    assert found["pass_all_3/plus"] == pytest.approx(0.25)
    assert "pass_all_1/plus" not in found
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
    for name, value in summary(measured=EVERYTHING).items():
        assert re.fullmatch(r"[\w/]+", name, re.ASCII), name
        assert isinstance(value, float), name
        assert math.isfinite(value), name


def test_every_metric_is_explained() -> None:
    import experiments.stats.metrics

    table = experiments.stats.metrics.__doc__ or ""
    for name in summary(measured=EVERYTHING):
        section, rest = name.removesuffix("_low").removesuffix("_high").split("/")
        known = [f"`{section}/", f"`{re.sub('_1_.*', '_1_LEVEL', section)}/"]
        known.append(f"`{re.sub('_[0-9]+$', '_K', section)}/")
        assert any(text in table for text in known), name
        assert rest in table or section in ("outcomes", "outcomes_base", "finish"), name


def test_summary_does_not_depend_on_order() -> None:
    turned = {key: list(reversed(values)) for key, values in RUN.items()}  # type: ignore[call-overload]
    assert summarise(**turned) == pytest.approx(summary())
