"""What comparisons say, in sentences on the screen."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import results
from experiments.report import analysis, racing, thinking
from experiments.report.collect import Collection, Group
from experiments.report.recommending import advised, recommend
from experiments.stats.comparing import Finding

MOST_SENTENCES = 6
"""Per axis; the report has them all."""


def show_comparisons(collection: Collection) -> None:
    """Print the main result of each data set, and each axis with its levels compared.

    Pairs that are decided come first, the largest difference before others.
    """
    labels = [label for label in collection.labels if label != "dataset"]
    for group in collection.groups:
        if len(group.runs) < 2:
            continue
        results.print(Text(f"\n{analysis.headline(group)}", style="bold"))
        for line in racing.told(group.race) if group.race else ():
            results.print(Text(f"  {line}"), soft_wrap=True)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for axis in analysis.axes(group, tuple(labels)):
            pairs = sorted(axis.overall, key=_of_interest)
            for number, pair in enumerate(pairs[:MOST_SENTENCES]):
                style = "" if pair.comparison.finding is not Finding.UNKNOWN else "dim"
                told = Text(analysis.sentence(pair), style=style)
                table.add_row("" if number else axis.label, told)
            if len(pairs) > MOST_SENTENCES:
                more = len(pairs) - MOST_SENTENCES
                table.add_row("", Text(f"and {more} more pairs in the report", style="dim"))
        results.print(table)
        for each in thinking.worth(group, labels)[:MOST_SENTENCES]:
            said = f"{thinking.costs(each)} {thinking.remedy(each)}".rstrip()
            results.print(Text(said), soft_wrap=True)
        _show_advice(group)


def _show_advice(group: Group) -> None:
    """Print which run to take, for the memory and the patience that one has."""
    advice = recommend(group)
    if not advice:
        return
    results.print(Text("\nRecommended", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for each in advice:
        table.add_row(each.limit, advised(each))
    results.print(table)


def _of_interest(pair: analysis.Pair) -> tuple[bool, float]:
    return pair.comparison.finding is Finding.UNKNOWN, -abs(pair.comparison.difference)
