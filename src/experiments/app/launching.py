"""A sweep's jobs through one of Hydra's launchers, each with what its plan asks for.

The launchers themselves are Hydra's plugins. What is added to them here:

- Memory, time and threads come from the plan of each job, where the configuration says `auto`.
- Jobs whose worker was killed are started again, some times, and are told as failed then.
- There is one progress for all (see `watching`); a job draws none of its own.

Jobs are handed on in batches: joblib takes all of them where it runs several at once, Slurm gets
an array for those that ask for the same, Ray and submitit's local executor get each by itself.
Whatever happens to a batch is nothing to the others.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.app.allocation import Allocation, take
from experiments.app.launchers import Kind, check, find, is_lost_worker, whole_number
from experiments.app.plan import foresee, names
from experiments.app.trust import quoted
from experiments.app.watching import Job, watched
from experiments.environment import machine
from experiments.environment.terminal import console, counted
from experiments.experiment import resources
from experiments.tracking.opening import address, database_file

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext


@dataclass(frozen=True)
class Asked:
    """What is asked of a launcher, and what Hydra gave it.

    Attributes:
        launcher: its name.
        threads: of each job, or `auto`.
        retries: how often jobs whose worker was killed are started again.
        settings: of the launcher.
        hydra_context, task_function, config: Hydra's.
    """

    launcher: str
    threads: int | str
    retries: int
    settings: Mapping[str, Any]
    hydra_context: HydraContext
    task_function: Callable[[DictConfig], Any]
    config: DictConfig


@dataclass(frozen=True)
class Task:
    """Hydra's task function where a job runs: with its allocation, and in the folder of the sweep.

    Attributes:
        function: Hydra's.
        allocations: by the name of a job's folder.
        started_in: the folder that relative paths begin at.
    """

    function: Callable[[DictConfig], Any]
    allocations: Mapping[str, Allocation]
    started_in: str

    def __call__(self, config: DictConfig) -> Any:
        """Run the job."""
        os.chdir(self.started_in)
        console.quiet = True  # run.log has it all, and `watching` shows it from there
        logging.getLogger("submitit").setLevel(logging.WARNING)
        take(self.allocations[str(HydraConfig.get().sweep.subdir)])
        return self.function(config)


@dataclass(frozen=True)
class Batch:
    """Jobs that are handed to a launcher together, and the settings that it gets."""

    jobs: tuple[Job, ...]
    settings: Mapping[str, Any]


def launch(asked: Asked, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Have jobs run; return what those returned that came to an end.

    Args:
        asked: launcher, settings, and what Hydra gave it.
        overrides: of each job.
        first: number of the first.

    Raises:
        ConfigError: there is no such launcher, it is not installed, or a number is none.
        OmegaConfBaseException: it has no such setting.
    """
    kind, launcher = find(asked.launcher)
    logging.getLogger("hydra_plugins").setLevel(logging.WARNING)  # they name each job once more
    jobs = _jobs(asked, overrides, first)
    settings = _plain(asked.settings)
    at_once = _at_once(kind, settings, jobs)
    threads = _threads(asked, kind, settings, at_once)
    allocations = {
        job.name: Allocation(threads, None if kind.is_here else job.parallel) for job in jobs
    }
    if not kind.is_here:
        _warn_of_sqlite(asked.config)
    task = Task(asked.task_function, allocations, os.getcwd())
    sweep = Path(str(asked.config.hydra.sweep.dir)).resolve()
    where = f"hydra.sweep.dir={quoted(str(sweep))}"  # a node of Ray works in another folder

    def run(batch: Batch) -> Sequence[JobReturn]:
        inner = launcher(**batch.settings)
        inner.setup(hydra_context=asked.hydra_context, task_function=task, config=asked.config)
        lines = [[*job.overrides, where, f"hydra.sweep.subdir={job.name}"] for job in batch.jobs]
        results: Sequence[JobReturn] = inner.launch(lines, initial_job_idx=first)
        return results

    results: list[JobReturn] = []
    with watched(jobs) as watch:
        left, retries, retry = list(jobs), whole_number("retries", asked.retries), 0
        while left:
            batches = list(_batches(asked.launcher, settings, left, at_once))
            for batch in batches:
                check(kind, batch.settings)
            if asked.launcher == "ray":
                _connect_to_ray(settings["ray"]["init"], anew=retry > 0)
            done, broken = _run_all(run, batches, at_once if kind.is_here else len(batches))
            results += done
            if broken and asked.launcher == "submitit_slurm":
                _wait_for_slurm(sweep)
            left = [job for job in left if not watch.has_ended(job)]
            if not left or not broken or retry >= retries:
                break
            retry += 1
            _warn(f"{len(left)} of {len(jobs)} jobs were cut off, and start again: {broken}")
        for job in left:
            if broken:
                watch.give_up(job, broken)
            else:  # which a network file system may show later
                _warn(f"warning: {job.title}: no result is in {job.folder}")
    return results


