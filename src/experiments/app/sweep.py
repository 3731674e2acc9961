"""What happens around the jobs of a sweep: its parent run, its table, and jobs that died."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.app import continuing
from experiments.app.run_folder import decide
from experiments.app.secrets import mask_configuration
from experiments.errors import TrackingError, UserError
from experiments.schema import TrackingConfig

if TYPE_CHECKING:
    from experiments.experiment import Sweep

log = logging.getLogger(__name__)

LONG_SECONDS = 3600.0
"""A sweep that takes longer says what it will take as it begins."""

failed_jobs: list[Path] = []
"""Folders of the jobs that failed in this process, or in the sweep that it runs."""

_going: list[tuple[Sweep, TrackingConfig]] = []
"""The sweep of this process that goes on, if there is one."""


class SweepCallback(Callback):
    """Opens the sweep's parent run before the jobs and shows the whole when they ended."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Decide where a single run has its folder."""
        decide(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the database and the parent run once, before any job needs them."""
        from experiments import experiment

        # Hydra swallows what a callback raises. The jobs meet the same error and tell it.
        try:
            folder = decide(config)
            folder.mkdir(parents=True, exist_ok=True)
            tracking: Any = OmegaConf.to_object(config.tracking)
            sweep = experiment.Sweep(folder, continuing.request(config))
            _going.append((sweep, tracking))
            sweep.track(tracking, list(config.hydra.overrides.task))
        except TrackingError as error:
            log.warning("warning: %s", error)
        except (UserError, OmegaConfBaseException, OSError) as error:
            log.debug("The sweep's parent run was not opened: %s", error)
        _show_plan(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show all jobs in one table and name those that failed."""
        if config.fidelity and _going:
            _compare_levels(_going[-1][0].folder, config)
        _end()


@contextmanager
def whose_jobs_may_die() -> Iterator[None]:
    """Show what there is of a sweep whose launcher gives up because a job's process died.

    Launchers raise then what their libraries do. Each job that died is told in a line, with the
    table of the others; any other failure is a bug, and keeps its traceback.
    """
    _going.clear()
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException):
        raise
    except Exception as error:
        if not _going or not _died(_going[-1][0].folder):
            raise
        _end()
        log.error(
            "error: The launcher gave up when a job's process died (%s). The same command makes "
            "what is missing.",
            type(error).__name__,
        )


def _end() -> None:
    """Show the sweep that goes on, and end it."""
    from experiments import report

    if not _going:
        return
    sweep, tracking = _going.pop()
    mask_configuration(sweep.folder, sweep.folder)  # of a sweep none of whose jobs began
    written = report.show_sweep(sweep.folder)
    failed_jobs.extend(path for path in written.failed if path not in failed_jobs)
    try:
        sweep.close(bool(written.failed), written.summary)
    except UserError as error:
        log.warning("warning: %s", error)
    report.show_next_steps(sweep.folder, tracking)


def _compare_levels(folder: Path, config: DictConfig) -> None:
    """Hold the levels of a sweep against each other; its runs stand whatever becomes of it."""
    from experiments.app import readable_config_errors
    from experiments.app.fidelity import compare_levels

    try:
        with readable_config_errors():
            compare_levels(folder, config)
    except UserError as error:
        log.warning("warning: levels were not compared: %s", error)


def _died(folder: Path) -> list[Path]:
    """Return the jobs that ended without a word, when none runs any more."""
    from experiments import report
    from experiments.store import claims, runs

    while any(claims.is_claimed(path.parent) for path in folder.glob(f"*/{claims.CLAIM}")):
        time.sleep(1.0)  # a launcher gives up at the first that dies; others go on
    failures = report.find_runs([folder])[1]
    return [path for path, _ in failures if not (path / runs.FAILURE).exists()]


def _show_plan(config: DictConfig) -> None:
    """Say what a long sweep will take; what is wrong with a job is told when its turn comes."""
    from experiments.app.plan import plan
    from experiments.environment.terminal import console

    try:
        overrides = [*config.hydra.overrides.hydra, *config.hydra.overrides.task]
        found = plan(overrides, config_name=config.hydra.job.config_name)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        log.debug("The sweep was not foreseen: %s", error)
        return
    if found.seconds.value > LONG_SECONDS:
        if config.hydra.sweeper._target_.endswith(".RaceSweeper"):
            console.print("A race takes this at most.")
        console.print("\n".join(found.lines()), markup=False, soft_wrap=True)
