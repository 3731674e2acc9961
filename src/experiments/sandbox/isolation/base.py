"""What an isolation is, and what all of them need.

An isolation is a class, registered by its name in `isolation`. It does not run programs: it
says how a worker is started apart from the machine, kills it with all that is below it, cleans
up, and says what it does not cover.
"""

import contextlib
import importlib.util
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.errors import SandboxError
from experiments.sandbox.worker import folder

PACKAGES = ("numpy",)
"""Beyond the standard library, what programs under test may import if it is installed."""

ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TZ": "UTC",
}
PYTHON_OPTIONS = ("-s", "-S", "-P", "-B")
WORKER = Path(__file__).parent.parent / "worker"
KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs, and how it is started there.

    Attributes:
        command: to which the number of the control socket is added.
        environment: of the command.
        folder: where programs may write, as they see it.
        code: the folder that holds the worker's package, as it sees it.
        packages: folders for `sys.path`, as it sees them.
        alone: whether it has a process tree of its own.
        landlock: rules for folders; empty if none are to be set.
        private: a folder on this machine that was made for it; empty if there is none.
    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    code: str
    packages: list[str]
    alone: bool
    landlock: dict[str, object]
    private: str = ""


class Isolation(ABC):
    """A way to keep programs apart from the machine.

    Attributes:
        name: by which it is asked for.
    """

    name: str

    @abstractmethod
    def place(self, preload: tuple[str, ...], folder_bytes: int, hash_seed: int) -> Place:
        """Make a place for a worker.

        Args:
            preload: modules that are imported before any program.
            folder_bytes: size of all files of a program.
            hash_seed: of strings; it decides the order in which sets are gone through.

        Raises:
            SandboxError: a module that is asked for is not installed.
        """

    def fault(self) -> str:
        """Return why it does not work here; empty if it does."""
        return ""

    def not_covered(self) -> list[str]:
        """Return what it does not keep programs from on this machine; empty if nothing."""
        return []

    def kill(self, process: "subprocess.Popen[bytes]", worker: int, executor: int) -> None:
        """Kill a worker and all below it, and wait until they are gone.

        Args:
            process: the command that was started.
            worker: process number of the worker as it is known here; 0 if it is not.
            executor: that of the program that runs; 0 if none does.
        """
        end(process, worker)

    def clean(self, place: Place) -> None:
        """Remove what was made on this machine for a worker that is gone."""
        if place.private:
            folder.remove(place.private)


def python() -> str:
    """Return the interpreter itself, not a virtual environment's link to it."""
    return str(Path(sys.executable).resolve())


def prefixes() -> list[str]:
    """Return folders of the interpreter that are not below /usr."""
    found = {str(Path(sys.base_prefix).resolve()), str(Path(python()).parent.parent)}
    return sorted(path for path in found if not path.startswith("/usr/") and path != "/usr")


@cache
def package_paths(preload: Sequence[str]) -> list[Path]:
    """Return folders and files that make up the importable packages.

    Raises:
        SandboxError: one is not installed.
    """
    paths: list[Path] = []
    for name in dict.fromkeys([*PACKAGES, *(module.split(".")[0] for module in preload)]):
        if name in sys.stdlib_module_names:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            if name in PACKAGES:
                continue
            raise SandboxError(
                f"The data set asks for the module {name}, which is not installed",
                f"pip install {name}",
            )
        origin = Path(spec.origin)
        path = origin.parent if origin.name == "__init__.py" else origin
        paths.append(path)
        paths += [libs for libs in [path.parent / f"{name}.libs"] if libs.is_dir()]
    return paths


def end(process: "subprocess.Popen[bytes]", *others: int) -> None:
    """Kill processes and wait until all are gone.

    Args:
        process: a child of this process.
        others: numbers of processes that are not; 0 for none.
    """
    handles = []
    for pid in filter(None, others):
        with contextlib.suppress(OSError, AttributeError):  # gone, or not had on this system
            handles.append(os.pidfd_open(pid))
    for handle in handles:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    try:
        process.wait(KILL_SECONDS if handles else 0.0)  # it ends with them
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(KILL_SECONDS * 1000)
        os.close(handle)
