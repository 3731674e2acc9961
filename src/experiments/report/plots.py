"""The plots of a report: static SVG whose text stays text and takes the page's colour."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from experiments.report import fidelity
from experiments.report.analysis import ALL_KINDS, BITS, front, kinds
from experiments.report.collect import Collection, Group
from experiments.report.labels import context
from experiments.report.racing import Race
from experiments.stats.columns import MEMORY, PASS, SECONDS, SPEED
from experiments.stats.costs import is_mixed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from experiments.stats.race import Runner

WIDTH = 4.3
"""Inches: a plot fills a phone's width without being shrunk."""

NEARLY_MET = 9.0
"""Points (1/72 inch) between markers whose labels could not be told apart."""

MOST_LINES = 8

PERCENT = (-3.0, 103.0)
"""Limits of an axis of shares, so that a point at its end is whole."""

_INK = "#010203"  # stands for the page's colour of text, whichever that is

COLOURS = ("#3b7dd8", "#d9822b", "#1d9a6c", "#b0529b", "#8a7a1f", "#c8443c", "#3aa3b0", "#7d6bd6")

KIND_COLOURS = {
    "passed": "#1d8a63",
    "passed_format_lost": "#7cc4a4",
    "wrong_answer": "#e0a458",
    "raised": "#cf6f53",
    "timed_out": "#9a6fb0",
    "out_of_memory": "#6a6fc0",
    "died": "#5b6b8c",
    "syntax_error": "#b34a6b",
    "no_code": "#8d8d8d",
    "thought_unfinished": "#b5b5b5",
}


def plots(collection: Collection) -> dict[str, str]:
    """Return the plots by name, each as an SVG document with dark text.

    A plot is left out where there is nothing to draw: no two levels of quantization, no
    times because all generations came from the store.
    """
    drawn: dict[str, str] = {}
    for group in collection.groups:
        for name, plot in _plots_of(group, collection.labels).items():
            drawn[f"{group.dataset}-{name}"] = plot
        for number, race in enumerate(group.races):
            for place, runner in enumerate(race.runners):
                if runner.curve:
                    drawn[race_plot(group, number, place)] = _curve(race, runner)
    return drawn


def race_plot(group: Group, number: int, place: int) -> str:
    """Return the name of the plot of a candidate of one of the group's races."""
    return f"{group.dataset}-race-{number}-{place}"


def inline(svg: str, title: str) -> str:
    """Return an SVG for a page: no prolog, the page's colour, a title for screen readers."""
    body = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    return body.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def standalone(svg: str) -> str:
    """Return an SVG for a file of its own: dark on white."""
    return svg.replace("<svg", '<svg style="background:#fff"', 1)


def _plots_of(group: Group, labels: Sequence[str]) -> dict[str, str]:
    found = {
        "ladder-speed": _ladder(group, labels, "new tokens per second", SPEED.metric),
        "ladder-memory": _ladder(group, labels, "peak memory, MB", MEMORY.metric),
        "fidelity": _fidelity(group),
        "kinds": _kinds(group),
    }
    if not group.race:  # whose candidates are not compared by pass@1
        found |= {
            "ladder-score": _ladder(group, labels, "pass@1, %", PASS.metric),
            "cost-seconds": _cost(group, SECONDS.metric, "seconds per problem"),
            "cost-memory": _cost(group, MEMORY.metric, "peak memory, MB"),
        }
    return {name: plot for name, plot in found.items() if plot}


@dataclass(frozen=True)
class _Point:
    """A number of one level, with the bounds of its interval if it has one."""

    bits: float
    value: float
    low: float | None = None
    high: float | None = None
    is_mixed: bool = False


