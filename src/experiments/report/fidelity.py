"""What quantizing does to a model, as `fidelity.json` keeps it, and how that is told.

`experiment.fidelity` writes the file: into the reference's folder at the end of a sweep with
`fidelity=true`, and into a folder of its own for `experiments fidelity`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import StoreError
from experiments.report import labels
from experiments.store import runs

if TYPE_CHECKING:
    from experiments.stats.divergence import Estimate

LEGEND = {
    "KL nats": "mean Kullback-Leibler divergence per token from the reference, with its 95 % "
    "interval (bootstrap over problems), as all intervals here",
    "99 %": "99th percentile of the divergence over all tokens",
    "same token %": "places at which both find the same token the most likely",
    "parts at": "token from which greedy texts differ, median over problems",
    "pass@1 %": "of the level’s own answers, where the store has all of them",
    "flips": "problems that the level wins and loses against the reference, which pass@1 hides",
    "file MB": "size of the GGUF file",
    "ppl": "perplexity on these texts; it may fall without any gain",
    "tokens/s": "new tokens of its own answers over the wall clock",
    "RAM MB": "the most memory that the model’s process held while it wrote them",
}
"""Columns and what they say; the most important first, since a narrow terminal drops the last."""


@dataclass(frozen=True)
class Level:
    """What is known of a level.

    Attributes:
        name: of the level.
        bytes, bits: of its file, and per weight.
        estimates: against the reference, by name; empty for the reference itself.
        metrics: of its own answers, as a run's; empty if the store has not all of them.
        won, lost: problems that it solves and the reference does not, and the other way round;
            None: not known.
        problems: whose texts were read.
    """

    name: str
    bytes: int
    bits: float
    estimates: Mapping[str, Estimate]
    metrics: Mapping[str, float]
    won: tuple[str, ...] | None
    lost: tuple[str, ...] | None
    problems: int


@dataclass(frozen=True)
class Fidelity:
    """Levels of a model beside their reference.

    Attributes:
        folder: that it is kept in.
        labels: model, prompt, data set, and what was said on the command line.
        reference: name of the level that the others are compared with.
        levels: the reference first.
        own_answers: the texts are the reference's own answers; else the reference solutions.
        tokens: that were compared.
    """

    folder: Path
    labels: Mapping[str, str]
    reference: str
    levels: tuple[Level, ...]
    own_answers: bool
    tokens: int

    @property
    def compared(self) -> tuple[Level, ...]:
        """The levels beside the reference."""
        return self.levels[1:]


def fidelities(folders: Iterable[Path]) -> tuple[list[Fidelity], list[tuple[Path, str]]]:
    """Return what is kept in and below these folders, and the folders of damaged files with why."""
    found, damaged = [], []
    paths = (path for folder in folders for path in sorted(folder.rglob(runs.FIDELITY)))
    for path in dict.fromkeys(path.resolve() for path in paths):
        try:
            found.append(read(path.parent))
        except StoreError as error:
            damaged.append((path.parent, str(error)))
    return found, damaged


def read(folder: Path) -> Fidelity:
    """Return what is kept in a folder.

    Raises:
        StoreError: its file is damaged.
    """
    path = folder / runs.FIDELITY
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        overrides = (each.lstrip("+").partition("=") for each in kept["overrides"])
        choices = {name: str(kept[name]) for name in ("model", "prompt", "dataset")}
        return Fidelity(
            folder=folder,
            labels={key: value for key, _, value in overrides} | choices,
            reference=str(kept["reference"]),
            levels=tuple(_level(each) for each in kept["levels"]),
            own_answers=kept["texts"] == "answers",
            tokens=int(kept["tokens"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} cannot be read: {type(error).__name__}: {error}",
            "Compare the levels again: experiments fidelity …",
        ) from None


def _level(kept: Mapping[str, Any]) -> Level:
    from experiments.stats.divergence import Estimate

    won, lost = (None if kept[each] is None else tuple(kept[each]) for each in ("won", "lost"))
    return Level(
        name=str(kept["name"]),
        bytes=int(kept["bytes"]),
        bits=float(kept["bits_per_weight"]),
        estimates={
            name: Estimate(math.inf if value["value"] is None else value["value"], *_ends(value))
            for name, value in kept["estimates"].items()
        },
        metrics={name: float(value) for name, value in kept["metrics"].items()},
        won=won,
        lost=lost,
        problems=len(kept["by_problem"]),
    )


def _ends(kept: Mapping[str, float | None]) -> tuple[float | None, float | None]:
    return kept["low"], kept["high"]


def question(found: Fidelity) -> str:
    """Return what was compared with what, on which texts."""
    texts = f"{found.reference}'s own answers" if found.own_answers else "the reference solutions"
    what = " · ".join(found.labels[name] for name in ("model", "prompt", "dataset"))
    return (
        f"{what}, compared with {found.reference} on {texts}: "
        f"{found.levels[0].problems} problems, {found.tokens:,} tokens"
    )


def names(found: Sequence[Fidelity]) -> list[str]:
    """Return what tells each from the others, in a few words."""
    kept = [each.labels for each in found]
    return labels.names(kept, labels.differing(kept))


def sentence(level: Level) -> str:
    """Return in words what a level does to the texts and the problems."""
    other = 100 * (1 - level.estimates["same_token"].value)
    said = f"{level.name} finds another token the most likely in {other:.2g} % of places"
    if level.won is None or level.lost is None:
        return f"{said}."
    won, lost = len(level.won), len(level.lost)
    if not won and not lost:
        return f"{said}, and solves the same problems."
    return f"{said}, and solves the same problems but {won + lost} ({won} won, {lost} lost)."


def table(found: Fidelity) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows, a row per level; columns that no level fills are left out."""
    rows = [_row(found, level) for level in found.levels]
    titles = [title for title in LEGEND if any(title in row for row in rows)]
    return titles, [[row.get(title, "") for title in titles] for row in rows]


