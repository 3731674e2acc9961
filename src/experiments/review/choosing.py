"""What to read first: a sample of the works, drawn by strata.

Strata are outcome × whether runs disagree × difficulty × the runs that a work is from, or coarser
where the budget does not give each stratum two works. Within a stratum chance decides; between
strata the budget goes where tests leave most open, and where that tells most of the score. A
larger budget with the same seed adds to what was chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.review.works import (
    FAILED,
    FORMAT_LOST,
    KINDS,
    NEARLY_PASSED,
    NO_PROGRAM,
    PASSED,
    Work,
)
from experiments.stats.stratified import LEAST, allocate
from experiments.store import reviews

SPREADS = {PASSED: 0.2, FORMAT_LOST: 0.3, NEARLY_PASSED: 0.4, FAILED: 0.25, NO_PROGRAM: 0.1}
"""How far grades are expected to differ (standard deviation of points) by what the tests say."""

OF_DISPUTED = 1.5
"""Where runs disagree, so many times as far."""


@dataclass(frozen=True)
class Choice:
    """What is to be read.

    Attributes:
        works: in the order of reading, which chance decides.
        strata: of all works, by problem and digest.
    """

    works: tuple[Work, ...]
    strata: Mapping[tuple[str, str], str]


def choose(found: Sequence[Work], budget: int, seed: int) -> Choice:
    """Return what to read of some works.

    Args:
        found: all works of the runs.
        budget: how many are read; all if there are not more.
        seed: decides which, and the order.
    """
    strata = _strata(found, budget)
    members: dict[str, list[Work]] = {}
    for work in sorted(found, key=lambda work: _chance(work, seed)):
        members.setdefault(strata[_key(work)], []).append(work)
    spreads = {
        name: SPREADS[works[0].kind] * (OF_DISPUTED if works[0].is_disputed else 1.0)
        for name, works in sorted(members.items())
    }
    units = {name: len(members[name]) for name in spreads}
    drawn = allocate(units, spreads, budget)
    chosen = [work for name, works in members.items() for work in works[: drawn[name]]]
    return Choice(tuple(sorted(chosen, key=lambda work: _chance(work, seed))), strata)


def keep(choice: Choice, found: Sequence[Work], folders: Sequence[Path], seed: int) -> None:
    """Write `review.json` into the folder of each run, for the estimate of the score.

    What an earlier call chose stays chosen: two draws by chance are one, within strata that are
    parts of those of both.

    Raises:
        StoreError: a file cannot be read or written.
    """
    chosen = {_key(work) for work in choice.works}
    for folder in folders:
        own = {
            _key(work): choice.strata[_key(work)]
            for work in found
            if any(place.folder == folder for place in work.places)
        }
        before = plan(folder)
        kept: set[tuple[str, str]] = set()
        if before.keys() == own.keys():
            kept = {key for key, (_, was_chosen) in before.items() if was_chosen}
            own = _refined({key: name for key, (name, _) in before.items()}, own)
        lines = [
            {"problem": key[0], "work": key[1], "stratum": name, "chosen": key in chosen | kept}
            for key, name in own.items()
        ]
        content = {"format": 1, "seed": seed, "works": lines}
        reviews.write_note(folder / reviews.PLAN, content)


def _refined(
    old: Mapping[tuple[str, str], str], new: dict[tuple[str, str], str]
) -> dict[tuple[str, str], str]:
    """Return the strata that are parts of the old ones and of the new ones."""
    both = {key: (new[key], old[key]) for key in new}
    for parts in (new, old):
        if len({*both.values()}) == len({*parts.values()}):
            return dict(parts)
    return {key: " & ".join(names) for key, names in both.items()}


def plan(folder: Path) -> dict[tuple[str, str], tuple[str, bool]]:
    """Return the stratum of each work of a run, by problem and digest, and whether it was chosen.

    Raises:
        StoreError: the file cannot be read.
    """
    lines: list[dict[str, Any]] = reviews.read_note(folder / reviews.PLAN).get("works", [])
    return {
        (line["problem"], line["work"]): (line["stratum"], bool(line["chosen"])) for line in lines
    }


def _strata(found: Sequence[Work], budget: int) -> dict[tuple[str, str], str]:
    """Return the stratum of each work: the finest strata that the budget can fill."""
    numbers = {
        folder: f"#{number}"
        for number, folder in enumerate(
            dict.fromkeys(place.folder for work in found for place in work.places), start=1
        )
    }
    names: dict[tuple[str, str], list[str]] = {}
    for work in found:
        own = sorted({numbers[place.folder] for place in work.places})
        names[_key(work)] = [
            f"{KINDS.index(work.kind)} {work.kind}",
            "runs disagree" if work.is_disputed else "runs agree",
            work.problem.difficulty or "any difficulty",
            " ".join(own),
        ]
    for detail in (4, 3, 2, 1):
        strata = {key: " · ".join(parts[:detail]) for key, parts in names.items()}
        sizes: dict[str, int] = {}
        for name in strata.values():
            sizes[name] = sizes.get(name, 0) + 1
        if sum(min(LEAST, size) for size in sizes.values()) <= budget:
            return strata
    return dict.fromkeys(names, "all")


def _key(work: Work) -> tuple[str, str]:
    return work.problem.id, work.digest


def _chance(work: Work, seed: int) -> str:
    """Return what decides a work's place in the order: nothing but the seed and its content."""
    return hashlib.sha256(f"{seed} {work.problem.id} {work.digest}".encode()).hexdigest()
