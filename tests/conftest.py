"""What several test modules need: the project's root, the public data sets, a quiet MLflow."""

import contextlib
import gzip
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
TRACKING = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")

# Tests run on all cores at once: there, threads of llama.cpp that spin while they wait for each
# other keep the core from the thread that is waited for, and make a model twenty times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

# A shell that starts the tests in the background makes them ignore Ctrl-C, and what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of a parallel run a core of its own.

    Threads of llama.cpp that wait for each other on a core that others keep busy are many times
    slower than one thread.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def evalplus_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that points evalplus at data sets of this disk, or a skip."""
    variables = {
        "HUMANEVAL_OVERRIDE_PATH": "HumanEvalPlus.jsonl.gz",
        "MBPP_OVERRIDE_PATH": "MbppPlus.jsonl.gz",
    }
    if all(os.environ.get(name) for name in variables):
        return {name: os.environ[name] for name in variables}
    folder = tmp_path_factory.mktemp("evalplus")
    found = {}
    for name, archive in variables.items():
        if not (DATA / archive).exists():
            pytest.skip(
                f"{archive} is not at hand: set HUMANEVAL_OVERRIDE_PATH, MBPP_OVERRIDE_PATH"
            )
        unpacked = folder / archive.removesuffix(".gz")
        unpacked.write_bytes(gzip.decompress((DATA / archive).read_bytes()))
        found[name] = str(unpacked)
    return found


class Workplace:
    """A folder of its own for runs of `run.py`, as a user would start them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "models").mkdir()
        (folder / "models" / "demo").symlink_to(ROOT / "models" / "demo")
        (folder / "problems").symlink_to(ROOT / "problems")

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `python run.py ARGUMENTS` and return what it said."""
        inherited = {name: os.environ[name] for name in os.environ if name not in TRACKING}
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            cwd=self.folder,
            env={**inherited, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    @property
    def runs(self) -> list[Path]:
        """Folders of the runs that ended well."""
        return sorted(path.parent for path in self.folder.glob("outputs/*/**/metrics.json"))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture(autouse=True)
def _no_tracking_of_others() -> Iterator[None]:
    """Forget what MLflow wrote into the environment, for runs to come, in a test before."""
    for name in TRACKING:
        os.environ.pop(name, None)
    yield
    for name in TRACKING:
        os.environ.pop(name, None)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let every write beyond so many bytes of a file fail in its middle, as a full disk does."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)
