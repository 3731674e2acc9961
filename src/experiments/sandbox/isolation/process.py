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


class Process(base.Isolation):
    """A worker is a process like any other, with a private folder; it works everywhere."""

    name = "process"

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

    def place(self, preload: tuple[str, ...], folder_bytes: int, hash_seed: int) -> base.Place:
        """Make a place for a worker: a private folder."""
        paths = base.package_paths(preload)
        private = Path(tempfile.mkdtemp(prefix="experiments-sandbox-"))
        packages, code, folder = private / "packages", private / "code", private / "tmp"
        for each in (packages, code, folder):
            each.mkdir()
        for path in paths:
            Path(packages, path.name).symlink_to(path)
        Path(code, "worker").symlink_to(base.WORKER)
        readable = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", str(packages)]
        readable += [*base.prefixes(), *map(str, paths)]
        added = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(code)}
        return base.Place(
            command=[base.python(), *base.PYTHON_OPTIONS, "-m", "worker"],
            environment=base.ENVIRONMENT | added | {"PYTHONHASHSEED": str(hash_seed)},
            folder=str(folder),
            code=str(code),
            packages=[str(packages)] if paths else [],
            alone=False,
            landlock=landlock.rules(readable, [str(folder)]),
            private=str(private),
        )

    def kill(self, process: "subprocess.Popen[bytes]", worker: int, executor: int) -> None:
        """Kill the executor's group and the worker; the kernel ends the one with the other."""
        if executor:
            with contextlib.suppress(OSError):
                os.killpg(executor, signal.SIGKILL)
        process.kill()
        base.end(process, executor)