def _ladder(group: Group, labels: Sequence[str], title: str, metric: str) -> str:
    """Draw a number of the runs against bits per weight, one line for all that is equal otherwise.

    Args:
        group: of runs.
        labels: in which runs differ.
        title: of the number.
        metric: its name.
    """
    is_share = metric == PASS.metric
    lines: dict[str, list[_Point]] = defaultdict(list)
    for run in group.runs:
        if point := _point(run.metrics, run.metrics.get(BITS), metric):
            mixed = not is_share and is_mixed(run.metrics)
            rest = context(run.labels, labels, "quantization")
            lines[rest].append(replace(point, is_mixed=mixed))
    if len({point.bits for points in lines.values() for point in points}) < 2:
        return ""
    with _figure(WIDTH, 2.7 + _legend_height(lines)) as ([ax], save):
        _draw_lines(ax, lines)
        ax.set_xlabel("bits per weight")
        ax.set_ylabel(title)
        if is_share:
            ax.set_ylim(*PERCENT)
        else:
            ax.set_ylim(0, 1.1 * max(point.value for points in lines.values() for point in points))
        _add_legend(ax, lines)
        return save()


def _point(metrics: Mapping[str, float], bits: float | None, metric: str) -> _Point | None:
    """Return a metric of a level; shares as percent, with their interval."""
    value = metrics.get(metric)
    if value is None or bits is None:
        return None
    if metric != PASS.metric:
        return _Point(bits, value)
    low, high = (metrics.get(f"{metric}_{end}", value) for end in ("low", "high"))
    return _Point(bits, 100 * value, 100 * low, 100 * high)


def _fidelity(group: Group) -> str:
    """Draw divergence from the reference and pass@1 of the same levels, one below the other."""
    named = list(zip(fidelity.names(group.fidelities), group.fidelities, strict=True))
    divergences, scores = {}, {}
    for name, each in named:
        divergences[name] = [
            _Point(level.bits, *level.estimates["divergence"]) for level in each.compared
        ]
        found = (_point(level.metrics, level.bits, PASS.metric) for level in each.levels)
        scores[name] = [point for point in found if point]
    if not named:
        return ""
    rows = 2 if any(scores.values()) else 1
    with _figure(WIDTH, 2.2 * rows + _legend_height(divergences), rows) as (axes, save):
        for ax, lines in zip(axes, (divergences, scores), strict=False):
            _draw_lines(ax, lines)
        axes[0].set_ylabel("divergence, nats")
        axes[-1].set_xlabel("bits per weight")
        if rows == 2:
            axes[1].set_ylabel("pass@1, %")
            axes[1].set_ylim(*PERCENT)
        _upwards(axes[0], divergences)
        _add_legend(axes[-1], divergences)
        return save()


def _draw_lines(ax: Axes, lines: Mapping[str, Sequence[_Point]]) -> None:
    """Draw numbers against bits per weight, one line each, with their intervals if they are few."""
    many = len(lines) > MOST_LINES
    for index, (name, points) in enumerate(lines.items()):
        points = sorted(points, key=lambda each: each.bits)
        colour = _INK if many else COLOURS[index % len(COLOURS)]
        shift = 0.0 if many else 0.06 * (index - (len(lines) - 1) / 2)
        x = [point.bits + shift for point in points]
        y = [point.value for point in points]
        ax.plot(x, y, "o-", color=colour, ms=4, lw=1.4, alpha=0.35 if many else 1.0, label=name)
        for at, point in zip(x, points, strict=True):
            if point.is_mixed:
                ax.plot([at], [point.value], "s", color=colour)
            if point.low is not None and point.high is not None and not many:
                ax.vlines(at, point.low, point.high, color=colour, lw=1, alpha=0.5)


def _upwards(ax: Axes, lines: Mapping[str, Sequence[_Point]]) -> None:
    """Let numbers begin at 0, or stand on a logarithmic scale where they differ widely."""
    points = [point for each in lines.values() for point in each]
    if _differ_widely([point.value for point in points]):
        ax.set_yscale("log")
        _plain(ax.yaxis)
    else:
        ax.set_ylim(0, 1.1 * max(point.high or point.value for point in points))


def _legend_height(lines: Mapping[str, object]) -> float:
    return 0.0 if not 1 < len(lines) <= MOST_LINES else 0.17 * len(lines)