def _row(found: Fidelity, level: Level) -> dict[str, str]:
    """Return the cells of a level by their titles."""
    row = {"file MB": f"{level.bytes / 1e6:,.1f}"}
    if made := level.estimates:
        row["KL nats"] = _interval(made["divergence"], 1, 2)
        row["99 %"] = _significant(made["divergence_p99"].value, 2)
        row["same token %"] = _interval(made["same_token"], 100, 3)
        row["ppl"] = _significant(made["perplexity"].value, 4)
        if place := made.get("parts_at"):
            row["parts at"] = "never" if math.isinf(place.value) else f"{place.value:.0f}"
    else:
        other = found.compared[0].estimates["perplexity_reference"]
        row["ppl"] = _significant(other.value, 4)
    if made and level.won is not None and level.lost is not None:
        row["flips"] = f"+{len(level.won)} −{len(level.lost)}"
    for title, name, factor, digits in (
        ("pass@1 %", "pass_at_1/plus", 100, 1),
        ("tokens/s", "speed/tokens_per_second", 1, 0),
        ("RAM MB", "engine/peak_memory_megabytes", 1, 0),
    ):
        if name in level.metrics:
            row[title] = f"{factor * level.metrics[name]:,.{digits}f}"
    return row


def _significant(value: float, digits: int) -> str:
    """Return a number with so many digits that count."""
    if value and abs(value) < 1e-4:
        return "<0.0001"
    is_plain = 10**digits <= abs(value) < 1e6
    return f"{value:,.0f}" if is_plain else f"{value:.{digits}g}"


def _interval(estimate: Estimate, factor: float, digits: int) -> str:
    value = _significant(factor * estimate.value, digits)
    if estimate.low is None or estimate.high is None:
        return value
    bounds = (_significant(factor * bound, digits) for bound in (estimate.low, estimate.high))
    return f"{value} {'–'.join(bounds)}"
