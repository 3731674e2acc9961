"""More than a hundred programs that try to pass without being right, or to do harm.

Each file in `adversarial/` begins with a comment that says what it tries. The right outputs
cannot be had but by the hidden reference, so that any pass is a forgery.
"""

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.judge import judge
from experiments.judge.program import judge_program
from experiments.judge.references import References, reference_limits
from experiments.records import Dataset, Outcome, Problem, Solution
from experiments.sandbox import Sandbox, choose, decode
from experiments.schema import SandboxConfig

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "tests" / "adversarial").glob("*.py"))
SECRET = "EXPERIMENTS_ADVERSARIAL_SECRET"
VALUE = "a-secret-that-nobody-may-see"
LARGE = 8_000_000
HARM = "experiments-adversarial-harm"
REFERENCE = "def answer(values):\n    return [value * 7919 % 1009 for value in values]\n"
DEMANDING = f"""
import os
def answer():
    open("kept", "w").close()
    return ["x" * {LARGE}, os.listdir()]
"""
HOST_SECONDS = 3.0
PROGRAM_SECONDS = 15.0
"""What a program may cost: the process of the judge, and in its own."""

PROBLEM = Problem(
    id="hidden",
    entry_point="answer",
    prompt="def answer(values):\n",
    reference=REFERENCE,
    base_inputs=(([1, 2, 3],), ([70, 80],)),
    extra_inputs=tuple(([number, number + 5, 900],) for number in range(4, 8)),
)
SETTINGS = SandboxConfig(
    workers=1,
    minimum_cpu_seconds=0.1,
    load_cpu_seconds=0.5,
    wall_factor=3.0,
    memory_megabytes=512,
    total_cpu_seconds=2.0,
)


def isolations() -> list[str]:
    """Both ways, where bubblewrap works."""
    return list(dict.fromkeys([choose("auto"), "process"]))


class Bench:
    """A warm sandbox that takes one program after the other, as a worker does."""

    def __init__(self, isolation: str, preload: tuple[str, ...]) -> None:
        references = References({"hidden": PROBLEM}, None)
        assert not references.load("hidden")
        with Sandbox(reference_limits(SETTINGS), isolation) as sandbox:
            references.compute(sandbox, "hidden")
        self.reference = references["hidden"]
        self.sandbox = Sandbox(SETTINGS, isolation, preload)
        self.sandbox.__enter__()

    def verdict(self, program: str, stop: bool = False):
        settings = replace(SETTINGS, stop_at_first_failure=stop)
        return judge_program(self.sandbox, program, self.reference, settings, is_second=True)[0]

    def folder(self) -> str:
        """The folder on this machine in which programs may write; empty if there is none."""
        (reply,) = self.sandbox.run("import os\nanswer = os.getcwd", "answer", [()], [5.0])
        path = decode(reply.payload)
        return path if path != "/tmp" else ""

    def judges_the_next_right(self) -> None:
        """A right program passes, told its inputs at once or in blocks; so does all it may use."""
        for stop in (False, True):
            after = self.verdict(REFERENCE, stop)
            assert after.plus is Outcome.PASSED, after
        (reply,) = self.sandbox.run(DEMANDING, "answer", [()], [5.0])
        assert decode(reply.payload) == ["x" * LARGE, ["kept"]]