def _jobs(asked: Asked, overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
    """Return the jobs with what their plans say."""
    config = asked.config
    forecasts = foresee(overrides, Path(config.store).parent, config.hydra.job.config_name)
    taken = [each.memory.needed if each.memory else 0.0 for each in forecasts]
    jobs = []
    for number, (forecast, name) in enumerate(zip(forecasts, names(overrides), strict=True)):
        # One whose generations another job makes may have to make them, where that is later.
        is_new = bool(forecast.keys - forecast.kept)
        memory = taken[number] or (max(taken) if is_new else 0.0)
        folder = _folder(asked, overrides[number], first + number)
        jobs.append(
            Job(
                overrides=tuple(overrides[number]),
                name=folder.name,
                folder=folder,
                title=name,
                new=forecast.new,
                memory=memory + resources.BESIDE,
                seconds=forecast.seconds.high if forecast.seconds else 0.0,
                parallel=forecast.parallel,
            )
        )
    return jobs


def _folder(asked: Asked, overrides: Sequence[str], number: int) -> Path:
    """Return the folder of a job, as Hydra's own launcher finds it."""
    hydra = asked.config.hydra
    folder = Path(str(hydra.sweep.dir)).resolve()
    raw = OmegaConf.to_container(hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    given = [each for each in overrides if each.startswith("hydra.sweep.subdir=")]
    if given:
        return folder / given[-1].partition("=")[2]
    if raw["subdir"] == "${hydra.job.num}":
        return folder / str(number)
    config = asked.hydra_context.config_loader.load_sweep_config(asked.config, list(overrides))
    with open_dict(config):
        config.hydra.job.num = number
    return folder / str(config.hydra.sweep.subdir)


def _at_once(kind: Kind, settings: dict[str, Any], jobs: Sequence[Job]) -> int:
    """Return how many jobs go on at once on this machine."""
    if not kind.is_here:
        return len(jobs)
    asked = settings.get("n_jobs", "auto")
    free = machine.memory_available()
    needs = [job.memory for job in jobs]
    if asked == "auto":
        count = resources.at_once(needs, machine.cores(), free)
    else:
        count = whole_number("n_jobs", asked)
    return max(1, min(count if count > 0 else machine.cores(), len(jobs)))


def _threads(asked: Asked, kind: Kind, settings: dict[str, Any], at_once: int) -> int:
    """Return the threads of each job."""
    if asked.threads != "auto":
        return whole_number("threads", asked.threads)
    if asked.launcher == "ray":
        return whole_number("ray.remote.num_cpus", settings["ray"]["remote"].get("num_cpus", 1))
    if not kind.is_here:
        return whole_number("cpus_per_task", settings.get("cpus_per_task", 1))
    threads = max(1, machine.cores() // at_once)
    each = f"{threads} of {machine.cores()} cores"
    console.print(f"{counted(at_once, 'job')} at once, each with {each}.", markup=False)
    return threads


def _batches(
    launcher: str, settings: dict[str, Any], jobs: Sequence[Job], at_once: int
) -> Iterator[Batch]:
    """Yield jobs that are handed on together, with what is asked for them."""
    if launcher == "joblib" and at_once == 1:
        # With n_jobs=1 joblib runs jobs in this process: one that is killed would end the sweep.
        yield from (Batch((job,), {**settings, "n_jobs": 2}) for job in jobs)
        return
    if launcher == "joblib":
        yield Batch(tuple(jobs), {**settings, "n_jobs": at_once})
        return
    if launcher == "ray":
        for job in jobs:
            remote = dict(settings["ray"]["remote"])
            if remote.get("memory") == "auto":
                remote["memory"] = resources.gibibytes(job.memory) * resources.GIBIBYTE
            ray = OmegaConf.create({**settings["ray"], "remote": remote})
            yield Batch((job,), {**settings, "ray": ray})
        return
    alike: defaultdict[tuple[Any, Any], list[Job]] = defaultdict(list)
    for job in jobs:
        size, limit = settings.get("mem_gb"), settings.get("timeout_min", "auto")
        alike[
            resources.gibibytes(job.memory) if size == "auto" else size,
            resources.minutes(job.seconds) if limit == "auto" else limit,
        ].append(job)
    for (size, limit), some in alike.items():
        given = {**settings, "mem_gb": size, "timeout_min": limit}
        if launcher == "submitit_slurm":
            yield Batch(tuple(some), given)
        else:
            given = {name: value for name, value in given.items() if name != "n_jobs"}
            yield from (Batch((job,), given) for job in some)


def _run_all(
    run: Callable[[Batch], Sequence[JobReturn]], batches: Sequence[Batch], at_once: int
) -> tuple[list[JobReturn], str]:
    """Run batches, some at once; return their results, and why some were cut off, if they were.

    The threads are left behind by Ctrl-C: whoever waits in them waits for other processes.
    """
    waiting: queue.SimpleQueue[Batch] = queue.SimpleQueue()
    for batch in batches:
        waiting.put(batch)
    results: list[JobReturn] = []
    lost: list[Exception] = []
    bugs: list[Exception] = []

    def work() -> None:
        with suppress(queue.Empty):
            while not bugs:
                batch = waiting.get_nowait()
                try:
                    results.extend(run(batch))
                except Exception as error:
                    (lost if is_lost_worker(error) else bugs).append(error)

    if at_once == 1 or len(batches) == 1:
        work()  # joblib ends its workers at Ctrl-C, which reaches the main thread alone
    else:
        threads = [
            threading.Thread(target=work, name=f"jobs {number}", daemon=True)
            for number in range(min(at_once, len(batches)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if bugs:
        raise bugs[0]
    return results, f"a worker was killed ({type(lost[0]).__name__})" if lost else ""


def _wait_for_slurm(folder: Path) -> None:
    """Wait until no job of a sweep is in Slurm's hands any more: an array may outlive one job."""
    from submitit import SlurmJob

    for pickled in sorted(folder.glob(".submitit/*/*_submitted.pkl")):
        SlurmJob(folder=pickled.parent.parent / "%j", job_id=pickled.parent.name).wait()


def _connect_to_ray(settings: dict[str, Any], anew: bool) -> None:
    """Connect to Ray, once, as the launcher does it only if nobody has.

    Args:
        settings: of `ray.init`.
        anew: even if there is a connection: the node that it goes to may be the one that died.
    """
    import ray

    if anew:
        ray.shutdown()
    if not ray.is_initialized():
        ray.init(**settings)


def _warn_of_sqlite(config: DictConfig) -> None:
    uri = address(config.tracking.uri)
    if config.tracking.enabled and database_file(uri) is not None:
        _warn(
            f"Jobs on other machines will share {uri} over the network, which SQLite is not made "
            "for: tracking=server logs to a server (docs/clusters.md)."
        )


def _warn(text: str) -> None:
    console.print(text, style="yellow", markup=False, soft_wrap=True)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without OmegaConf's own classes, those that are null left out."""
    return {
        name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for name, value in settings.items()
        if value is not None
    }
