"""What `experiments fidelity` is asked, and the table that it answers with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from rich.table import Table
from rich.text import Text

from experiments.app import readable_config_errors, trust
from experiments.app.explain import refuse_unknown
from experiments.app.run_folder import new_folder
from experiments.cli.models import quantizations
from experiments.environment.project import at_hand
from experiments.environment.terminal import console, results
from experiments.errors import ConfigError, StoreError, UserError, did_you_mean
from experiments.experiment import Plan, plan
from experiments.experiment.fidelity import FILE, Fidelity, Level, measure
from experiments.schema import Config, QuantizationConfig
from experiments.stats.divergence import Estimate
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
        reference = reference or _highest(_composed(overrides, asked[0]), known, asked)
        compared = [name for name in asked if name != reference]
        if not compared:
            raise ConfigError(
                f"{reference} is the reference, and there is no other level to compare with it",
                "Name some: quantization=q8_0,q4_k_m.",
            )
        plans = [_plan(overrides, name, folder) for name in (reference, *compared)]
    place = Path(new_folder(str(folder)))
    if not place.is_dir():
        raise StoreError(f"{place} cannot be made", "Name another folder with --out DIR.")
    show(measure(plans, place))
    results.print(f"\nKept: {place / FILE}", soft_wrap=True)


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


def _composed(overrides: Sequence[str], level: str) -> DictConfig:
    """Return the configuration of a run at a level.

    Raises:
        ConfigError: it runs no weights of this disk.
    """
    config = compose("config", [*overrides, f"quantization={level}"])
    refuse_unknown(config, trust.arguments)
    if not trust.needs_weights(config.backend):
        raise ConfigError(
            "Only weights of this disk can be compared: a server tells no distributions",
            "Leave backend out, or set backend=llama_cpp.",
        )
    return config


def _plan(overrides: Sequence[str], level: str, folder: Path) -> Plan:
    """Return the run of a level that would write the answers."""
    config = _composed(overrides, level)
    settings: Config = OmegaConf.to_object(config)  # type: ignore[assignment]
    return plan(
        settings,
        make_dataset=lambda: trust.made(config.dataset, "dataset"),
        make_backend=lambda **given: trust.made(config.backend, "backend", **given),
        needs_weights=True,
        folder=folder,
        overrides=overrides,
    )


def _highest(config: DictConfig, known: dict[str, QuantizationConfig], asked: Sequence[str]) -> str:
    """Return the level with the most bits among those that are here and those asked for."""
    settings: Config = OmegaConf.to_object(config)  # type: ignore[assignment]

    def is_here(name: str) -> bool:
        try:
            return isinstance(decide(settings.model, known[name], at_hand(settings.models)), Here)
        except UserError:
            return False

    highest = next(name for name in known if name in asked or is_here(name))
    console.print(f"Compared with {highest}, the highest level at hand (reference=LEVEL: another).")
    return highest


COLUMNS = (
    *("level", "KL nats", "99 %", "same token %", "parts at", "pass@1 %", "flips", "file MB"),
    *("ppl", "tokens/s", "RAM MB"),
)
"""The most important first: a narrow terminal drops the last."""


LEGEND = (
    "KL: mean divergence per token and its 99th percentile. parts at: token from which greedy "
    "texts differ (median). Intervals: 95 %, bootstrap over problems."
)


def show(result: Fidelity) -> None:
    """Print one row per level, and what it means in a sentence each."""
    reference = result.reference
    tokens = sum(len(each.tokens) for each in reference.scores.values())
    settings = result.plan.settings
    whose = f"{reference.name}'s own answers"
    if result.texts == "solutions":
        whose = "the reference solutions"
    results.print()
    results.print(
        f"{settings.model.name} · {settings.prompt.name} · {result.plan.dataset.name}, compared "
        f"with {reference.name} on {whose}: {len(reference.scores)} problems, {tokens:,} tokens",
        soft_wrap=True,
        style="bold",
    )
    rows = [_row(result, level) for level in result.levels]
    shown = [title for title in COLUMNS if any(title in row for row in rows)]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    room = results.width
    for title in shown:
        room -= max(len(title), *(len(row.get(title, "")) for row in rows)) + 2
        if room < -2:
            break
        table.add_column(title, justify="left" if title == "level" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row.get(title, "")) for title in shown[: len(table.columns)]))
    results.print(table)
    results.print(LEGEND, style="dim")
    for level in result.levels[1:]:
        results.print(sentence(result, level), highlight=False, soft_wrap=True)


def sentence(result: Fidelity, level: Level) -> str:
    """Return in words what a level does to the texts and the problems."""
    other = 100 * (1 - level.estimates["same_token"].value)
    said = f"{level.name} finds another token the most likely in {other:.2g} % of places"
    flips = result.flips(level)
    if flips is None:
        return f"{said}."
    won, lost = map(len, flips)
    if not won and not lost:
        return f"{said}, and solves the same problems."
    return f"{said}, and wins {won} and loses {lost} of {len(level.rates)} problems."


def _row(result: Fidelity, level: Level) -> dict[str, str]:
    """Return the cells of a level by their titles, the most important first."""
    row = {"level": level.name}
    metrics, flips, found = level.metrics, result.flips(level), level.estimates
    perplexity = result.levels[1].estimates["perplexity_reference"]
    if found:
        perplexity = found["perplexity"]
        row["KL nats"] = _interval(found["divergence"], 1, 2)
        row["99 %"] = _significant(found["divergence_p99"].value, 2)
        row["same token %"] = _interval(found["same_token"], 100, 3)
        if result.is_greedy:
            row["parts at"] = _place(found["parts_at"].value)
        if flips is not None:
            row["flips"] = f"+{len(flips[0])} −{len(flips[1])}"
    row["ppl"] = _significant(perplexity.value, 4)
    row["file MB"] = f"{level.weights.bytes / 1e6:,.1f}"
    for title, name, factor, digits in (
        ("pass@1 %", "pass_at_1/plus", 100, 1),
        ("tokens/s", "speed/tokens_per_second", 1, 0),
        ("RAM MB", "engine/peak_memory_megabytes", 1, 0),
    ):
        if name in metrics:
            row[title] = f"{factor * metrics[name]:,.{digits}f}"
    return row


def _significant(value: float, digits: int = 2) -> str:
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


def _place(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"
