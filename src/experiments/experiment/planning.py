"""Configuration → a run that is ready to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from experiments.backends import Backend
from experiments.environment.project import at_hand
from experiments.errors import ConfigError, DatasetError, WeightsError, without
from experiments.experiment import resolving
from experiments.experiment.sweep import read_sweep
from experiments.prompts import Kind, render
from experiments.records import CHOICES, Dataset, Problem, Request, Weights
from experiments.schema import Config, ModelConfig, QuantizationConfig, Sampling, check
from experiments.weights import locate


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start: every part is there and was checked.

    Attributes:
        settings: the resolved configuration, with the sampling that is used.
        sampling: how tokens are chosen.
        requests: one per generation, in the order of problems and samples.
        labels: what tells this run from its siblings.
        parent: id of the sweep's MLflow run.
        overrides: what was said on the command line.
        sweep_folder: of the sweep that this run belongs to.
        identity: digest of all settings that decide the result; empty where nobody asks again.
        claim: the descriptor by which this process holds the folder.
        hidden: values that are not to be kept, and what is kept instead.
    """

    settings: Config
    dataset: Dataset
    kind: Kind
    weights: Weights | None
    backend: Backend
    sampling: Sampling
    requests: Sequence[Request]
    folder: Path
    labels: dict[str, str]
    parent: str | None
    overrides: Sequence[str]
    sweep_folder: Path | None = None
    identity: str = ""
    claim: int | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """The problems by their ids."""
        return {problem.id: problem for problem in self.dataset.problems}


def plan(
    settings: Config,
    make_dataset: Callable[[], Dataset],
    make_backend: Callable[..., Backend],
    folder: Path,
    *,
    needs_weights: bool,
    overrides: Sequence[str] = (),
    sweep_folder: Path | None = None,
    identity: str = "",
    claim: int | None = None,
    find_weights: Callable[[ModelConfig, QuantizationConfig, Path], Weights] = locate,
    hidden: Mapping[str, str] | None = None,
) -> Plan:
    """Return a run that is ready to start, in a folder that exists.

    Most arguments are as in `Plan`. A backend that needs weights, a GGUF of this disk, is made
    with `weights` and `thinking`; `find_weights` fetches or makes them if need be, and a forecast
    hands in what only foresees.

    Raises:
        UserError: a mistake in the configuration, the problems or the weights.
    """
    check(settings)
    if settings.fidelity and not needs_weights:
        raise no_weights_to_compare()
    thinking = resolving.thinking(settings)
    sampling = resolving.sampling(settings)
    settings = replace(settings, sampling=sampling)
    dataset = _limited(make_dataset(), settings)
    if settings.pinned.dataset not in (None, dataset.digest):
        raise DatasetError(*_other(f"The data set {dataset.name}", dataset.digest, "dataset"))
    weights = None
    if needs_weights:
        weights = find_weights(settings.model, settings.quantization, at_hand(settings.models))
        if weights.sha256 and settings.pinned.weights not in (None, weights.sha256):
            raise WeightsError(*_other(f"{weights.path}", weights.sha256, "weights"))
    backend = make_backend(weights=weights, thinking=thinking)
    kind = _kind(settings, weights)
    prompts = [render(settings.prompt, problem, kind) for problem in dataset.problems]
    return Plan(
        settings=settings,
        dataset=dataset,
        kind=kind,
        weights=weights,
        backend=backend,
        sampling=sampling,
        requests=backend.prepare(prompts, sampling, settings.seed),
        folder=folder,
        labels=without(_labels(settings, weights, dataset, overrides), hidden or {}),
        parent=read_sweep(sweep_folder),
        overrides=without(overrides, hidden or {}),
        sweep_folder=sweep_folder,
        identity=identity,
        claim=claim,
        hidden=hidden or {},
    )


def no_weights_to_compare() -> ConfigError:
    """Return the error for levels of a model that are behind a server."""
    return ConfigError(
        "Only weights of this disk can be compared: a server tells no distributions",
        "Set backend=llama_cpp, or leave fidelity=true out.",
    )


def _other(what: str, digest: str, pinned: str) -> tuple[str, str]:
    """Return what is wrong with a file of another digest than a run is held to, and a way on."""
    return (
        f"{what} has the SHA-256 {digest[:12]}…, and this run is held to another by "
        f"pinned.{pinned}: results would not be comparable",
        f"To go on with what is here: pinned.{pinned}=null",
    )


def _limited(dataset: Dataset, settings: Config) -> Dataset:
    """Return the data set with the problems that are asked for, in the order of a race in one."""
    problems = dataset.problems[: settings.limit]
    if settings.race.stop is not None:
        from experiments.stats.race import in_race_order

        by_id = {problem.id: problem for problem in problems}
        order = in_race_order(by_id, settings.seed)[settings.race.start : settings.race.stop]
        problems = tuple(by_id[each] for each in order)
    return replace(dataset, problems=problems)


def _kind(settings: Config, weights: Weights | None) -> Kind:
    """Return how prompts are put: as the configuration says, else as the GGUF does."""
    if settings.model.kind is not None:
        return settings.model.kind.value
    return "completion" if weights is not None and weights.chat_template is None else "chat"


def _labels(
    settings: Config, weights: Weights | None, dataset: Dataset, overrides: Sequence[str]
) -> dict[str, str]:
    """Return what tells this run from others: the four choices, and all that was overridden."""
    level = weights.quantization if weights else ""
    names = (settings.model.name, level, settings.prompt.name, dataset.name)
    chosen = dict(zip(CHOICES, names, strict=True))
    others = (override.lstrip("+").partition("=") for override in overrides)
    return chosen | {
        key: value
        for key, _, value in others
        # How far a race came, and what a run is held to, tell no run from another.
        if key not in chosen and not key.startswith(("race.", "pinned."))
    }
