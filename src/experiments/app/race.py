"""A sweep as a race: jobs in rounds, each on the next block of problems, until it is decided.

Each candidate has one folder, which a round's job fills with the block that it answered. When
the race is over, each candidate runs once more on all problems that it was asked: nothing is
generated anew, and its folder and its MLflow run say how far it came. `race.json` in the sweep's
folder holds the race. What was stopped goes on with the same command, as each round finds its
generations in the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from experiments.app import readable_config_errors, trust
from experiments.app.continuing import identity
from experiments.app.jobs import split, swept
from experiments.environment.terminal import console
from experiments.errors import ConfigError
from experiments.records import Dataset, Outcome
from experiments.report.racing import THAN
from experiments.schema import Config, RaceConfig, Rerun, SamplingConfig, check
from experiments.store import runs, write_text
from experiments.store.files import read_object

if TYPE_CHECKING:
    from experiments.stats.race import Race, Standing

SAME_FOR_ALL = ("seed", "limit", "dataset", "race", "sampling.samples", "cache", "store")
"""Settings, and blocks of them, that candidates may not differ in."""

Launch = Callable[[Sequence[Sequence[str]]], None]


def race(config: DictConfig, candidates: Sequence[Sequence[str]], launch: Launch) -> None:
    """Race candidates. The sweep's report tells how it ended.

    A job that fails ends the race: the sweep tells which one and why.

    Args:
        config: of the sweep.
        candidates: the overrides of each.
        launch: has jobs run, given the overrides of each.

    Raises:
        UserError: this is no race, a setting is out of range, or there are no problems.
    """
    from experiments.stats.race import Race

    asked = refuse(config, candidates)
    with readable_config_errors():
        dataset: Dataset = trust.made(config.dataset, "dataset")
    problems = [problem.id for problem in dataset.problems[: config.limit]]
    names = _names(candidates)
    going = Race(
        names,
        problems,
        seed=config.seed,
        alpha=asked.alpha,
        margin=asked.margin,
        block=asked.block,
        question=asked.question.value,
        population=asked.population,
    )
    folder = Path(config.hydra.sweep.dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
    folders = {name: folder / str(index) for index, name in enumerate(names)}
    overrides = dict(zip(names, candidates, strict=True))
    asked_for = [identity(config), dataset.digest, [list(each) for each in candidates]]
    failed: list[str] = []

    def job(name: str, start: int, stop: int) -> list[str]:
        """Return the overrides of a job that runs a candidate on some of the problems."""
        part = [f"race.start={start}", f"race.stop={stop}"]
        return [*overrides[name], *part, f"hydra.sweep.subdir={folders[name].name}"]

    ended = _ended(folder / runs.RACE, asked_for) if config.rerun is not Rerun.all else None
    if ended is not None:  # the same command again: candidates that are complete say so
        launch([job(name, 0, problems) for name, problems in ended.items()])
        return
    while (block := going.next_block()) and not failed:
        running = going.running
        start = going.standing().runners[names.index(running[0])].problems
        launch([[*job(n, start, start + len(block)), "tracking.enabled=false"] for n in running])
        failed = [name for name in running if _has_failed(folders[name])]
        if not failed:
            going.observe({name: _outcomes(folders[name]) for name in running})
            write(folder / runs.RACE, going, asked, overrides, asked_for)
            _tell_round(going.standing(), len(problems))
    standing = going.standing()
    launch(
        [
            job(runner.candidate, 0, runner.problems)
            for runner in standing.runners
            if runner.problems and runner.candidate not in failed
        ]
    )


def _ended(path: Path, asked_for: Sequence[Any]) -> dict[str, int] | None:
    """Return how many problems each candidate answered in a race that is over, if it is the same.

    None: the race has to go on, from the store.
    """
    kept = read_object(path)
    if not kept.get("over") or kept.get("asked_for") != asked_for:
        return None
    return {each["candidate"]: each["problems"] for each in kept["runners"]}


def refuse(config: DictConfig, candidates: Sequence[Sequence[str]]) -> RaceConfig:
    """Refuse what is no race; return the settings of one.

    Raises:
        ConfigError: a setting is out of range, or these candidates cannot race.
    """
    asked: RaceConfig = OmegaConf.to_object(config.race)  # type: ignore[assignment]
    sampling: SamplingConfig = OmegaConf.to_object(config.sampling)  # type: ignore[assignment]
    check(Config(limit=config.limit, race=asked, sampling=sampling))
    if len(candidates) < 2:
        raise ConfigError(
            "A race needs two candidates or more, and there is one",
            "Give several: python run.py -m hydra/sweeper=race quantization=q8_0,q4_k_m",
        )
    for key in (split(candidates[0][place])[0] for place in swept(candidates)):
        block = next((name for name in SAME_FOR_ALL if f"{key}.".startswith(f"{name}.")), None)
        if block is not None:
            raise ConfigError(
                f"The candidates of a race cannot differ in {key}",
                f"Give {key} one value, or sweep without hydra/sweeper=race.",
            )
    if (sampling.samples or 1) > 1:
        raise ConfigError(
            f"A race compares one answer per problem, and sampling.samples={sampling.samples}",
            "Set sampling.samples=1, or sweep without hydra/sweeper=race.",
        )
    return asked


def _names(candidates: Sequence[Sequence[str]]) -> list[str]:
    """Return what tells each candidate from the others.

    Raises:
        ConfigError: nothing does.
    """
    places = swept(candidates)
    names = [" · ".join(split(each[place])[1] for place in places) for each in candidates]
    if len(set(names)) < len(names):
        raise ConfigError("A candidate of the race is given twice", "Give each choice once.")
    return names


def _has_failed(folder: Path) -> bool:
    """Return whether the job in a folder failed; its earlier results are no result then."""
    if runs.is_finished(folder) and not (folder / runs.FAILURE).exists():
        return False
    (folder / runs.METRICS).unlink(missing_ok=True)
    return True


def _outcomes(folder: Path) -> dict[str, bool]:
    """Return which problems a candidate solved in its last block."""
    return {
        verdict.problem_id: verdict.plus is Outcome.PASSED for verdict in runs.read_verdicts(folder)
    }


def write(
    path: Path,
    going: Race,
    asked: RaceConfig,
    overrides: dict[str, Sequence[str]],
    asked_for: Sequence[Any] = (),
) -> None:
    """Write the race as it stands, for the page and for the same command."""
    standing = going.standing()
    runners = [
        {**asdict(each), "folder": str(index), "overrides": list(overrides[each.candidate])}
        for index, each in enumerate(standing.runners)
    ]
    content: dict[str, Any] = {
        "question": asked.question.value,
        "alpha": asked.alpha,
        "margin": asked.margin,
        "population": asked.population,
        "block": asked.block,
        "order": list(going.order),
        "asked_for": asked_for,
        **asdict(standing),
        "saved": standing.saved,
        "runners": runners,
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _tell_round(standing: Standing, problems: int) -> None:
    """Say how far the race is and what the last block settled."""
    seen = max(each.problems for each in standing.runners)
    news = [
        f"{each.candidate} is {THAN[each.finding]} {each.other or 'the best'}"
        for each in standing.claims
        if each.problems == seen
    ]
    line = f"Race: {seen} of {problems} problems, {standing.leader} leads"
    console.print("; ".join([line, *news]), markup=False, soft_wrap=True)