def _add_legend(ax: Axes, lines: Mapping[str, object]) -> None:
    """Name the lines below the axis, if there are several and not too many."""
    if _legend_height(lines):
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.22), frameon=False, borderaxespad=0)


def _plain(axis: Axis) -> None:
    """Write the powers of ten of a logarithmic axis as numbers, since no text is parsed as math."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def _differ_widely(numbers: Sequence[float]) -> bool:
    """Return whether a scale from 0 up would crowd the small ones together."""
    return min(numbers) > 0 and max(numbers) / min(numbers) > 20


def _cost(group: Group, metric: str, title: str) -> str:
    """Draw pass@1 against a cost; points that no other beats are filled and joined."""
    runs = [
        (number, run)
        for number, run in enumerate(group.runs, start=1)
        if {metric, PASS.metric} <= run.metrics.keys()
    ]
    if len(runs) < 2:
        return ""
    points = [(run.metrics[metric], 100 * run.metrics[PASS.metric]) for _, run in runs]
    best = front(points)
    with _figure(WIDTH, 2.7) as ([ax], save):
        chosen = sorted({point for point, kept in zip(points, best, strict=True) if kept})
        if len(chosen) > 1:
            ax.plot(*zip(*chosen, strict=True), "-", color=COLOURS[2], lw=1.4, zorder=1)
        marks = ["s" if is_mixed(run.metrics) else "o" for _, run in runs]
        for (x, y), kept, mark in zip(points, best, marks, strict=True):
            colour = COLOURS[2] if kept else "#8d8d8d"
            face = colour if kept else "none"
            ax.plot([x], [y], mark, ms=6, mec=colour, mfc=face, zorder=2)
        costs = [cost for cost, _ in points]
        if _differ_widely(costs):
            ax.set_xscale("log")
            _plain(ax.xaxis)
            ax.margins(x=0.12)
        else:
            ax.set_xlim(0, 1.15 * max(costs))
        ax.set_ylim(-3, 108)
        ax.set_xlabel(title)
        ax.set_ylabel("pass@1, %")
        numbered = [(number, *point) for (number, _), point in zip(runs, points, strict=True)]
        few = len(runs) <= 30
        _number(ax, [each for each, kept in zip(numbered, best, strict=True) if kept or few])
        return save()


def _number(ax: Axes, points: Sequence[tuple[int, float, float]]) -> None:
    """Write numbers beside points; points that nearly meet have one label with all of theirs.

    Args:
        ax: whose limits are set.
        points: a number, and where its point is.
    """
    from matplotlib.transforms import Bbox

    scale = 72 / ax.figure.dpi  # to points, as sizes of letters are given
    meeting: list[list[tuple[int, float, float]]] = []
    for number, x, y in points:
        across, up = scale * ax.transData.transform((x, y))
        near = [
            each
            for each in meeting
            if any(math.hypot(a - across, u - up) < NEARLY_MET for _, a, u in each)
        ]
        joined = [point for each in near for point in each] + [(number, across, up)]
        meeting = [each for each in meeting if each not in near] + [joined]
    taken: list[Bbox] = []
    for each in meeting:
        text = "#" + spans(sorted(number for number, _, _ in each))
        width, height = 4.2 * len(text), 8.0
        right, top = max(a for _, a, _ in each), max(u for _, _, u in each)
        left, bottom = min(a for _, a, _ in each), min(u for _, _, u in each)
        corners = [
            (right + 4, top + 2),
            (right + 4, bottom - 2 - height),
            (left - 4 - width, top + 2),
            (left - 4 - width, bottom - 2 - height),
            (right + 4, top + 2 + height),
            (right + 4, bottom - 2 - 2 * height),
        ]
        boxes = [Bbox.from_bounds(a, u, width, height) for a, u in corners]
        box = next((box for box in boxes if not box.count_overlaps(taken)), boxes[0])
        taken.append(box)
        place = ax.transData.inverted().transform((box.x0 / scale, box.y0 / scale))
        ax.text(place[0], place[1], text, fontsize=7)


def spans(numbers: Sequence[int]) -> str:
    """Return rising numbers, neighbours as spans: `1–4,7`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}–{p[-1]}" for p in parts)


