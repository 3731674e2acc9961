"""One run, told in a dozen lines, without Hydra.

`plan` does everything that can fail by a user's mistake, before a model is loaded; `run`
generates, judges, sums up and tracks. Results are written as they come, so that a run that
was cut short goes on where it stopped.
"""

from experiments.experiment.folder import share
from experiments.experiment.planning import Plan, plan
from experiments.experiment.running import run
from experiments.experiment.sweep import Sweep
from experiments.experiment.tracked import catch_up, catch_up_again

__all__ = ["Plan", "Sweep", "catch_up", "catch_up_again", "plan", "run", "share"]
