"""A process group under limits, where there is no bubblewrap: the kernel's filters alone."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from experiments.sandbox import landlock, system_calls
from experiments.sandbox.isolation import base
from experiments.sandbox.worker import folder


class Process:
    """See `base.Isolation`."""

    name = "process"

    def fault(self) -> str:
        """Return why it does not work here: it always does."""
        return ""

    def not_covered(self) -> list[str]:
        """Return what it does not keep programs from on this machine."""
        gaps = ["a process tree and a file system of its own"]
        if not system_calls.filter_works():
            gaps += ["no processes of its own", "no network"]
        if not landlock.version():
            gaps.append("only the folders it needs")
        if not hasattr(os, "pidfd_open"):
            gaps.append("CPU time measured from outside")
        if sys.platform != "linux":
            gaps.append("a limit of memory")
        return gaps

    def place(self, order: base.Order) -> "_Place":
        """Make a place for a worker: a private folder."""
        return _Place(order)


class _Place:
    alone = False

    def __init__(self, order: base.Order) -> None:
        paths = base.package_paths(order.preload)
        self._private = tempfile.mkdtemp(prefix="experiments-sandbox-")
        packages, code = Path(self._private, "packages"), Path(self._private, "code")
        own = Path(self._private, "tmp")
        for each in (packages, code, own):
            each.mkdir()
        for path in paths:
            Path(packages, path.name).symlink_to(path)
        Path(code, "worker").symlink_to(base.WORKER)
        readable = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", str(packages)]
        readable += [*base.prefixes(), *map(str, paths)]
        self.folder, self.code = str(own), str(code)
        self.command = [base.python(), *base.PYTHON_OPTIONS, "-m", "worker"]
        self.environment = base.ENVIRONMENT | {
            "HOME": self.folder,
            "TMPDIR": self.folder,
            "PYTHONHASHSEED": str(order.hash_seed),
            "PYTHONPATH": self.code,
        }
        self.packages = [str(packages)] if paths else []
        self.landlock = landlock.rules(readable, [self.folder])

    def kill(self, process: "subprocess.Popen[bytes]", worker: int, executor: int) -> None:
        """Kill the executor's group and the worker; the kernel ends the one with the other."""
        if executor:
            with contextlib.suppress(OSError):
                os.killpg(executor, signal.SIGKILL)
        process.kill()
        base.end(process, executor)

    def clean(self) -> None:
        """Remove the private folder."""
        folder.remove(self._private)
