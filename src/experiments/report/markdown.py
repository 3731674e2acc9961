"""The leaderboard and the comparisons as Markdown, to paste into an issue or a paper's notes."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.report import analysis
from experiments.report.collect import Collection, Group, Run
from experiments.report.plots import MEMORY, SECONDS, SPEED


def markdown(collection: Collection) -> str:
    """Return the tables of all data sets."""
    labels = [label for label in collection.labels if label != "dataset"]
    return "\n".join(_group(group, labels) for group in collection.groups)


def _group(group: Group, labels: Sequence[str]) -> str:
    lines = [f"## {_text(group.dataset)}", "", _text(analysis.headline(group)), ""]
    chosen = labels or ["model"]
    head = [*chosen, "pass@1 %", "95 %", "published %", "base %", "format %", "tokens/s"]
    head += ["s/problem", "MB"]
    rows = [_row(run, chosen) for run in group.runs]
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    lines.append(_line([head[i] for i in kept]))
    lines.append(_line(["---" if i < len(chosen) else "---:" for i in kept]))
    lines += [_line([row[i] for i in kept]) for row in rows]
    for axis in analysis.axes(group, labels):
        lines += ["", f"**{_text(axis.label)}**", ""]
        lines += [f"- {_text(analysis.sentence(pair))}." for pair in axis.overall]
    notes = sorted({run.report.note for run in group.runs if run.report.note})
    lines += [f"\n{_text(note)}" for note in notes]
    return "\n".join(lines) + "\n"


def _row(run: Run, labels: Sequence[str]) -> list[str]:
    def percent(name: str) -> str:
        return f"{100 * run.metrics[name]:.1f}" if name in run.metrics else ""

    def number(name: str, digits: int) -> str:
        return f"{run.metrics[name]:.{digits}f}" if name in run.metrics else ""

    low, high = (run.metrics.get(f"pass_at_1/plus_{end}") for end in ("low", "high"))
    interval = f"{100 * low:.0f}–{100 * high:.0f}" if low is not None and high is not None else ""
    known = analysis.published(run)
    return [
        *(run.labels.get(label, "") for label in labels),
        percent("pass_at_1/plus"),
        interval,
        "" if known is None else f"{known:.1f}",
        percent("pass_at_1/base"),
        percent("format/kept"),
        number(SPEED, 0),
        number(SECONDS, 2),
        number(MEMORY, 0),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """Return a text that neither ends a cell nor becomes markup."""
    flat = " ".join(text.split())
    for character in "\\|*_`[]":
        flat = flat.replace(character, f"\\{character}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
