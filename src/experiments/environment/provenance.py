"""Where a result comes from: versions, machine and source, for the manifest of a run."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.environment import machine
from experiments.environment.project import PROJECT

PACKAGES = ("experiments", "llama-cpp-python", "evalplus", "hydra-core", "omegaconf", "mlflow")


@cache
def provenance() -> dict[str, Any]:
    """Return what this machine and this source tree are, as plain data."""
    return {
        "versions": {"python": platform.python_version(), **_package_versions()},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": machine.cores(),
            "memory_gigabytes": round(machine.memory_total() / 2**30, 1),
        },
        "source": _source(),
    }


def _package_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _source() -> dict[str, Any]:
    """Return the commit of the source tree and whether it was changed since."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "changed_since": bool(changed) if commit else None}


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
