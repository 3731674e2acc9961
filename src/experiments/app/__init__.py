"""From Hydra's configuration to runs: validates, instantiates, and tells what went wrong.

Each job ends in its own folder with either `metrics.json` or `failure.txt`. A job that
fails does not stop a sweep; the exit code tells that one failed.
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from experiments.app import sent, trust
from experiments.app.allocation import settle
from experiments.app.continuing import Checker, identity
from experiments.app.explain import explain, full_disk, no_folder, unreadable_file
from experiments.app.parts import parts
from experiments.app.run_folder import register
from experiments.app.secrets import from_environment, mask_configuration
from experiments.app.sweep import failed_jobs, whose_jobs_may_die
from experiments.environment.project import PROJECT
from experiments.errors import ConfigError, UserError, masked, printable
from experiments.schema import Config
from experiments.store import claims, runs
from experiments.tracking.opening import address

if TYPE_CHECKING:
    from experiments import experiment

log = logging.getLogger(__name__)

ConfigStore.instance().store(name="base_config", node=Config)
register()

FAILED = 1
USER_ERROR = 1
INTERRUPTED = 130


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

    A run's file among the arguments takes the place of `conf/config.yaml` (see `sent`).
    A user's mistake is told in one line; a bug keeps its traceback. Set `HYDRA_FULL_ERROR=1`
    to see the traceback of a mistake, too.
    """
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors reach the lines below
    logging.raiseExceptions = False  # a log on a full disk must not bury the reason
    failed_jobs.clear()
    register_launchers()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    try:
        name, arguments = sent.take(sys.argv[1:])
        sys.argv[1:] = arguments + (["--config-name", name] if name == sent.SENT else [])
        trust.check_command(sys.argv[1:], Path(inspect.getfile(inspect.unwrap(task))).parent)
        with whose_jobs_may_die():
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


def run_job(config: DictConfig) -> None:
    """Run one job of a sweep, or the only one."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if Path(HydraConfig.get().runtime.cwd).is_relative_to(folder):
        failed_jobs.append(folder)  # and nothing is written there: not even why
        log.error(
            "error: The run's folder would be %s, which is no folder of its own. Name another: "
            "hydra.run.dir=outputs/NAME",
            folder,
        )
        return
    try:
        mask_configuration(folder, _sweep_folder())
        with readable_config_errors(), claims.claimed(folder) as claim:
            config = _typed(config)
            is_complete = Checker().is_complete(folder, config)
            if not is_complete:
                runs.begin(folder)
                _run(config, folder, claim)
        if is_complete:  # whoever brings to MLflow what it lacks of the run claims it, too
            _leave(config, folder)
    except Exception as error:
        failed_jobs.append(folder)
        mistake = error if isinstance(error, UserError) else full_disk(error)
        line = str(mistake) if mistake else masked("".join(traceback.format_exception(error)))
        log.error("error: %s", line.rstrip())
        _record_failure(folder, line)


def _leave(config: DictConfig, folder: Path) -> None:
    """Leave a complete job as it is: say so, and bring to MLflow what it may lack."""
    from experiments import experiment, report

    log.info("Complete already, and not made again (rerun=all does): %s", report.shown(folder))
    if config.tracking.enabled:
        experiment.catch_up(folder, address(config.tracking.uri))
    if HydraConfig.get().mode == RunMode.RUN:
        report.show([report.read_report(folder)])
        report.show_next_steps(folder, OmegaConf.to_object(config.tracking))  # type: ignore[arg-type]


def _typed(config: DictConfig) -> DictConfig:
    """Return a configuration that has the schema: a saved one names none."""
    if OmegaConf.get_type(config) is Config:
        return config
    typed: Any = OmegaConf.merge(OmegaConf.structured(Config), config)
    return typed  # type: ignore[no-any-return]


def plan_of(
    config: DictConfig,
    folder: Path,
    overrides: Sequence[str],
    sweep_folder: Path | None = None,
    claim: int | None = None,
) -> experiment.Plan:
    """Turn a configuration into a run that is ready to start, and write it down in its folder.

    Raises:
        UserError: a mistake in the configuration, the problems or the weights.
    """
    from experiments import experiment

    job = identity(config)
    settle(config)
    of_run = parts(config)
    is_single = config.fidelity and HydraConfig.get().mode == RunMode.RUN
    if is_single and of_run["needs_weights"]:
        from experiments.app import fidelity

        fidelity.refuse([HydraConfig.get().overrides.task])
    plan = experiment.plan(
        **of_run,
        folder=folder,
        overrides=overrides,
        sweep_folder=sweep_folder,
        identity=job,
        claim=claim,
        hidden=from_environment(config),
    )
    experiment.share(config, plan)
    return plan


def _run(config: DictConfig, folder: Path, claim: int) -> None:
    """Run what a configuration says."""
    from experiments import experiment, report

    overrides = list(HydraConfig.get().overrides.task)
    plan = plan_of(config, folder, overrides, _sweep_folder(), claim)
    if HydraConfig.get().mode == RunMode.RUN:
        experiment.run(plan, shown=lambda result: report.show([result]))
        report.show_next_steps(folder, plan.settings.tracking)
    else:  # the whole sweep is shown at its end
        experiment.run(plan)


def _sweep_folder() -> Path | None:
    hydra = HydraConfig.get()
    return Path(hydra.sweep.dir).resolve() if hydra.mode == RunMode.MULTIRUN else None


def _record_failure(folder: Path, text: str) -> None:
    """Leave the reason in the job's folder; the log has it already if this fails, too."""
    try:
        folder.joinpath("failure.txt").write_text(printable(text.rstrip()) + "\n", "utf-8")
    except OSError as error:
        log.error("error: failure.txt could not be written in %s: %s", folder, error)


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Log lines that go to standard error, so that progress bars and tables stay whole."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line with a mark for its level."""
        from experiments.environment.terminal import console

        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno, "")
        console.print(masked(self.format(record)), style=style, markup=False, soft_wrap=True)


class PrintableFormatter(logging.Formatter):
    """Makes log lines that can be shown in any terminal and written to any file."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with control characters escaped and without passwords."""
        return masked(printable(super().format(record)))


@contextmanager
def readable_config_errors() -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise about a configuration into one line."""
    try:
        yield
    except UserError:
        raise
    except (YAMLError, UnicodeDecodeError) as error:
        raise unreadable_file(error, [PROJECT / "conf"]) from error
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        if cause is not None and not isinstance(cause, UserError | OmegaConfBaseException):
            raise  # a bug inside a class that was instantiated keeps its traceback
        raise (cause if isinstance(cause, UserError) else ConfigError(explain(error))) from error


def _tell(line: str) -> None:
    print(printable(line), file=sys.stderr)
