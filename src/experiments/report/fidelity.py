"""What quantizing does to a model, as `fidelity.json` keeps it, and how that is told.

`experiment.fidelity` writes the file: into the reference's folder at the end of a sweep with
`fidelity=true`, and into a folder of its own for `experiments fidelity`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.environment.terminal import counted
from experiments.errors import StoreError
from experiments.report import labels
from experiments.stats.columns import MEMORY, PASS, SPEED
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
    "tokens/s": "new tokens of its own answers over the wall clock; *: in part measured elsewhere",
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
            name: Estimate(_or_infinite(each["value"]), *_ends(each["low"], each["high"]))
            for name, each in kept["estimates"].items()
        },
        metrics={name: float(value) for name, value in kept["metrics"].items()},
        won=won,
        lost=lost,
        problems=len(kept["by_problem"]),
    )


def _ends(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return the bounds of an interval, if there is one: where only one is kept, both are."""
    if low is None and high is None:
        return None, None
    return _or_infinite(low), _or_infinite(high)


def _or_infinite(number: float | None) -> float:
    return math.inf if number is None else number


def question(found: Fidelity) -> str:
    """Return what was compared with what, on which texts."""
    texts = f"{found.reference}'s own answers" if found.own_answers else "the reference solutions"
    problems = counted(found.levels[0].problems, "problem")
    what = " · ".join(found.labels[name] for name in ("model", "prompt", "dataset"))
    return (
        f"{what}, compared with {found.reference} on {texts}: {problems}, {found.tokens:,} tokens"
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


def table(found: Fidelity) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Return titles, and for each level a row of numbers, each with its interval if it has one.

    Columns that no level fills are left out.
    """
    rows = [_row(found, level) for level in found.levels]
    titles = [title for title in LEGEND if any(title in row for row in rows)]
    return titles, [[row.get(title, ("", "")) for title in titles] for row in rows]


def _row(found: Fidelity, level: Level) -> dict[str, tuple[str, str]]:
    """Return the cells of a level by their titles."""
    row = {"file MB": (f"{level.bytes / 1e6:,.1f}", "")}
    if made := level.estimates:
        row["KL nats"] = _estimated(made["divergence"], 2)
        row["99 %"] = _estimated(made["divergence_p99"], 2)
        row["same token %"] = _estimated(made["same_token"], 3, 100)
        row["ppl"] = _estimated(made["perplexity"], 4)
        if place := made.get("parts_at"):
            row["parts at"] = _place(place.value), _bounds(place, _place)
    else:
        row["ppl"] = _estimated(found.compared[0].estimates["perplexity_reference"], 4)
    if made and level.won is not None and level.lost is not None:
        row["flips"] = f"+{len(level.won)} −{len(level.lost)}", ""
    for title, column in (("pass@1 %", PASS), ("tokens/s", SPEED), ("RAM MB", MEMORY)):
        if number := column.number(level.metrics):
            row[title] = number, column.bounds(level.metrics)
    return row


def _estimated(estimate: Estimate, digits: int, factor: float = 1.0) -> tuple[str, str]:
    """Return a number with so many digits that count, and its interval."""

    def written(value: float) -> str:
        return _significant(factor * value, digits)

    return written(estimate.value), _bounds(estimate, written)


def _bounds(estimate: Estimate, written: Callable[[float], str]) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{written(estimate.low)}–{written(estimate.high)}"


def _place(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"


def _significant(value: float, digits: int) -> str:
    """Return a number with so many digits that count."""
    if value and abs(value) < 1e-4:
        return "<0.0001"
    is_plain = 10**digits <= abs(value) < 1e6
    return f"{value:,.0f}" if is_plain else f"{value:.{digits}g}"
