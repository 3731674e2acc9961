"""What a sweep will take, before it begins: its jobs composed, and each foreseen.

Hydra composes the jobs as it does for a sweep, and starts none.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from experiments.app import trust
from experiments.app.explain import refuse_unknown
from experiments.environment.project import at_hand
from experiments.environment.terminal import duration, spread, when
from experiments.errors import ConfigError, UserError, WeightsError
from experiments.records import CHOICES
from experiments.schema import Config

if TYPE_CHECKING:
    from experiments.experiment.estimating import Estimate
    from experiments.experiment.forecast import Forecast
    from experiments.records import Dataset


def combinations(
    parser: OverridesParser, params: Mapping[str, Any], overrides: Sequence[str]
) -> list[list[str]]:
    """Return the overrides of each job of a sweep, as Hydra's basic sweeper combines them.

    Args:
        parser: of overrides.
        params: what the configuration sweeps over.
        overrides: of the command line, which come before those.

    Raises:
        ConfigError: a sweep that is no list of values.
    """
    choices: dict[str, list[str]] = {}
    for override in parser.parse_overrides([*(f"{k}={v}" for k, v in params.items()), *overrides]):
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise ConfigError(
                    f"{override.input_line} is no list of values", f"Write {key}=VALUE,VALUE."
                )
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [override.input_line or ""]
    return [list(each) for each in itertools.product(*choices.values())]


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep will take.

    Attributes:
        jobs: one forecast for each.
        names: what tells each from the others.
        models: folder of weights.
    """

    jobs: Sequence[Forecast]
    names: Sequence[str]
    models: Path

    @property
    def refusals(self) -> list[str]:
        """Why runs would end at once, each reason once."""
        from experiments.experiment import forecast

        found = [str(reason) for job in self.jobs for reason in job.refusals]
        needed, free = forecast.disk(forecast.new_files(self.jobs), self.models)
        if needed > free:
            error = WeightsError(
                f"The weights need {size(needed)}, and the disk of {self.models} has {size(free)}",
                "Make room, or set models to a folder on another disk.",
            )
            found.append(str(error))
        return list(dict.fromkeys(found))

    @property
    def warnings(self) -> list[str]:
        """What runs would warn of, each once."""
        return list(dict.fromkeys(warning for job in self.jobs for warning in job.warnings))

    @property
    def seconds(self) -> Estimate:
        """The time of all jobs, one after the other."""
        from experiments.experiment import estimating

        return estimating.total(job.seconds for job in self.jobs if job.seconds)

    def lines(self) -> list[str]:
        """Return the plan in five lines at most."""
        found = [self._generations(), self._weights(), self._memory(), self._time(), self._usd()]
        return [line for line in found if line]

    def _generations(self) -> str:
        from experiments.weights import Fetch, Make

        count = len(frozenset().union(*(job.keys for job in self.jobs)))
        new = sum(job.new for job in self.jobs)
        line = f"{_count(len(self.jobs), 'job')}, {_count(count, 'generation')}: "
        if not count:
            return f"{line}each job is refused."
        if not new:
            return f"{line}all are in the store, and nothing is to be generated."
        line += f"{count - new:,} in the store, {new:,} to be made"
        if any(isinstance(job.decision, Fetch | Make) for job in self.jobs):
            line += " (for weights that are not here, nobody knows what the store has)"
        return f"{line}."

    def _weights(self) -> str:
        from experiments.experiment import forecast
        from experiments.weights import Here

        if all(job.decision is None for job in self.jobs):
            return ""
        here = {j.decision.path for j in self.jobs if isinstance(j.decision, Here)}
        files = forecast.new_files(self.jobs)
        parts = [f"{_count(len(here), 'file')} here"] if here or not files else []
        for is_made, words in ((False, "to be fetched"), (True, "to be made here")):
            if some := [file for file in files if file.is_made is is_made]:
                origins = list(dict.fromkeys(file.origin for file in some))
                shown = ", ".join(origins[:2]) + (", …" if len(origins) > 2 else "")
                sizes = f"≈{size(sum(file.bytes for file in some))}"
                parts.append(f"{len(some)} {words} ({sizes} from {shown})")
        needed, free = forecast.disk(files, self.models)
        room = f"; disk: {size(needed)} needed, {size(free)} free" if files else ""
        return f"Weights: {', '.join(parts)}{room}."

    def _memory(self) -> str:
        known = [(job.memory, name) for job, name in zip(self.jobs, self.names, strict=True)]
        taken = [(memory, name) for memory, name in known if memory is not None]
        if not taken:
            return ""
        most, name = max(taken, key=lambda each: each[0].needed)
        unfit = sum(memory.refusal is not None for memory, _ in taken)
        of = f" ({name})" if len(self.jobs) > 1 else ""
        one = len(taken) == 1
        end = "that fits" if one else "all fit"
        if unfit:
            end = "that does not fit" if one else f"{unfit} of {len(taken)} do not fit"
        return f"Memory: up to {size(most.needed)}{of}, {size(most.there)} free: {end}."

    def _time(self) -> str:
        whole = self.seconds
        if not whole.value:
            return ""
        sources = dict.fromkeys(job.source for job in self.jobs if job.seconds and job.source)
        return (
            f"Time: {duration(whole.value)} of generating ({spread(whole.low, whole.high)}), "
            f"{' and '.join(sources)}; begun now, over {when(time.time() + whole.value)}."
        )

    def _usd(self) -> str:
        from experiments.experiment import estimating

        priced = [job.usd for job in self.jobs if job.usd is not None]
        if not priced:
            return ""
        whole = estimating.total(priced)
        return f"Price: {whole.value:.2f} USD ({whole.low:.2f} to {whole.high:.2f})."


