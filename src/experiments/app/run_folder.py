"""The folder of a run or a sweep: that of the same command if it was given before, else a new one.

A new one is made without a race. Two commands that are given within the same second, as array
jobs are, must not share a folder: making it is what decides whose it is.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.app import continuing
from experiments.environment.terminal import counted
from experiments.errors import UserError
from experiments.schema import Rerun
from experiments.store import claims

log = logging.getLogger(__name__)


_asking: list[DictConfig] = []
"""The configuration whose folder is being decided on; a resolver that keeps its result has none."""


def decide(config: DictConfig) -> Path:
    """Decide on the folder of a run or a sweep, before Hydra asks for it, and return it.

    The newest folder of the same request is taken, unless `rerun=all`, or what is complete there
    would come out otherwise today: its configuration, data set or weights have changed. A folder
    that the user names is taken as it is.
    """
    hydra = config.hydra
    _asking.append(config)
    try:
        return Path(hydra.sweep.dir if continuing.is_sweep(config) else hydra.run.dir).resolve()
    finally:
        _asking.clear()


def _folder_for(outputs: str, config: DictConfig) -> str:
    try:
        request = continuing.request(config)
    except OmegaConfBaseException:
        return new_folder(outputs)  # the job says what is wrong
    if config.rerun is not Rerun.all:
        checker = continuing.Checker()
        for folder in _asked_before(Path(outputs), request):
            with suppress(UserError, HydraException, OmegaConfBaseException, OSError):
                if not continuing.is_sweep(config):
                    if not continuing.has_result(folder) or checker.is_same(folder, config):
                        return str(folder)
                elif (
                    done := checker.complete_jobs(folder, config.hydra.job.config_name)
                ) is not None:
                    _tell(folder, done)
                    return str(folder)
    made = new_folder(outputs)
    with suppress(OSError):
        claims.ask(Path(made), request)
    return made


def new_folder(outputs: str) -> str:
    """Return a folder below `outputs` that was made just now: `DATE/TIME`, or `DATE/TIME-2`, ….

    Where no folder can be made, its name is returned all the same: whoever writes to it says why.
    """
    started = Path(outputs, time.strftime("%Y-%m-%d"), time.strftime("%H-%M-%S"))
    for number in itertools.count(1):
        folder = started if number == 1 else started.with_name(f"{started.name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.is_dir():
                continue
        except OSError:
            pass
        break
    return str(folder)


def register() -> None:
    """Let a configuration say `${run_folder:outputs}`: the same folder wherever it is said."""

    def resolve(outputs: str) -> str:
        return _folder_for(outputs, _asking[0]) if _asking else new_folder(outputs)

    OmegaConf.register_new_resolver("run_folder", resolve, use_cache=True, replace=True)


def _asked_before(outputs: Path, request: str) -> Iterator[Path]:
    """Yield the folders that were made for a request, the newest first."""
    for lock in sorted(outputs.glob(f"*/*/{claims.CLAIM}"), reverse=True):
        if claims.asked(lock.parent) == request:
            yield lock.parent


def _tell(folder: Path, done: int) -> None:
    jobs = counted(done, "job is", "jobs are")
    complete = f": {jobs} complete and not made again (rerun=all makes all anew)" if done else ""
    log.info("Going on with the sweep in %s%s.", folder, complete)
