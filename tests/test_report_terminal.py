"""The table that ends a run: which columns it has, and what gives way on a narrow terminal."""

from pathlib import Path

import pytest

from experiments.records import RunReport
from experiments.report import terminal


def run(quantization: str, prompt: str = "plain", **metrics: float) -> RunReport:
    numbers = {
        "pass_at_1/plus": 0.9,
        "pass_at_1/plus_low": 0.8,
        "pass_at_1/plus_high": 0.95,
        "pass_at_1/base": 0.92,
        "weights/megabytes": 4370.0,
        "weights/bits_per_weight": 4.83,
        "speed/tokens_per_second": 21.0,
        "engine/peak_memory_megabytes": 5120.0,
        "cost/seconds_per_problem": 9.5,
        **{name.replace("__", "/"): value for name, value in metrics.items()},
    }
    labels = {"model": "m", "quantization": quantization, "prompt": prompt, "dataset": "problems"}
    return RunReport(numbers, Path("outputs"), labels)


def titles(runs: list[RunReport], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown: list[str] = []
    monkeypatch.setattr(terminal.results, "width", width)
    monkeypatch.setattr(
        terminal.results,
        "print",
        lambda *what, **_: shown.extend(
            str(column.header) for each in what for column in getattr(each, "columns", [])
        ),
    )
    terminal.show(runs)
    return shown


LADDER = ["quantization", "pass@1 %", "file MB", "bits", "tokens/s", "RAM MB"]


@pytest.mark.parametrize("width", [80, 200])
def test_a_ladder_shows_size_bits_speed_memory_and_rate_even_when_narrow(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = run("q2_k", weights__megabytes=2700.0, weights__bits_per_weight=3.0)
    assert titles([run("q4_k_m"), small], width, monkeypatch)[:6] == LADDER


def test_what_runs_share_of_their_weights_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = titles([run("q4_k_m"), run("q4_k_m", "cot")], 200, monkeypatch)
    assert shown[:4] == ["prompt", "pass@1 %", "tokens/s", "RAM MB"]


def test_money_is_shown_where_it_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "USD" in titles([run("", cost__usd=0.12)], 200, monkeypatch)
    assert "USD" not in titles([run("q4_k_m")], 200, monkeypatch)


def test_pass_at_1_stays_and_names_give_way_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a_model_with_a_name_that_is_far_too_long_for_any_terminal"
    shown = titles([run("q4_k_m", name), run("q2_k", f"{name}_2")], 80, monkeypatch)
    assert "pass@1 %" in shown


def test_a_table_is_never_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal.results, "width", 80)
    terminal.show([run("q4_k_m", "long-" * 30), run("q2_k", "other-" * 30)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "90.0 80–95" in line]
    assert len(lines) == 2
    assert all(len(line.rstrip()) <= 80 for line in lines)


def test_pass_at_1_stays_beside_more_labels_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [run("q8_0"), run("q4_0")]
    for number, each in enumerate(many):
        each.labels.update({f"sampling.{name}": str(number) for name in "abcdefghijkl"})
    monkeypatch.setattr(terminal.results, "width", 80)
    terminal.show(many)
    said = capsys.readouterr().out
    assert "pass@1 %" in said
    assert said.count("90.0 80–95") == 2
    assert "No room for sampling.h, sampling.i" in said


def test_completions_that_were_cut_are_told_as_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.show([run("q8_0", finish__token_limit=3.0, count__generations=60.0)])
    assert "3 of 60 completions were cut by sampling.max_tokens" in capsys.readouterr().err
    terminal.show([run("q8_0", finish__token_limit=0.0, count__generations=60.0)])
    assert "cut" not in capsys.readouterr().err


def test_a_speed_that_was_measured_elsewhere_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show([run("q8_0", count__elsewhere=4.0, count__untimed=0.0)])
    told = capsys.readouterr().out
    assert "21*" in told
    assert "* Completions from the store were in part made on another machine" in told


def test_several_samples_show_what_one_of_them_and_all_of_them_solve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = run("q8_0", pass_at_5__plus=0.95, pass_at_2__plus=0.92, pass_all_5__plus=0.5)
    assert titles([several], 200, monkeypatch)[:3] == ["pass@1 %", "pass@5 %", "pass^5 %"]
