"""What `experiments fidelity` is asked, and the table that it answers with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from rich.table import Table
from rich.text import Text

from experiments.app import readable_config_errors
from experiments.app.fidelity import LEVEL, planned
from experiments.app.parts import parts
from experiments.app.run_folder import new_folder
from experiments.cli.models import quantizations
from experiments.environment.project import at_hand
from experiments.environment.terminal import console, results
from experiments.errors import ConfigError, StoreError, UserError, did_you_mean
from experiments.experiment.fidelity import measure
from experiments.experiment.planning import no_weights_to_compare
from experiments.report.fidelity import Fidelity, question, read, sentence, table
from experiments.schema import Config, QuantizationConfig
from experiments.store import runs
from experiments.weights import Here, decide

EXAMPLE = "Type: experiments fidelity model=demo quantization=q8_0,q4_0 reference=f16"


def run(words: Sequence[str], conf: Path, folder: Path) -> None:
    """Compare levels of a model with a reference, and print what was found.

    Args:
        words: overrides as of a run, with several levels and perhaps `reference=LEVEL`.
        conf: the configuration.
        folder: for the results, one folder below it per call.

    Raises:
        UserError: what cannot be compared, and why.
    """
    overrides, asked, reference = _understood(words)
    known = quantizations(conf)
    for name in [*asked, *filter(None, [reference])]:
        if name not in known:
            raise ConfigError(f"There is no quantization '{name}'", did_you_mean(name, known))
    with readable_config_errors(), initialize_config_dir(str(conf), version_base="1.3"):
        reference = reference or _highest(overrides, known, asked)
        compared = [name for name in asked if name != reference]
        if not compared:
            raise ConfigError(
                f"{reference} is the reference, and there is no other level to compare with it",
                "Name some: quantization=q8_0,q4_k_m.",
            )
        levels = (f"{LEVEL}{name}" for name in (reference, *compared))
        plans = [planned([*overrides, level], folder) for level in levels]
    place = Path(new_folder(str(folder)))
    if not place.is_dir():
        raise StoreError(f"{place} cannot be made", "Name another folder with --out DIR.")
    measure(plans, place)
    show(read(place))
    results.print(f"\nKept: {place / runs.FIDELITY}", soft_wrap=True)


def _understood(words: Sequence[str]) -> tuple[list[str], list[str], str]:
    """Return the overrides, the levels and the reference; empty: none was named."""
    others: list[str] = []
    given: dict[str, str] = {}
    for word in words:
        key, is_set, value = word.partition("=")
        if not is_set or not value:
            raise ConfigError(f"'{word}' is not understood", EXAMPLE)
        if key in ("quantization", "reference"):
            given[key] = value
        elif key in ("model", "prompt", "dataset") and "," in value:
            raise ConfigError(f"One {key} at a time is compared, and {word} names several", EXAMPLE)
        else:
            others.append(word)
    levels = list(dict.fromkeys(one.strip() for one in given.get("quantization", "").split(",")))
    if levels == [""]:
        raise ConfigError("Which levels are to be compared is missing", EXAMPLE)
    return others, levels, given.get("reference", "")


def _highest(
    overrides: Sequence[str], known: dict[str, QuantizationConfig], asked: Sequence[str]
) -> str:
    """Return the level with the most bits among those that are here and those asked for."""
    of_run = parts(compose("config", list(overrides)))
    if not of_run["needs_weights"]:
        raise no_weights_to_compare()
    settings: Config = of_run["settings"]

    def is_here(name: str) -> bool:
        try:
            return isinstance(decide(settings.model, known[name], at_hand(settings.models)), Here)
        except UserError:
            return False

    highest = next(name for name in known if name in asked or is_here(name))
    console.print(f"Compared with {highest}, the highest level at hand (reference=LEVEL: another).")
    return highest


SHORT_LEGEND = (
    "KL: mean divergence per token and its 99th percentile. parts at: token from which greedy "
    "texts differ (median). Intervals: 95 %, bootstrap over problems."
)


_WITH_BOUNDS = ("KL nats", "same token %", "pass@1 %")
"""The other intervals are in the file and on the page: a terminal has no room for all."""


def show(found: Fidelity) -> None:
    """Print one row per level, and what it means in a sentence each."""
    results.print()
    results.print(question(found), soft_wrap=True, style="bold", highlight=False)
    titles, rows = table(found)
    cells = [
        [
            Text.assemble(number, (f" {bounds}" if bounds and title in _WITH_BOUNDS else "", "dim"))
            for title, (number, bounds) in zip(titles, row, strict=True)
        ]
        for row in rows
    ]
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("level", no_wrap=True)
    room = results.width - max(len(level.name) for level in found.levels) - 2
    for title, *column in zip(titles, *cells, strict=True):
        room -= max(len(title), *(cell.cell_len for cell in column)) + 2
        if room < -2:
            break
        shown.add_column(title, justify="right", no_wrap=True)
    for level, row in zip(found.levels, cells, strict=True):
        shown.add_row(level.name, *row[: len(shown.columns) - 1])
    results.print(shown)
    results.print(SHORT_LEGEND, style="dim")
    for level in found.compared:
        results.print(sentence(level), highlight=False, soft_wrap=True)
