"""What a job may use of the machine that it runs on, where a launcher says so.

It is kept beside the configuration: how many cores a job has is no part of what it asks for, so
that the same job is known again where it is given more of them, or fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class Allocation:
    """What a job may use.

    Attributes:
        threads: of the model and of the sandbox; None: as many as there are cores.
        parallel: sequences decoded at once, as planned; None: as the machine there has room. A
            cluster's job is given the memory that the plan asks for, so it keeps to the plan.
    """

    threads: int | None = None
    parallel: int | None = None


_taken = [Allocation()]
"""That of this process, in a list of one."""


def take(allocation: Allocation) -> None:
    """Let the next job of this process use so much."""
    _taken[0] = allocation


def settle(config: DictConfig) -> None:
    """Set in a job's configuration what it leaves to the machine, by this process's allocation."""
    allocation = _taken[0]
    for block, name, value in (
        (config.backend, "threads", allocation.threads),
        (config.backend, "parallel", allocation.parallel),
        (config.sandbox, "workers", allocation.threads),
    ):
        if value is not None and name in block and block[name] in ("auto", None):
            block[name] = value
