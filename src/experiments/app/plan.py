"""What a sweep will take, before it begins: its jobs composed, and each foreseen.

Hydra composes the jobs as it does for a sweep, and starts none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.app import fidelity, race
from experiments.app.jobs import combinations, split, swept
from experiments.app.parts import parts
from experiments.environment.project import at_hand
from experiments.environment.terminal import counted, duration, size, spread, when
from experiments.errors import UserError, WeightsError
from experiments.records import CHOICES

if TYPE_CHECKING:
    from experiments.experiment.estimating import Estimate
    from experiments.experiment.forecast import Forecast
    from experiments.records import Dataset


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
        line = f"{counted(len(self.jobs), 'job')}, {counted(count, 'generation')}: "
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
        parts = [f"{counted(len(here), 'file')} here"] if here or not files else []
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
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides(list(overrides))
    given = [each.input_line or "" for each in parsed if not each.is_sweep_override()]
    whole = compose(config_name, given, return_hydra_config=True)
    jobs = combinations(parser, whole.hydra.sweeper.get("params") or {}, overrides)
    if whole.hydra.sweeper._target_.endswith(".RaceSweeper"):
        race.refuse(whole, jobs)
    if whole.fidelity:
        fidelity.refuse(jobs)
    found = foresee(jobs, Path(whole.store).parent, config_name, measures)
    reasons = {str(reason): reason for job in found for reason in job.refusals}
    if len(reasons) == 1 and not any(job.keys for job in found):
        raise next(iter(reasons.values()))
    return SweepPlan(found, names(jobs), at_hand(whole.models))


def foresee(
    jobs: Sequence[Sequence[str]],
    outputs: Path,
    config_name: str = "config",
    measures: bool = False,
) -> list[Forecast]:
    """Return what each of some jobs will take; why one is refused is in its forecast.

    Args:
        jobs: the overrides of each.
        outputs: folder below which earlier runs are.
        config_name: of the main configuration.
        measures: measure this machine where no earlier run tells.
    """
    from experiments.experiment.forecast import Forecast, Forecaster

    forecaster = Forecaster(outputs, measures)
    datasets: dict[str, Dataset] = {}

    def loaded(key: str, load: Callable[[], Dataset]) -> Dataset:
        if key not in datasets:
            datasets[key] = load()
        return datasets[key]

    found = []
    for job in jobs:
        config = compose(config_name, list(job))
        of_job = parts(config)
        data = OmegaConf.to_yaml(config.dataset, resolve=True)
        of_job["make_dataset"] = partial(loaded, data, of_job["make_dataset"])
        words = [each for each in job if not each.startswith("hydra")]
        with _collected() as warnings:
            try:
                made = forecaster.forecast(**of_job, overrides=words)
            except UserError as refusal:
                made = Forecast(labels=dict(split(each) for each in job), refusals=(refusal,))
        found.append(replace(made, warnings=(*warnings, *made.warnings)))
    return found


def names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return what tells each job from the others."""
    places = swept(jobs)
    return [" · ".join(_name(job[place]) for place in places) or "the run" for job in jobs]


def _name(override: str) -> str:
    key, value = split(override)
    return value if key in CHOICES else f"{key}={value}"


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Keep warnings of this project for later; what else it says is not shown."""
    found: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, keeper = logging.getLogger("experiments"), Keeper(logging.WARNING)
    before = logger.propagate
    logger.addHandler(keeper)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = before
        logger.removeHandler(keeper)
