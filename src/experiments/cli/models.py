"""What `experiments models` shows, and how weights are fetched ahead of a run.

Sizes of files that are here are read; others are worked out from the number of weights and
the level's nominal bits, and marked with ≈. Memory is the file and the KV cache (f16) of one
sequence; each further one adds its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import results
from experiments.errors import ConfigError, UserError, did_you_mean
from experiments.schema import ModelConfig, QuantizationConfig
from experiments.weights import Decision, Fetch, Here, Make, bits, decide, locate, read_header
from experiments.weights.levels import UNQUANTIZED

SEQUENCE_TOKENS = 4096
SHOWN = ("q2_k", "q4_k_m", "q8_0", "f16")
"""Levels that the table of all models shows."""

T = TypeVar("T")


@dataclass(frozen=True)
class Level:
    """A model at one level of quantization.

    Attributes:
        name: of the level.
        bytes: size of its file; an estimate unless it is here.
        memory_bytes: with the KV cache of one sequence; None if the model's is not known.
        decision: what has to happen to have it; None: it cannot be had.
        problem: why it cannot be had.
    """

    name: str
    bytes: float
    memory_bytes: float | None
    decision: Decision | None
    problem: str = ""

    @property
    def is_here(self) -> bool:
        """Whether the file is on this disk."""
        return isinstance(self.decision, Here)

    @property
    def source(self) -> str:
        """Where it comes from, for a table."""
        match self.decision:
            case Here():
                return "here"
            case Fetch():
                return "hub"
            case Make(source=source):
                of = "" if source.level in UNQUANTIZED else f", of {source.level}"
                return f"made here{of}"
        return "nowhere"

    @property
    def file(self) -> str:
        """The name of the file that holds it, or that would."""
        return self.decision.path.name if self.decision else ""


def models(conf: Path) -> dict[str, ModelConfig]:
    """Return the models of the configuration by the names to type."""
    return _read(conf / "model", ModelConfig)


def quantizations(conf: Path) -> dict[str, QuantizationConfig]:
    """Return the levels of the configuration, the most bits first."""
    found = _read(conf / "quantization", QuantizationConfig)
    order = sorted(found, key=lambda name: (-bits(found[name]), name))
    return {name: found[name] for name in order}


def levels(
    model: ModelConfig, quantizations: dict[str, QuantizationConfig], folder: Path
) -> Iterator[Level]:
    """Yield what is known of a model at each level.

    Args:
        model: with its files.
        quantizations: the levels.
        folder: of all models.
    """
    read = cache(read_header)  # an F16 that is here is the source of every level
    tokens = min(SEQUENCE_TOKENS, model.context_tokens or SEQUENCE_TOKENS)
    kv_bytes = model.kv_values_per_token and 2 * tokens * model.kv_values_per_token
    for name, level in quantizations.items():
        try:
            decision: Decision | None = decide(model, level, folder, read)
            problem = ""
        except UserError as error:
            decision, problem = None, str(error)
        size = (model.parameters_billion or 0) * 1e9 * bits(level) / 8
        if isinstance(decision, Here):
            size = decision.header.file_bytes
        memory = size + kv_bytes if kv_bytes else None
        yield Level(name, size, memory, decision, problem)


def show(conf: Path, folder: Path) -> None:
    """Print all models: size, licence, what is here."""
    known = quantizations(conf)
    table = Table(box=None, pad_edge=False)
    for title in ("model", "weights", "context", *SHOWN, "memory", "here", "licence"):
        right = title in ("weights", "context", "memory", *SHOWN)
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "licence")
    for name, model in models(conf).items():
        found = {level.name: level for level in levels(model, known, folder)}
        if model.api.model or not (model.files or model.repository):
            where = "backend=openai" if name != "local" else "model.file=PATH"
            table.add_row(name, *[""] * (len(SHOWN) + 3), where, model.licence)
            continue
        here = " ".join(level.name for level in found.values() if level.is_here)
        memory = found["q4_k_m"].memory_bytes
        table.add_row(
            name,
            f"{model.parameters_billion:g} B" if model.parameters_billion else "",
            f"{model.context_tokens:,}" if model.context_tokens else "",
            *(_size(found[level]) for level in SHOWN),
            f"≈{_gigabytes(memory)}" if memory else "",
            Text(here or "no", style="green" if here else "dim"),
            model.licence,
        )
    results.print(table)
    results.print(
        f"\nMemory is that of q4_k_m with one sequence of up to {SEQUENCE_TOKENS:,} tokens. "
        "All levels of a model: experiments models NAME"
    )


def show_one(name: str, conf: Path, folder: Path) -> None:
    """Print one model at every level.

    Raises:
        ConfigError: there is no such model.
    """
    model = _known(name, models(conf), "model")
    for line in (model.card, model.licence, model.note):
        if line:
            results.print(line, markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("quantization", "size", "memory", "from", "file"):
        table.add_column(title, justify="right" if title in ("size", "memory") else "left")
    problems: dict[str, None] = {}
    for level in levels(model, quantizations(conf), folder):
        memory = f"≈{_gigabytes(level.memory_bytes)}" if level.memory_bytes else ""
        table.add_row(level.name, _size(level), memory, level.source, level.file)
        if level.problem:
            problems[level.problem] = None
    results.print(table)
    for problem in problems:
        results.print(problem, markup=False, soft_wrap=True)


def fetch(name: str, overrides: Sequence[str], conf: Path, folder: Path) -> None:
    """Get the weights of a model ahead of a run: fetched, or made here.

    Args:
        name: of the model.
        overrides: `quantization=LEVEL`, or several levels with commas between them.
        conf: the configuration.
        folder: of all models.

    Raises:
        ConfigError: a name that is not known.
        WeightsError: the weights cannot be had.
    """
    model = _known(name, models(conf), "model")
    known = quantizations(conf)
    wanted: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "quantization" or not value:
            raise ConfigError(
                f"'{override}' is not understood",
                f"Type: experiments models fetch {name} quantization=q4_k_m",
            )
        wanted += value.split(",")
    if not wanted:
        raise ConfigError(
            "Which quantization of it is missing",
            f"Type: experiments models fetch {name} quantization=q4_k_m",
        )
    for level in [_known(one.strip(), known, "quantization") for one in wanted]:
        found = locate(model, level, folder)
        size = f"{_gigabytes(found.bytes)}, {found.bits_per_weight:.2f} bits per weight"
        results.print(f"{found.path}: {size}, SHA-256 {found.sha256}", markup=False, soft_wrap=True)


def _read(folder: Path, kind: type[T]) -> dict[str, T]:
    """Return the files of a group of the configuration, validated."""
    from omegaconf import OmegaConf

    found: dict[str, T] = {}
    for path in sorted(folder.glob("*.yaml")):
        merged = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.load(path))
        found[path.stem] = OmegaConf.to_object(merged)  # type: ignore[assignment]
    return found


def _known(name: str, known: dict[str, T], what: str) -> T:
    if name not in known:
        raise ConfigError(f"There is no {what} '{name}'", did_you_mean(name, known))
    return known[name]


def _size(level: Level) -> str:
    if not level.bytes:
        return ""
    return _gigabytes(level.bytes) if level.is_here else f"≈{_gigabytes(level.bytes)}"


def _gigabytes(number: Any) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
