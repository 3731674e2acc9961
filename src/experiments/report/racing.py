"""A race as its sweep's folder keeps it: what it found, who comes first, and how that is told.

`app.race` writes `race.json`. What a race did not generate is not known, so a candidate is told
by the race's finding and never by its pass@1, which is of fewer problems for those that stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import StoreError
from experiments.report.labels import named
from experiments.store import runs
from experiments.store.files import known_fields

if TYPE_CHECKING:
    from experiments.stats.race import Runner, Standing

THAN = {"worse": "worse than", "equal": "equal to"}
"""What is claimed of one candidate against another, by the finding."""

_ORDER = ("best", "equal", "not known", "worse")


@dataclass(frozen=True, eq=False)
class Race:
    """A race and its settings.

    Attributes:
        folder: of the sweep; each candidate's run is in a folder of its own below.
        folders: the name of that folder, by candidate.
        question, alpha, margin, population, block: see `stats.race`.
        problems: that there are.
        standing: what is known.
    """

    folder: Path
    folders: dict[str, str]
    question: str
    alpha: float
    margin: float
    population: bool
    block: int
    problems: int
    standing: Standing

    @property
    def runners(self) -> list[Runner]:
        """The candidates, the leader first; of the worse ones, those that kept up longer."""
        return sorted(self.standing.runners, key=self._place)

    def _place(self, runner: Runner) -> tuple[bool, int, int, float]:
        leads = runner.candidate == self.standing.leader
        share = runner.solved / max(1, runner.problems)
        kept_up = (runner.settled_at or 0) if runner.finding == "worse" else 0
        return (not leads, _ORDER.index(runner.finding), -kept_up, -share)

    def place(self, run: Path) -> int:
        """Return the place of a candidate's run."""
        names = [self.folders[runner.candidate] for runner in self.runners]
        return names.index(run.name) if run.name in names else len(names)

    @property
    def about(self) -> str:
        """What its findings are about."""
        return "problems like these" if self.population else f"these {self.problems} problems"

    @property
    def seen(self) -> int:
        """How many problems somebody answered."""
        return max(runner.problems for runner in self.standing.runners)


def read(folder: Path) -> Race:
    """Return the race in a sweep's folder.

    Raises:
        StoreError: its file is damaged.
    """
    from experiments.stats.race import Claim, Finding, Point, Runner, Standing

    path = folder / runs.RACE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        runners, claims = (
            [{**each, "finding": Finding(each["finding"])} for each in kept[name]]
            for name in ("runners", "claims")
        )
        for each in runners:
            each["curve"] = tuple(Point(**point) for point in each["curve"])
        standing = {
            **known_fields(Standing, kept),
            "runners": tuple(Runner(**known_fields(Runner, each)) for each in runners),
            "claims": tuple(Claim(**each) for each in claims),
        }
        settings = ("question", "alpha", "margin", "population", "block")
        return Race(
            folder=folder,
            folders={each["candidate"]: each["folder"] for each in runners},
            problems=len(kept["order"]),
            standing=Standing(**standing),
            **{name: kept[name] for name in settings},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read: {type(error).__name__}: {error}",
            "Give the race's command again: what it generated is in the store.",
        ) from None


def finding(race: Race, runner: Runner) -> str:
    """Return what is known of a candidate, to stand behind its name."""
    return {
        "best": "the best",
        "equal": f"less than {100 * race.margin:g} points behind the best",
        "not known": "not told apart from the best",
        "worse": "worse than the best",
    }[runner.finding]


def headline(race: Race) -> str:
    """Return what a race found, in two sentences."""
    if not race.standing.over:
        return (
            f"The race is not over: after {race.seen} of {race.problems} problems "
            f"{race.standing.leader} leads. The same command goes on."
        )
    groups: dict[str, list[Runner]] = {}
    for runner in race.runners:
        groups.setdefault(runner.finding, []).append(runner)
    parts = []
    for said, runners in groups.items():
        several = len(runners) > 1
        verb = f"{'are' if several else 'is'} {finding(race, runners[0])}"
        if said == "not known":
            verb = f"may {'each ' if several else ''}be the best"
        parts.append(f"{named([runner.candidate for runner in runners])} {verb}")
    standing = race.standing
    return (
        f"On {race.about}, {'; '.join(parts)}. The race took {standing.generations:,} of "
        f"{standing.of:,} generations: {100 * standing.saved:.0f} % were saved."
    )


def told(race: Race) -> list[str]:
    """Return how a race ended: a line per candidate, and per pair where the order was asked."""
    lines = []
    for runner in race.runners:
        since = "" if runner.settled_at is None else f", known after {runner.settled_at}"
        solved = f"solved {runner.solved} of {runner.problems}{since}"
        lines.append(f"{runner.candidate}: {finding(race, runner)} ({solved})")
    if race.standing.over and any(each.finding == "not known" for each in race.runners):
        lines.append(
            f"All {race.problems} problems cannot tell those apart."
            if race.seen == race.problems
            else f"The rest of the {race.problems} problems would hardly have told those apart."
        )
    for first, said, second, after in pairs(race):
        lines.append(f"{first} is {said} {second}{f' (after {after})' if after else ''}")
    return lines


def pairs(race: Race) -> list[tuple[str, str, str, int | None]]:
    """Return what is known of each pair where the order was asked: who, what, whom, and since."""
    if race.question != "order":
        return []
    known = {
        frozenset((claim.candidate, claim.other)): claim
        for claim in race.standing.claims
        if claim.other
    }
    found: list[tuple[str, str, str, int | None]] = []
    for first, second in combinations([each.candidate for each in race.runners], 2):
        claim = known.get(frozenset((first, second)))
        if claim is None:
            found.append((first, "not told apart from", second, None))
        else:
            found.append((claim.candidate, THAN[claim.finding], claim.other, claim.problems))
    return found
