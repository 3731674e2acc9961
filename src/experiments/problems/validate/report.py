"""What a validation found, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.environment.terminal import counted


@dataclass(frozen=True)
class Finding:
    """Something to be put right.

    Attributes:
        where: a problem's id or file, or the data set.
        what: what is wrong and what to do, in words.
    """

    where: str
    what: str


@dataclass(frozen=True)
class Survivor:
    """A mutant that passed some tests which it should not pass.

    Attributes:
        where: file and line, or the line of the reference.
        change: see `mutation.Mutant`.
        passes_extra: it passed the extra tests, too; else it survives the base tests only.
        reason: why it is called equivalent; empty if it is not.
    """

    where: str
    change: str
    passes_extra: bool
    reason: str = ""


@dataclass(frozen=True)
class MutationScore:
    """What became of the mutants of one problem's reference.

    Attributes:
        mutants: all of them.
        equivalent: those that are listed as equivalent to the reference, and survived.
        killed_by_base: by the base tests alone.
        killed: by base and extra tests together.
        survivors: that the base tests or all tests did not kill.
    """

    problem_id: str
    mutants: int
    equivalent: int
    killed_by_base: int
    killed: int
    survivors: tuple[Survivor, ...] = ()

    @property
    def counted(self) -> int:
        """Mutants that are not equivalent."""
        return self.mutants - self.equivalent

    @property
    def base_share(self) -> float:
        """Share that the base tests kill, of those that are not equivalent."""
        return self.killed_by_base / self.counted if self.counted else 1.0

    @property
    def share(self) -> float:
        """Share that all tests kill, of those that are not equivalent."""
        return self.killed / self.counted if self.counted else 1.0


@dataclass(frozen=True)
class Report:
    """The outcome of a validation.

    Attributes:
        dataset: its name.
        problems: number of problems that were looked at.
        findings: what is to be put right.
        scores: per problem, in the order of the data set.
        notes: what was not checked, and why.
    """

    dataset: str
    problems: int
    findings: tuple[Finding, ...]
    scores: tuple[MutationScore, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is nothing to be put right."""
        return not self.findings

    @property
    def total(self) -> MutationScore:
        """The mutants of all problems together."""
        return added(self.dataset, self.scores)


def added(name: str, scores: Iterable[MutationScore]) -> MutationScore:
    """Return scores added up under a name."""
    scores = list(scores)
    return MutationScore(
        name,
        sum(score.mutants for score in scores),
        sum(score.equivalent for score in scores),
        sum(score.killed_by_base for score in scores),
        sum(score.killed for score in scores),
    )


def show(report: Report, console: Console, details: bool = True) -> None:
    """Print a report: the table of mutants, the survivors, the findings.

    Args:
        report: what to print.
        console: where to.
        details: show each problem and survivor; else only sums.
    """
    if report.scores:
        console.print(_table(report, details))
    if details:
        _show_survivors(report.scores, console)
    for note in report.notes:
        console.print(f"[dim]note:[/] {escape(note)}", soft_wrap=True)
    for finding in report.findings:
        console.print(
            f"[red]✗[/] [bold]{escape(finding.where)}[/]: {escape(finding.what)}", soft_wrap=True
        )
    problems = counted(report.problems, "problem")
    if report.ok:
        console.print(f"[green]✓[/] {report.dataset}: {problems}, no findings")
    else:
        findings = counted(len(report.findings), "finding")
        console.print(f"[red]✗[/] {report.dataset}: {problems}, {findings}")


def percent(share: float) -> str:
    """Return a share in percent with one digit, never rounded up to 100."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"


def _table(report: Report, details: bool) -> Table:
    title = f"Mutants killed by the tests of {report.dataset}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("problem", no_wrap=True)
    for name in ("mutants", "equivalent", "base kills", "+ extra", "survive"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for score in report.scores if details else ():
        table.add_row(*_row(score))
    table.add_section()
    groups = _groups(report.scores)
    if len(groups) > 1:
        for name, scores in groups.items():
            table.add_row(*_row(added(name, scores)))
        table.add_section()
    table.add_row(*_row(added("all", report.scores)), style="bold")
    return table


def _groups(scores: Sequence[MutationScore]) -> dict[str, list[MutationScore]]:
    """Return the scores by what stands before the slash of their ids."""
    groups: dict[str, list[MutationScore]] = {}
    for score in scores:
        groups.setdefault(score.problem_id.partition("/")[0], []).append(score)
    return groups


def _row(score: MutationScore) -> tuple[str, ...]:
    left = score.counted - score.killed
    return (
        score.problem_id,
        str(score.mutants),
        str(score.equivalent or ""),
        percent(score.base_share),
        percent(score.share),
        f"[red]{left}[/]" if left else "",
    )


def _show_survivors(scores: Iterable[MutationScore], console: Console) -> None:
    titles = {
        "survive": "Mutants that survive all tests (kill them, or list them as equivalent):",
        "equivalent": "Mutants listed as equivalent to the reference:",
        "base": "Mutants that only the extra tests kill:",
    }
    for kind, title in titles.items():
        chosen = [
            survivor for score in scores for survivor in score.survivors if _kind(survivor) == kind
        ]
        if not chosen:
            continue
        console.print(f"\n[bold]{title}[/]")
        for survivor in chosen:
            reason = f"\n    [dim]{escape(survivor.reason)}[/]" if survivor.reason else ""
            console.print(
                f"  {escape(survivor.where)}: {escape(survivor.change)}{reason}", soft_wrap=True
            )
    console.print()


def _kind(survivor: Survivor) -> str:
    if survivor.reason:
        return "equivalent"
    return "survive" if survivor.passes_extra else "base"