class Visitors(list[str]):
    """Who connected to the server on this port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port


@pytest.fixture(scope="module")
def visitors() -> Iterator[Visitors]:
    """A server on this machine: who connected to it?"""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    met = Visitors(server.getsockname()[1])
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, address = server.accept()
                met.append(str(address))
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield met
    ended.set()
    thread.join()
    server.close()


@pytest.fixture(scope="module", params=isolations())
def bench(request: pytest.FixtureRequest, visitors: Visitors) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, VALUE)
        running = set(descendants())  # the kept model of another test, for example
        bench = Bench(request.param, ("numpy",))
        before = traces()
        yield bench
        below = set(descendants()) - running
        folder = bench.folder()
        bench.sandbox.close()
        assert not folder or not os.path.exists(folder)
        assert len(below) <= 3, "a process was left"  # bwrap twice and the worker
        assert not [process for process in below if Path(f"/proc/{process}").exists()]
        assert traces() == before, "a file was left, or the machine was changed"
        assert not visitors, "a program reached the network"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", 47613)) != 0, "a port was left open"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_adversarial_program_passes_or_harms(
    bench: Bench, visitors: Visitors, file: Path
) -> None:
    program = file.read_text().replace("47614", str(visitors.port))
    began = time.process_time()
    verdict = bench.verdict(program)
    assert time.process_time() - began < HOST_SECONDS
    assert verdict.cpu_seconds < PROGRAM_SECONDS
    assert verdict.base is not Outcome.PASSED
    assert verdict.plus is not Outcome.PASSED
    assert verdict.tests_passed == 0
    assert VALUE not in str(verdict)
    assert "root:" not in str(verdict)
    bench.judges_the_next_right()
    if verdict.base is not Outcome.TIMED_OUT:  # these were ended by force already
        assert bench.verdict(program, stop=True).tests_passed == 0
        bench.judges_the_next_right()


def test_the_suite_is_large_and_says_what_it_tries() -> None:
    assert len(FILES) >= 50
    assert all(file.read_text().startswith("# ") for file in FILES)


def test_no_adversarial_program_spoils_those_judged_beside_it() -> None:
    names = ("forged_frames", "kill_group", "leave_files", "forged_outputs", "poison_modules")
    programs = [
        (Path(__file__).parent / "adversarial" / f"{name}.py").read_text() for name in names
    ]
    solutions = []
    for number, program in enumerate(programs * 4):  # equal ones would be judged once
        solutions += [Solution("hidden", 2 * number, f"{program}\n# {number}")]
        solutions += [Solution("hidden", 2 * number + 1, f"{REFERENCE}\n# {number}")]
    dataset = Dataset("hidden", "", (PROBLEM,))
    verdicts = list(judge(solutions, dataset, SandboxConfig(workers=2)))
    assert len(verdicts) == len(solutions)
    assert {v.plus is Outcome.PASSED for v in verdicts if v.sample % 2} == {True}
    assert {v.plus is Outcome.PASSED for v in verdicts if v.sample % 2 == 0} == {False}


def test_outputs_that_are_slow_to_compare_cost_little_however_many_there_are() -> None:
    many = replace(PROBLEM, extra_inputs=tuple(([number],) for number in range(2000)))
    program = (ROOT / "tests" / "adversarial" / "slow_numbers.py").read_text()
    began = time.process_time()
    (verdict,) = judge(
        [Solution("hidden", 0, program)], Dataset("hidden", "", (many,)), SandboxConfig(workers=1)
    )
    assert time.process_time() - began < 2 * HOST_SECONDS
    assert (verdict.plus, verdict.tests_passed) == (Outcome.WRONG_ANSWER, 0)
    assert verdict.tests_not_run > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["loop_on_import", "loop_on_import_that_catches", "sleep_forever"])
def test_a_program_that_never_ends_costs_seconds_with_the_limits_of_a_run(name: str) -> None:
    program = (ROOT / "tests" / "adversarial" / f"{name}.py").read_text()
    dataset = Dataset("hidden", "", (PROBLEM,))
    (verdict,) = judge([Solution("hidden", 0, program)], dataset, SandboxConfig(workers=1))
    assert (verdict.plus, verdict.retried) == (Outcome.TIMED_OUT, True)
    assert verdict.cpu_seconds < 5.0


def traces() -> set[str]:
    """What a program may have left or changed where it should not be able to."""
    places = ("/tmp", "/var/tmp", "/dev/shm", str(Path.home()), str(Path.cwd()))
    names = (HARM, "random.py", "heapq.py", "filler-0", "deeper", "down", "kept", "link-0")
    found = {
        str(path)
        for path in (Path(place, name) for place in places for name in names)
        if path.exists()
    }
    found |= {
        f"{place}: {Path(place).stat().st_mode:o}" for place in places if Path(place).exists()
    }
    for setting in ("kernel/core_pattern", "vm/overcommit_memory"):
        with contextlib.suppress(OSError):
            found.add(f"{setting}: {Path('/proc/sys', setting).read_text()}")
    return found


def descendants() -> list[int]:
    """Processes that were started by this one, by whatever way."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found = []
    for process in parents:
        above = process
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid() and process != os.getpid():
            found.append(process)
    return found


PROBE = """
import subprocess, sys
import pytest, experiments.judge
subprocess.run([sys.executable, "-c", ""], check=True)
"""


def limited() -> None:
    """Have few descriptors and few processes, as users have on shared machines."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    resource.setrlimit(resource.RLIMIT_NPROC, (500, 500))


@pytest.mark.slow
def test_no_adversarial_program_passes_or_harms_an_ordinary_user() -> None:
    """Run all of it once more: without the rights of root, with few descriptors and processes."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = [str(ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(paths), "HOME": "/"}
    for python in (os.path.realpath(sys.executable), shutil.which(version, path="/usr/bin:/bin")):
        probe = [*nobody, python or "", "-c", PROBE]
        if not subprocess.run(probe, env=environment, capture_output=True).returncode:
            break
    else:
        pytest.skip("no interpreter is readable for all")
    names = ("judge_adversarial", "sandbox_life", "sandbox_system_calls", "sandbox_confinement")
    done = subprocess.run(
        [*nobody, python, "-B", "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
        + [str(ROOT / "tests" / f"test_{name}.py") for name in names],
        cwd=ROOT,
        env=environment,
        preexec_fn=limited,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[:5000]
