"""Columns in which runs are compared: one definition for every view of them.

A column names a metric (see `metrics`), its title, how its numbers are written, what it means
and where it is shown: `terminal`, `page`, `markdown`, `mlflow`. The most important stands
first, since a narrow terminal drops the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.stats.costs import is_mixed

View = Literal["terminal", "page", "markdown", "mlflow"]
_ALL: tuple[View, ...] = ("terminal", "page", "markdown", "mlflow")
_TABLES: tuple[View, ...] = ("terminal", "page", "markdown")
_WIDE: tuple[View, ...] = ("page", "markdown")
_PASS_AT_K = re.compile(r"pass_at_(\d+)/plus")


@dataclass(frozen=True)
class Column:
    """A metric as people read it.

    Attributes:
        metric: its name.
        title: of the column.
        legend: what it says, in a sentence for people.
        digits: behind the decimal point; numbers from 100 on have none.
        percent: the metric is a share and shown as percent.
        interval: the bounds of its 95 % interval are shown beside it.
        if_same: it is shown although all runs have the same value.
        if_zero: it is shown although no run has any.
        measured: the number is of a machine and its settings; see `MIXED`.
        views: where it is shown.
    """

    metric: str
    title: str
    legend: str
    digits: int = 0
    percent: bool = False
    interval: bool = False
    if_same: bool = True
    if_zero: bool = True
    measured: bool = False
    views: tuple[View, ...] = _TABLES

    def number(self, metrics: Mapping[str, float]) -> str:
        """Return the number as it is written; nothing if the run does not have it."""
        value = metrics.get(self.metric)
        if value is None:
            return ""
        if self.percent:
            return f"{100 * value:.{self.digits}f}"
        mark = "*" if self.measured and is_mixed(metrics) else ""
        return f"{value:,.{self.digits if abs(value) < 100 else 0}f}{mark}"

    def bounds(self, metrics: Mapping[str, float]) -> str:
        """Return the interval as it is written; nothing if the column has none."""
        low, high = (metrics.get(f"{self.metric}_{end}") for end in ("low", "high"))
        if not self.interval or low is None or high is None:
            return ""
        return f"{100 * low:.0f}–{100 * high:.0f}"


def _share(metric: str, title: str, legend: str, views: tuple[View, ...] = _TABLES) -> Column:
    return Column(metric, title, legend, 1, percent=True, views=views)


PASS = Column(
    "pass_at_1/plus",
    "pass@1 %",
    "problems solved by one completion: base and extra tests pass; with its 95 % interval "
    "(Wilson’s for one sample per problem, else bootstrap over problems)",
    1,
    percent=True,
    interval=True,
    views=_ALL,
)
SPEED = Column(
    "speed/tokens_per_second",
    "tokens/s",
    "new tokens of all completions over the wall clock",
    measured=True,
    views=_ALL,
)
SECONDS = Column(
    "cost/seconds_per_problem",
    "s/problem",
    "wall clock per problem, all of its samples together",
    2,
    measured=True,
    views=_ALL,
)
MEMORY = Column(
    "engine/peak_memory_megabytes",
    "RAM MB",
    "the most memory that the model’s process held",
    measured=True,
    views=_ALL,
)
PER_SOLVED = Column(
    "cost/seconds_per_solved_problem",
    "s/solved",
    "wall clock per problem that is solved; samples count in part",
    2,
    measured=True,
    views=_ALL,
)
CUT = Column(
    "finish/token_limit",
    "cut",
    "completions that were cut by sampling.max_tokens",
    if_zero=False,
)

COLUMNS: tuple[Column, ...] = (
    PASS,
    Column("count/problems", "problems", "problems that the run was asked", if_same=False),
    Column("weights/megabytes", "file MB", "size of the GGUF file", 1, if_same=False),
    Column(
        "weights/bits_per_weight",
        "bits",
        "bits per weight, as measured over the file’s tensors",
        2,
        if_same=False,
    ),
    SPEED,
    MEMORY,
    Column(
        "fidelity/divergence",
        "KL nats",
        "mean divergence per token from the reference level, on the same texts",
        4,
        views=_WIDE,
    ),
    CUT,
    Column("cost/usd", "USD", "what the server’s tokens cost, at the configured prices", 4),
    _share("published/plus", "published %", "pass@1 that others published for this model", _WIDE),
    _share("pass_at_1/base", "base %", "pass@1 on the data set’s own tests alone", _ALL),
    _share("published/base", "published base %", "the published pass@1 on base tests", _WIDE),
    _share("pass_at_1_easy/plus", "easy", "pass@1 on easy problems, in percent", ("terminal",)),
    _share("pass_at_1_medium/plus", "medium", "the same on medium ones", ("terminal",)),
    _share("pass_at_1_hard/plus", "hard", "the same on hard ones", ("terminal",)),
    _share("tests_passed/all", "tests %", "tests that a program passes, mean over problems"),
    _share(
        "format/kept",
        "format %",
        "completions in the asked format: one closed Python block with the function",
        _ALL,
    ),
    SECONDS,
    PER_SOLVED,
    Column(
        "cost/joules_per_solved_problem",
        "J/solved",
        "energy of the processor per problem that is solved, where the machine measures it",
        1,
    ),
    Column(
        "cost/usd_per_solved_problem",
        "USD/solved",
        "price of the tokens per problem that is solved",
        4,
    ),
)
"""All columns, in the order of importance. Those of several samples come behind pass@1."""

MIXED = (
    "Completions from the store were in part made on another machine or with other settings, "
    "or what they cost is not known."
)
"""What a mark behind a measured number means."""


def percent(share: float | None) -> str:
    """Return a share as it is written; nothing if it is not known."""
    return "" if share is None else f"{100 * share:.1f}"


def columns(view: View, runs: Sequence[Mapping[str, float]]) -> list[Column]:
    """Return the columns of a view that say something about these runs.

    Columns that no run fills are left out, and so are some in which all runs are equal.

    Args:
        view: where they are shown.
        runs: metrics of each run.
    """
    found = []
    for column in (PASS, *_of_samples(runs), *COLUMNS[1:]):
        values = {run.get(column.metric) for run in runs}
        said = values != {None} and (column.if_zero or any(values))
        if view in column.views and said and (column.if_same or len(values) > 1):
            found.append(column)
    return found


def _of_samples(runs: Sequence[Mapping[str, float]]) -> list[Column]:
    """Return pass@k and pass^k for the largest k that most runs have samples for."""
    ks = [{int(m[1]) for name in run if (m := _PASS_AT_K.fullmatch(name))} for run in runs]
    common = set.intersection(*ks) if ks else set()
    k = max(common - {1}, default=0) or max(set().union(*ks) - {1}, default=0)
    if not k:
        return []
    return [
        _share(f"pass_at_{k}/plus", f"pass@{k} %", f"problems that one of {k} completions solves"),
        _share(f"pass_all_{k}/plus", f"pass^{k} %", f"problems that all of {k} completions solve"),
    ]


def mlflow_columns() -> tuple[str, ...]:
    """Return the columns of a sweep's view in MLflow, as MLflow names them."""
    settings = tuple(f"params.`{choice}.name`" for choice in ("model", "quantization", "prompt"))
    metrics: list[str] = []
    for column in COLUMNS:
        if "mlflow" in column.views:
            ends = ("", "_low", "_high") if column.interval else ("",)
            metrics += [f"metrics.`{column.metric}{end}`" for end in ends]
    return settings + tuple(metrics)
