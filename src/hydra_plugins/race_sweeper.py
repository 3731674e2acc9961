"""The sweeper `race`, where Hydra looks for plugins: a package of this name, without `__init__`.

Hydra imports this file whenever it starts, so the race itself is imported when there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RaceSweeper(Sweeper):
    """Runs all combinations on the same problems, block by block, until the best is known.

    Args:
        params: what is swept over, beside the command line.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self._params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a sweep needs and make the launcher that the configuration names."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._launched = 0

    def sweep(self, arguments: list[str]) -> None:
        """Race the combinations of what the command line and `params` give."""
        from experiments.app.jobs import combinations
        from experiments.app.race import race

        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        race(self.config, combinations(parser, self._params, arguments), self._launch)

    def _launch(self, jobs: Sequence[Sequence[str]]) -> None:
        """Have jobs run, each with its overrides."""
        assert self.launcher is not None
        self.validate_batch_is_legal(jobs)
        self.launcher.launch(jobs, initial_job_idx=self._launched)
        self._launched += len(jobs)
