"""Hydra's launchers that a sweep can go through: where each is, and what it can be told.

They are plugins, which may not be installed; what they raise is told in a line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf

from experiments.errors import ConfigError


@dataclass(frozen=True)
class Kind:
    """One of Hydra's launchers.

    Attributes:
        install: what is typed to install it.
        target: its class.
        settings: the class of its configuration.
        further: settings that it takes and its configuration does not name.
        is_here: its jobs run on this machine and share it.
    """

    install: str
    target: str
    settings: str
    further: tuple[str, ...] = ()
    is_here: bool = False


_PIP = ".venv/bin/pip install"
_JOBLIB = "hydra_plugins.hydra_joblib_launcher"
_SUBMITIT = "hydra_plugins.hydra_submitit_launcher"

KINDS = {
    "joblib": Kind(
        f"{_PIP} hydra-joblib-launcher",
        f"{_JOBLIB}.joblib_launcher.JoblibLauncher",
        f"{_JOBLIB}.config.JobLibLauncherConf",
        is_here=True,
    ),
    "submitit_local": Kind(
        f"{_PIP} hydra-submitit-launcher",
        f"{_SUBMITIT}.submitit_launcher.LocalLauncher",
        f"{_SUBMITIT}.config.LocalQueueConf",
        further=("max_num_timeout",),
        is_here=True,
    ),
    "submitit_slurm": Kind(
        f"{_PIP} hydra-submitit-launcher",
        f"{_SUBMITIT}.submitit_launcher.SlurmLauncher",
        f"{_SUBMITIT}.config.SlurmQueueConf",
    ),
    "ray": Kind(
        # docs/clusters.md says why without its dependencies.
        f"{_PIP} -e '.[ray]' && {_PIP} --no-deps hydra-ray-launcher",
        "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
        f"{__name__}.RaySettings",  # that of the plugin is in a private module
    ),
}


@dataclass
class RaySettings:
    """What the launcher of Ray may be told: arguments of `ray.init` and of `ray.remote`."""

    ray: dict[str, Any] = field(default_factory=dict)


def find(name: str) -> tuple[Kind, Callable[..., Any]]:
    """Return a launcher's class.

    Raises:
        ConfigError: there is none of that name, it is not installed, or there is no Slurm.
    """
    if name not in KINDS:
        raise ConfigError(f"There is no launcher '{name}'", f"Known: {', '.join(KINDS)}.")
    kind = KINDS[name]
    try:
        found = get_class(kind.target)
    except Exception as error:
        raise ConfigError(
            f"The launcher {name} is not installed, or not all that it needs ({error})",
            f"Type: {kind.install}",
        ) from error
    if name == "submitit_slurm" and shutil.which("sbatch") is None:
        raise ConfigError(
            "There is no Slurm here: sbatch is not found",
            "Give the command on a machine of the cluster, or try it with +cluster=local.",
        )
    return kind, found


def check(kind: Kind, settings: Mapping[str, Any]) -> None:
    """Refuse what a launcher has no setting for, and values that do not fit.

    Raises:
        OmegaConfBaseException: names the setting.
    """
    known = OmegaConf.structured(get_class(kind.settings))
    given = {name: value for name, value in settings.items() if name not in kind.further}
    OmegaConf.merge({"hydra": {"launcher": known}}, {"hydra": {"launcher": given}})


def whole_number(name: str, value: Any) -> int:
    """Return a setting of the launcher that is a whole number.

    Raises:
        ConfigError: it is none.
    """
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"hydra.launcher.{name} is '{value}', which is no whole number",
            "See conf/hydra/launcher/*.yaml.",
        ) from None


def is_lost_worker(error: Exception) -> bool:
    """Return whether an error says that a process or a machine is gone."""
    from concurrent.futures import BrokenExecutor

    kinds: list[type[Exception]] = [BrokenExecutor]
    try:
        from submitit.core.utils import UncompletedJobError

        kinds.append(UncompletedJobError)
    except ImportError:
        pass
    try:
        from ray.exceptions import RayError, RayTaskError

        if isinstance(error, RayError) and not isinstance(error, RayTaskError):
            return True
    except ImportError:
        pass
    return isinstance(error, tuple(kinds))
