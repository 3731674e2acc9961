"""How the guest is started: under bubblewrap, or as a plain process group with limits."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.errors import SandboxError
from experiments.sandbox import kernel

BUBBLEWRAP = "bubblewrap"
PROCESS = "process"
PACKAGES = ("numpy",)
"""Beyond the standard library, what programs under test may import if it is installed."""

ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",  # the order of sets, and so the verdict, is the same every time
    "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TZ": "UTC",
}
PYTHON_OPTIONS = ("-s", "-S", "-P", "-B")
GUEST = Path(__file__).with_name("guest.py")


@dataclass(frozen=True)
class Ability:
    """One thing that this machine can or cannot do for the sandbox."""

    name: str
    works: bool
    detail: str


@dataclass(frozen=True)
class Start:
    """How to start a guest.

    Attributes:
        command: without the numbers of the descriptors, which follow.
        environment: of the new process.
        folder: where the program may write, as it sees it.
        packages: folders for `sys.path`, as it sees them.
        alone: it has a process tree of its own.
        private: folder on this machine to be removed afterwards; empty if there is none.
        landlock: rules for folders; empty if none are to be set.
    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    packages: list[str]
    alone: bool
    private: str = ""
    landlock: dict[str, object] | None = None


def choose(requested: str) -> str:
    """Return `bubblewrap` or `process`.

    Raises:
        SandboxError: bubblewrap was asked for and does not work here.
    """
    if requested == PROCESS:
        return PROCESS
    reason = bubblewrap_fault()
    if not reason:
        return BUBBLEWRAP
    if requested == BUBBLEWRAP:
        raise SandboxError(
            f"sandbox.isolation=bubblewrap does not work here: {reason}",
            "Install bubblewrap (apt install bubblewrap), or set sandbox.isolation=auto.",
        )
    return PROCESS


def missing(isolation: str) -> str:
    """Return one line on what the chosen isolation lacks; empty if it lacks nothing."""
    if isolation == BUBBLEWRAP:
        return ""
    gaps = ["an own process tree and file system", "a limit of all files together"]
    if not kernel.filter_works():
        gaps += ["no processes of its own", "no network"]
    if not kernel.landlock_version():
        gaps.append("only the folders it needs")
    if not hasattr(os, "pidfd_open"):
        gaps.append("CPU time measured from outside")
    if sys.platform != "linux":
        gaps.append("a limit of memory")
    reason = bubblewrap_fault() or "isolation=process was asked for"
    return f"Programs run without bubblewrap ({reason}). They lack: {', '.join(gaps)}."


@cache
def bubblewrap_fault() -> str:
    """Return why bubblewrap does not work here; empty if it does."""
    if sys.platform != "linux":
        return "it exists on Linux only"
    if not shutil.which("bwrap"):
        return "the command bwrap is not installed"
    start = bubblewrap(())
    command = start.command[: start.command.index("--") + 1]
    check = "import os; assert os.getpid() == 1"
    try:
        done = subprocess.run(
            [*command, python(), "-S", "-c", check],
            env=start.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or "it fails").splitlines()[-1]


def abilities() -> list[Ability]:
    """Return what this machine can do for the sandbox, for `experiments doctor`."""
    fault = bubblewrap_fault()
    landlock = kernel.landlock_version()
    linux = sys.platform == "linux"
    return [
        Ability(
            "bubblewrap",
            not fault,
            fault or "no network, read-only root, private /tmp, own process tree",
        ),
        Ability(
            "system call filter",
            kernel.filter_works(),
            "no new processes, sockets, signals or tracing"
            if kernel.filter_works()
            else f"not on {sys.platform} {platform.machine()}",
        ),
        Ability(
            "Landlock",
            landlock > 0,
            f"version {landlock}: only the folders a program needs" if landlock else "not here",
        ),
        Ability(
            "CPU clock of other processes",
            hasattr(os, "pidfd_open"),
            "time limits are measured from outside"
            if hasattr(os, "pidfd_open")
            else "time limits are held by RLIMIT_CPU and a wall clock",
        ),
        Ability(
            "memory limit",
            linux,
            "address space per program" if linux else "cannot be had here; left out",
        ),
    ]


def python() -> str:
    """Return the interpreter itself, not a virtual environment's link to it."""
    return str(Path(sys.executable).resolve())


def bubblewrap(preload: Sequence[str], tmp_megabytes: int = 64, hash_seed: int = 0) -> Start:
    """Return how to start a guest under bubblewrap; all that it sees is mounted here."""
    command = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in (ENVIRONMENT | {"PYTHONHASHSEED": str(hash_seed)}).items():
        command += ["--setenv", name, value]
    command += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for prefix in _prefixes():
        command += ["--ro-bind", prefix, prefix]
    packages = _package_paths(preload)
    for path in packages:
        command += ["--ro-bind", str(path), f"/packages/{path.name}"]
    command += ["--ro-bind", str(GUEST), "/guest.py"]
    # a user 0 without capabilities could still write to settings of the kernel in /proc/sys
    command += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(tmp_megabytes << 20), "--tmpfs", "/tmp", "--remount-ro", "/"]
    command += ["--chdir", "/tmp", "--", python(), *PYTHON_OPTIONS, "/guest.py"]
    return Start(
        command=command,
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        folder="/tmp",
        packages=["/packages"] if packages else [],
        alone=True,
    )


def process(preload: Sequence[str], hash_seed: int = 0) -> Start:
    """Return how to start a guest as a plain process with a private folder."""
    private = tempfile.mkdtemp(prefix="experiments-sandbox-")
    packages, folder = Path(private, "packages"), Path(private, "tmp")
    packages.mkdir()
    folder.mkdir()
    paths = _package_paths(preload)
    for path in paths:
        Path(packages, path.name).symlink_to(path)
    readable = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", str(packages)]
    readable += [*_prefixes(), *map(str, paths)]
    return Start(
        command=[python(), *PYTHON_OPTIONS, str(GUEST)],
        environment=ENVIRONMENT
        | {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONHASHSEED": str(hash_seed)},
        folder=str(folder),
        packages=[str(packages)] if paths else [],
        alone=False,
        private=private,
        landlock=kernel.landlock_rules(readable, [str(folder)]),
    )


def _prefixes() -> list[str]:
    """Return folders of the interpreter that are not below /usr."""
    found = {str(Path(sys.base_prefix).resolve()), str(Path(python()).parent.parent)}
    return sorted(path for path in found if not path.startswith("/usr/") and path != "/usr")


@cache
def _package_paths(preload: Sequence[str]) -> list[Path]:
    """Return folders and files that make up the importable packages."""
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
