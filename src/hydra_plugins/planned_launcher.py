"""The launcher behind `hydra/launcher=joblib` and `+cluster=…`, where Hydra looks for plugins.

Hydra imports this file whenever it starts, so what it does is imported when there is a sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher


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
        given = {"launcher": launcher, "threads": threads, "retries": retries}
        self._given: dict[str, Any] = {**given, "settings": settings}

    def setup(self, **context: Any) -> None:
        """Keep what Hydra gives a launcher: its context, the task function, the configuration."""
        self._given |= context

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Have the jobs run; see `experiments.app.launching`."""
        from experiments.app.launching import Asked, launch

        return launch(Asked(**self._given), job_overrides, initial_job_idx)
