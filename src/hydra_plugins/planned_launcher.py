"""The launcher behind `hydra/launcher=joblib` and `+cluster=…`, where Hydra looks for plugins.

Hydra imports this file whenever it starts, so what it does is imported when there is a sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class PlannedLauncher(Launcher):
    """Has another launcher run the jobs, each with the resources that its plan asks for.

    Args:
        launcher: the other one; see `experiments.app.launching`.
        threads: of each job; auto: by the cores, or as many as the cluster gives it.
        retries: how often jobs whose worker was killed are started again.
        settings: of the other launcher; what is `auto` comes from the plan.
    """

    def __init__(
        self, launcher: str, threads: int | str = "auto", retries: int = 2, **settings: Any
    ) -> None:
        self.launcher = launcher
        self.threads = threads
        self.retries = retries
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what launching needs."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Have the jobs run; see `experiments.app.launching`."""
        from experiments.app.launching import launch

        return launch(self, job_overrides, initial_job_idx)
