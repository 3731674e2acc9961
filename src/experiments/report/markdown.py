"""The leaderboard and the comparisons as Markdown, to paste into an issue or a paper's notes."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.report import analysis, fidelity, racing, thinking
from experiments.report.caveats import caveats
from experiments.report.collect import Collection, Group, Run
from experiments.report.recommending import advised, recommend
from experiments.stats.columns import Column, columns


def markdown(collection: Collection) -> str:
    """Return the tables of all data sets."""
    return "\n".join(_group(group, collection.labels) for group in collection.groups)


def _group(group: Group, labels: Sequence[str]) -> str:
    lines = [f"## {_text(group.dataset)}", "", _text(analysis.headline(group)), ""]
    for race in group.races:
        lines += [f"**race {_text(race.folder.name)}**", ""]
        lines += [f"- {_text(told)}" for told in racing.told(race)] + [""]
    chosen = labels or ["model"]
    shown = columns("markdown", [run.metrics for run in group.runs])
    head = [*chosen]
    for column in shown:
        head += [column.title, *(["95 %"] if column.interval else [])]
    lines.append(_line(head))
    lines.append(_line(["---" if i < len(chosen) else "---:" for i in range(len(head))]))
    lines += [_line(_row(run, chosen, shown)) for run in group.runs]
    for axis in analysis.axes(group, tuple(labels)):
        lines += ["", f"**{_text(axis.label)}**", ""]
        lines += [f"- {_text(analysis.sentence(pair))}." for pair in axis.overall]
    for held in group.fidelities:
        lines += ["", f"**fidelity: {_text(fidelity.question(held))}**", ""]
        lines += [f"- {_text(fidelity.sentence(level))}" for level in held.compared]
    if worth := thinking.worth(group, labels):
        lines += ["", "**what thinking is worth**", ""]
        for each in worth:
            said = (thinking.finding(each), thinking.costs(each), thinking.remedy(each))
            lines.append(f"- {_text(' '.join(filter(None, said)))}")
    if advice := recommend(group):
        lines += ["", "**recommended**", ""]
        lines += [f"- {_text(f'{each.limit}: {advised(each)}')}." for each in advice]
    notes = sorted({run.report.note for run in group.runs if run.report.note})
    notes = [*caveats(group), *notes]
    lines += [f"\n{_text(note)}" for note in notes]
    return "\n".join(lines) + "\n"


def _row(run: Run, labels: Sequence[str], shown: Sequence[Column]) -> list[str]:
    row = [run.labels.get(label, "") for label in labels]
    for column in shown:
        row.append(column.number(run.metrics))
        row += [column.bounds(run.metrics)] if column.interval else []
    return row


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """Return a text that neither ends a cell nor becomes markup."""
    flat = " ".join(text.split())
    for character in "\\|*_`[]":
        flat = flat.replace(character, f"\\{character}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
