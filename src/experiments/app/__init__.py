"""From Hydra's configuration to runs: validates, instantiates, and tells what went wrong.

Each job ends in its own folder with either `metrics.json` or `failure.txt`. A job that
fails does not stop a sweep; the exit code tells that one failed.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from hydra.utils import get_class, get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.app.explain import explain, full_disk, no_folder, refuse_unknown
from experiments.app.run_folder import register
from experiments.app.share import settle
from experiments.errors import ConfigError, UserError
from experiments.schema import Config

log = logging.getLogger(__name__)

ConfigStore.instance().store(name="base_config", node=Config)
register()

FAILED = 1
USER_ERROR = 1
INTERRUPTED = 130

LONG_SECONDS = 3600.0
"""A sweep that takes longer says what it will take as it begins."""


def register_launchers() -> None:
    """Let `hydra/launcher=joblib` be conf/hydra/launcher/planned_joblib.yaml.

    The plugin's own configuration of that name takes no account of cores and memory. Plugins
    store theirs when Hydra loads them, so that comes first.
    """
    Plugins.instance()
    node = {"defaults": ["planned_joblib"]}
    ConfigStore.instance().store(group="hydra/launcher", name="joblib", node=node)


def main(task: Callable[[], Any]) -> int:
    """Run Hydra's entry point and return the exit code.

    A user's mistake is told in one line; a bug keeps its traceback. Set `HYDRA_FULL_ERROR=1`
    to see the traceback of a mistake, too.
    """
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors reach the lines below
    logging.raiseExceptions = False  # a log on a full disk must not bury the reason
    failed_jobs.clear()
    register_launchers()
    try:
        task()
    except KeyboardInterrupt:
        _tell("Interrupted. What is done is kept: the same command goes on from there.")
        return INTERRUPTED
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        _tell(f"error: {explain(error)}")
        return USER_ERROR
    except OSError as error:
        if wants_traceback or not error.filename:
            raise
        _tell(f"error: {no_folder(error)}")
        return USER_ERROR
    except ValueError as error:
        if wants_traceback or not str(error).startswith("Config group override"):
            raise  # not what Hydra raises for `model=3`
        _tell(f"error: {explain(error)}")
        return USER_ERROR
    return FAILED if failed_jobs else 0


failed_jobs: list[Path] = []
"""Folders of the jobs of this process that failed."""


def run_job(config: DictConfig) -> None:
    """Run one job of a sweep, or the only one."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        folder.joinpath("failure.txt").unlink(missing_ok=True)  # of an attempt before this one
        with readable_config_errors():
            _run(config, folder)
    except Exception as error:
        failed_jobs.append(folder)
        mistake = error if isinstance(error, UserError) else full_disk(error)
        line = str(mistake) if mistake else "".join(traceback.format_exception(error))
        log.error("error: %s", line.rstrip())
        _record_failure(folder, line)


def _run(config: DictConfig, folder: Path) -> None:
    """Turn the configuration into the parts of a run, and run it."""
    from experiments import experiment, report

    refuse_unknown(config, _arguments)
    settle(config)
    settings: Config = OmegaConf.to_object(config)  # type: ignore[assignment]
    plan = experiment.plan(
        settings,
        make_dataset=lambda: instantiate(config.dataset),
        make_backend=lambda **given: instantiate(config.backend, **given),
        needs_weights=_needs_weights(config.backend._target_),
        folder=folder,
        overrides=list(HydraConfig.get().overrides.task),
        sweep_folder=_sweep_folder(),
    )
    if HydraConfig.get().mode == RunMode.RUN:
        experiment.run(plan, shown=lambda result: report.show([result]))
        report.show_next_steps(folder, settings.tracking)
    else:  # the whole sweep is shown at its end
        experiment.run(plan)


def _arguments(target: str) -> Iterable[str]:
    return inspect.signature(get_object(target)).parameters


def _needs_weights(backend: str) -> bool:
    needed: bool = get_class(backend).needs_weights  # type: ignore[attr-defined]
    return needed


def _sweep_folder() -> Path | None:
    hydra = HydraConfig.get()
    return Path(hydra.sweep.dir).resolve() if hydra.mode == RunMode.MULTIRUN else None


def _record_failure(folder: Path, text: str) -> None:
    """Leave the reason in the job's folder; the log has it already if this fails, too."""
    try:
        folder.joinpath("failure.txt").write_text(text.rstrip() + "\n", encoding="utf-8")
    except OSError as error:
        log.error("error: failure.txt could not be written in %s: %s", folder, error)


class SweepCallback(Callback):
    """Opens the sweep's parent run before the jobs and shows the whole when they ended."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the database and the parent run once, before any job needs them."""
        from experiments import experiment

        folder = Path(config.hydra.sweep.dir).resolve()
        # Hydra swallows what a callback raises. The jobs meet the same error and tell it.
        try:
            tracking: Any = OmegaConf.to_object(config.tracking)
            experiment.open_sweep(tracking, folder, list(config.hydra.overrides.task))
        except (UserError, OmegaConfBaseException) as error:
            log.debug("The sweep's parent run was not opened: %s", error)
        _show_plan(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show all jobs in one table and name those that failed."""
        from experiments import experiment, report

        folder = Path(config.hydra.sweep.dir).resolve()
        written = report.show_sweep(folder)
        failed_jobs.extend(path for path in written.failed if path not in failed_jobs)
        report.show_next_steps(folder, config.tracking)
        try:
            experiment.close_sweep(
                folder, bool(written.failed), written.summary, written.files, written.figures
            )
        except UserError as error:
            log.warning("warning: %s", error)


def _show_plan(config: DictConfig) -> None:
    """Say what a long sweep will take; what is wrong with a job is told when its turn comes."""
    from experiments.app.plan import plan
    from experiments.environment.terminal import console

    try:
        found = plan([*config.hydra.overrides.hydra, *config.hydra.overrides.task])
    except (UserError, HydraException, OmegaConfBaseException) as error:
        log.debug("The sweep was not foreseen: %s", error)
        return
    if found.seconds.value > LONG_SECONDS:
        if config.hydra.sweeper._target_.endswith(".RaceSweeper"):
            console.print("A race takes this at most.")
        console.print("\n".join(found.lines()), markup=False, soft_wrap=True)


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Log lines that go to standard error, so that progress bars and tables stay whole."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line with a mark for its level."""
        from experiments.environment.terminal import console

        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno, "")
        console.print(self.format(record), style=style, markup=False, soft_wrap=True)


@contextmanager
def readable_config_errors() -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise about a configuration into one line."""
    try:
        yield
    except UserError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        if cause is not None and not isinstance(cause, UserError | OmegaConfBaseException):
            raise  # a bug inside a class that was instantiated keeps its traceback
        raise (cause if isinstance(cause, UserError) else ConfigError(explain(error))) from error


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
