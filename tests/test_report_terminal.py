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
    assert "USD" in titles([run("", engine__cost_usd=0.12)], 200, monkeypatch)
    assert "USD" not in titles([run("q4_k_m")], 200, monkeypatch)
