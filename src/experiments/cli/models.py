"""What `experiments models` shows, and how weights are fetched ahead of a run.

Sizes of files that are here are read; others are worked out from the number of weights and
the level's nominal bits. Memory is the file and the KV cache (f16) of one sequence; each further
one adds its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import results, size
from experiments.errors import ConfigError, UserError, did_you_mean
from experiments.schema import ModelConfig, QuantizationConfig
from experiments.weights import (
    Decision,
    Fetch,
    Here,
    Make,
    bits,
    decide,
    locate,
    places,
    read_header,
)

SEQUENCE_TOKENS = 4096
SHOWN = ("q2_k", "q4_k_m", "q8_0", "f16")
"""Levels that the table of all models shows."""

WIDE = 100
"""Columns of a terminal that has room for licences."""

T = TypeVar("T")


@dataclass(frozen=True)
class Level:
    """A model at one level of quantization.

    Attributes:
        name: of the level.
        bytes: size of its file; an estimate unless it is here.
        memory_bytes: with the KV cache of one sequence; None if the model's is not known.
        decision: what has to happen to have it; None: it cannot be had.
        problem: why its file, which is here, cannot be used.
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
                return f"made of {source.level}"
        return "nowhere"


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
    kept = model.kv_values_per_token and 2 * _tokens(model) * model.kv_values_per_token
    for name, level in quantizations.items():
        decision, problem = None, ""
        try:
            decision = decide(model, level, folder, read)
        except UserError as error:
            if any(path.is_file() for path in places(model, name, folder)):
                problem = str(error)
        held = (model.parameters_billion or 0) * 1e9 * bits(level) / 8
        if isinstance(decision, Here):
            held = decision.header.file_bytes
        yield Level(name, held, held + kept if kept else None, decision, problem)


def show(conf: Path, folder: Path) -> None:
    """Print all models: how large, how much memory they take, what is here."""
    known = quantizations(conf)
    is_wide = results.width >= WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for title in ("model", "weights", "active", "context", *SHOWN, "here"):
        left = title in ("model", "here")
        table.add_column(title, justify="left" if left else "right", no_wrap=title != "here")
    if is_wide:
        table.add_column("licence")
    servers = []
    for name, model in models(conf).items():
        if model.api.model or not model.files:
            if name != "local":
                servers.append(f"{name} (ended)" if model.ended else name)
            continue
        found = {level.name: level for level in levels(model, known, folder)}
        here = " ".join(level.name for level in found.values() if level.is_here)
        table.add_row(
            name,
            _billions(model.parameters_billion),
            _billions(model.active_parameters_billion),
            f"{model.context_tokens // 1024}k" if model.context_tokens else "",
            *(_number(found[level].memory_bytes or found[level].bytes) for level in SHOWN),
            Text(here, style="green"),
            *([model.licence] if is_wide else []),
        )
    results.print(table)
    results.print(
        f"\nweights and active: in billions, active where not all are read for each token. "
        f"{', '.join(SHOWN)}: GB of memory with one sequence of up to {SEQUENCE_TOKENS:,} tokens; "
        "estimated for what is not here. All levels of a model: experiments models NAME\n"
        f"Behind a server, with backend=openai: {', '.join(servers)}\n"
        "Any other GGUF: model=local model.file=PATH",
        markup=False,
        highlight=False,
    )


def show_one(name: str, conf: Path, folder: Path) -> None:
    """Print one model at every level.

    Raises:
        ConfigError: there is no such model.
    """
    model = _known(name, models(conf), "model")
    told = f"{_billions(model.parameters_billion)} billion weights"
    if model.active_parameters_billion:
        told += f", of which {_billions(model.active_parameters_billion)} are read for each token"
    lines = (model.card, model.licence, told if model.parameters_billion else "", model.note)
    for line in (*lines, model.ended):
        if line:
            results.print(line, markup=False, highlight=False)
    if model.api.model or not model.files:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for title in ("level", "size", "memory", "from", "file"):
        right = title in ("size", "memory")
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "file")
    found = list(levels(model, quantizations(conf), folder))
    for level in found:
        memory = f"≈{size(level.memory_bytes)}" if level.memory_bytes else ""
        named = level.decision if isinstance(level.decision, Here | Fetch) else None
        file = Text(named.path.name if named else "", overflow="fold")
        table.add_row(level.name, _size(level), memory, level.source, file)
    results.print(table)
    if model.kv_values_per_token:
        tokens = _tokens(model)
        each = size(2 * tokens * model.kv_values_per_token)
        said = f"Memory is with one sequence of {tokens:,} tokens; each further one adds {each}."
        results.print(f"\n{said}", highlight=False)
    for problem in dict.fromkeys(level.problem for level in found if level.problem):
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
        told = f"{size(found.bytes)}, {found.bits_per_weight:.2f} bits per weight"
        results.print(f"{found.path}: {told}, SHA-256 {found.sha256}", markup=False, soft_wrap=True)


def _read(folder: Path, kind: type[T]) -> dict[str, T]:
    """Return the files of a group of the configuration, validated."""
    from omegaconf import OmegaConf

    found: dict[str, T] = {}
    for path in sorted(folder.glob("*.yaml")):
        merged = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.load(path))
        found[path.stem] = OmegaConf.to_object(merged)  # type: ignore[assignment]
    return found


def _tokens(model: ModelConfig) -> int:
    """Return the length of the sequence that memory is told for."""
    return min(SEQUENCE_TOKENS, model.context_tokens or SEQUENCE_TOKENS)


def _known(name: str, known: dict[str, T], what: str) -> T:
    if name not in known:
        raise ConfigError(f"There is no {what} '{name}'", did_you_mean(name, known))
    return known[name]


def _size(level: Level) -> str:
    if not level.bytes:
        return ""
    return size(level.bytes) if level.is_here else f"≈{size(level.bytes)}"


def _billions(number: float | None) -> str:
    return f"{number:.3g}" if number else ""


def _number(count: float) -> str:
    """Return gigabytes without their unit, for a narrow column."""
    digits = 1 if count >= 1e8 else 2
    return f"{count / 1e9:.{digits}f}" if count else ""
