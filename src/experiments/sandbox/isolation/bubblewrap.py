"""Bubblewrap: a file system, a network, a process tree and a /tmp of the worker's own."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from experiments.sandbox.isolation import base

CODE = "/code"


class Bubblewrap(base.Isolation):
    """All that a worker sees is mounted for it; it is process 1 of its name space."""

    name = "bubblewrap"

    def fault(self) -> str:
        """Return why it does not work here; empty if it does."""
        return _fault()

    def place(self, preload: tuple[str, ...], folder_bytes: int, hash_seed: int) -> base.Place:
        """Make a place for a worker; it leaves nothing outside."""
        command = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session"]
        command += ["--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
        added = {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": CODE}
        for name, value in (base.ENVIRONMENT | added).items():
            command += ["--setenv", name, value]
        command += ["--ro-bind", "/usr", "/usr"]
        for name in ("bin", "lib", "lib32", "lib64", "sbin"):
            path = Path("/", name)
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), str(path)]
            elif path.is_dir():
                command += ["--ro-bind", str(path), str(path)]
        command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
        for prefix in base.prefixes():
            command += ["--ro-bind", prefix, prefix]
        packages = base.package_paths(preload)
        for path in packages:
            command += ["--ro-bind", str(path), f"/packages/{path.name}"]
        command += ["--ro-bind", str(base.WORKER), f"{CODE}/worker"]
        # a user 0 without capabilities could still write to settings of the kernel in /proc/sys
        command += ["--proc", "/proc", "--remount-ro", "/proc"]
        command += ["--dev", "/dev", "--remount-ro", "/dev"]
        command += ["--size", str(folder_bytes), "--tmpfs", "/tmp", "--remount-ro", "/"]
        command += ["--chdir", "/tmp", "--", base.python(), *base.PYTHON_OPTIONS, "-m", "worker"]
        return base.Place(
            command=command,
            environment={"PATH": os.environ.get("PATH", os.defpath)},
            folder="/tmp",
            code=CODE,
            packages=["/packages"] if packages else [],
            alone=True,
            landlock={},
        )


@cache
def _fault() -> str:
    if sys.platform != "linux":
        return "it exists on Linux only"
    if not shutil.which("bwrap"):
        return "the command bwrap is not installed"
    place = Bubblewrap().place((), 1 << 20, 0)
    command = place.command[: place.command.index("--") + 1]
    check = "import os; assert os.getpid() == 1"
    try:
        done = subprocess.run(
            [*command, base.python(), "-S", "-c", check],
            env=place.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or "it fails").splitlines()[-1]