def plan(
    overrides: Sequence[str], measures: bool = False, config_name: str = "config"
) -> SweepPlan:
    """Return what a sweep, or a single run, will take.

    Args:
        overrides: as on the command line of a run.
        measures: measure this machine where no earlier run tells.
        config_name: of the main configuration.

    Raises:
        UserError: no job can be composed, or all are refused for one reason.
    """
    from experiments.experiment.forecast import Forecast, Forecaster

    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides(list(overrides))
    given = [each.input_line or "" for each in parsed if not each.is_sweep_override()]
    whole = compose(config_name, given, return_hydra_config=True)
    jobs = combinations(parser, whole.hydra.sweeper.get("params") or {}, overrides)
    forecaster = Forecaster(Path(whole.store).parent, measures)
    datasets: dict[str, Dataset] = {}
    found = []
    for job in jobs:
        config = compose(config_name, job)
        refuse_unknown(config, trust.arguments)
        with _collected() as warnings:
            try:
                made = _forecast(forecaster, config, job, datasets)
            except UserError as refusal:
                made = Forecast(labels=dict(_split(each) for each in job), refusals=(refusal,))
        found.append(replace(made, warnings=(*warnings, *made.warnings)))
    reasons = {str(reason): reason for job in found for reason in job.refusals}
    if len(reasons) == 1 and not any(job.keys for job in found):
        raise next(iter(reasons.values()))
    return SweepPlan(found, _names(jobs), at_hand(whole.models))


def _forecast(
    forecaster: Any, config: DictConfig, job: Sequence[str], datasets: dict[str, Dataset]
) -> Forecast:
    def dataset() -> Dataset:
        key = OmegaConf.to_yaml(config.dataset, resolve=True)
        if key not in datasets:
            datasets[key] = trust.made(config.dataset, "dataset")
        return datasets[key]

    settings: Config = OmegaConf.to_object(config)  # type: ignore[assignment]
    made: Forecast = forecaster.forecast(
        settings,
        dataset,
        lambda **given: trust.made(config.backend, "backend", **given),
        needs_weights=trust.needs_weights(config.backend),
        overrides=[each for each in job if not each.startswith("hydra")],
    )
    return made


def _split(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def _names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return what tells each job from the others."""
    swept = [index for index, values in enumerate(zip(*jobs, strict=True)) if len(set(values)) > 1]
    return [" · ".join(_name(job[index]) for index in swept) or "the run" for job in jobs]


def _name(override: str) -> str:
    key, value = _split(override)
    return value if key in CHOICES else f"{key}={value}"


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Keep warnings of this project for later; what else it says is not shown."""
    found: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                found.append(record.getMessage())

    logger, keeper = logging.getLogger("experiments"), Keeper()
    before = logger.propagate
    logger.addHandler(keeper)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = before
        logger.removeHandler(keeper)


def size(count: float) -> str:
    """Return bytes for a person."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 1e11 else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