def _curve(race: Race, runner: Runner) -> str:
    """Draw how far a candidate is ahead of the best of the others, and what is not known."""
    x = [point.problems for point in runner.curve]
    ahead = [-100 * point.behind for point in runner.curve]
    low = [-100 * point.high for point in runner.curve]
    high = [-100 * point.low for point in runner.curve]
    with _figure(WIDTH, 1.9) as ([ax], save):
        ax.fill_between(x, low, high, color=COLOURS[0], alpha=0.2, lw=0)
        ax.plot(x, ahead, "-", color=COLOURS[0], lw=1.4)
        ax.vlines(x, low, high, color=COLOURS[0], lw=0.8, alpha=0.5)
        for at, total in zip(x, ahead, strict=True):
            if at == runner.settled_at:
                ax.plot([at], [total], "o", color=COLOURS[0], ms=5)
        ax.axhline(0, color=_INK, lw=0.8)
        ax.axhline(-100 * race.margin, color=_INK, lw=0.8, ls="--")
        if runner.problems < race.problems:
            ax.axvspan(runner.problems, race.problems, color="#8d8d8d", alpha=0.18, lw=0)
        ax.set_xlim(0, race.problems)
        ax.set_ylim(*_reach(race))
        ax.set_xlabel("problems")
        ax.set_ylabel("points")
        return save()


def _reach(race: Race) -> tuple[float, float]:
    """Return the limits of all curves of a race, so that they can be held against each other."""
    points = [point for runner in race.runners for point in runner.curve]
    lowest = min(-100 * point.high for point in points)
    highest = max(-100 * point.low for point in points)
    return lowest - 5, highest + 5


def _kinds(group: Group) -> str:
    """Draw what became of the samples of each run, as one bar each."""
    runs = group.runs
    counted = [kinds(run) for run in runs]
    present = [kind for kind in ALL_KINDS if any(count[kind] for count in counted)]
    if not present:
        return ""
    height = 0.9 + 0.2 * len(runs) + 0.17 * ((len(present) + 1) // 2)
    with _figure(WIDTH, height) as ([ax], save):
        left = [0.0] * len(runs)
        totals = [max(1, sum(count.values())) for count in counted]
        for kind in present:
            widths = [100 * c[kind] / t for c, t in zip(counted, totals, strict=True)]
            label = kind.replace("_", " ")
            ax.barh(range(len(runs)), widths, 0.78, left, color=KIND_COLOURS[kind], label=label)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        short = [run.name if len(run.name) <= 26 else f"…{run.name[-25:]}" for run in runs]
        names = [f"{name}  #{number}" for number, name in enumerate(short, start=1)]
        ax.set_yticks(range(len(runs)), names)
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()
        ax.set_xlim(0, 100)
        ax.grid(visible=False)
        ax.set_xlabel("% of samples")
        below = -0.42 / (0.2 * len(runs) + 0.3)
        ax.legend(loc="upper right", bbox_to_anchor=(1, below), ncols=2, frameon=False)
        return save()


@contextmanager
def _figure(
    width: float, height: float, rows: int = 1
) -> Iterator[tuple[Sequence[Axes], Callable[[], str]]]:
    """Yield axes to draw on, one below the other, and a function that returns the drawing as SVG.

    It draws on a canvas of its own, so no display is needed and no state is left behind.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 8,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _INK,
        "grid.alpha": 0.12,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "legend.fontsize": 7,
        "savefig.transparent": True,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        axes = [*figure.subplots(rows, sharex=True, squeeze=False)[:, 0]]

        def save() -> str:
            buffer = io.StringIO()
            figure.savefig(
                buffer, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None}
            )
            return buffer.getvalue()

        yield axes, save
