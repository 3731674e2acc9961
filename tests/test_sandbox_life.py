"""The life of workers and executors: nothing outlives the judge, nothing is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.errors import SandboxError
from experiments.sandbox import Kind, Sandbox, choose, system_calls
from experiments.schema import SandboxConfig

LIMITS = SandboxConfig(memory_megabytes=512, load_cpu_seconds=1.0, total_cpu_seconds=5.0)
ISOLATIONS = list(dict.fromkeys([choose("auto"), "process"]))
LOOP = "def f(x):\n    while True: pass"
HOST = """
import sys
from experiments.sandbox import Sandbox
with Sandbox(isolation=sys.argv[1]) as sandbox:
    print("ready", flush=True)
    list(sandbox.run("def f(x):\\n    while True: pass", "f", [(1,)], [1000.0]))
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(params=ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def descendants(root: int) -> set[int]:
    """Processes that descend from one, and are not only waiting to be reaped."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found = {root}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def busy(processes: set[int]) -> set[int]:
    """Those that have used CPU time since just now."""

    def used(process: int) -> float:
        with contextlib.suppress(OSError):
            return time.clock_gettime((~process << 3) | 2)
        return -1.0

    before = {process: used(process) for process in processes}
    time.sleep(0.3)
    return {process for process, seconds in before.items() if used(process) > seconds >= 0}


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@contextlib.contextmanager
def looping_host(isolation: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A judge in a process of its own, in which a program loops, and all below it."""
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [sys.executable, "-c", HOST, isolation]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        try:
            assert wait_until(lambda: bool(busy(descendants(host.pid))))
            yield host, descendants(host.pid)
        finally:
            host.kill()


def alive(processes: set[int]) -> set[int]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{process}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] != "Z":
                found.add(process)
    return found


@linux_only
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_program_outlives_the_judge(isolation: str, how: signal.Signals, tmp_path: Path) -> None:
    with looping_host(isolation, tmp_path) as (host, below):
        host.send_signal(how)
        host.wait(20)
        assert wait_until(lambda: not alive(below)), how
        assert wait_until(lambda: not list(tmp_path.iterdir())), how


@linux_only
def test_no_program_outlives_its_worker(isolation: str, tmp_path: Path) -> None:
    with looping_host(isolation, tmp_path) as (_, below):
        worker = min(below)  # or bubblewrap, of which the worker is a child
        os.kill(worker, signal.SIGKILL)
        assert wait_until(lambda: not alive(below - {worker}))


@linux_only
def test_giving_up_ends_the_program_at_once(isolation: str) -> None:
    before = descendants(os.getpid())
    with Sandbox(LIMITS, isolation) as sandbox:
        timer = threading.Timer(0.5, sandbox.give_up)
        timer.start()
        with pytest.raises(SandboxError, match="given up"):
            list(sandbox.run(LOOP, "f", [(1,)], [1000.0], total_cpu_seconds=1000.0))
        timer.join()
        assert wait_until(lambda: not descendants(os.getpid()) - before)


PROGRAMS = {
    "right": "def f(x): return x",
    "wrong type": "def f(x): return f",
    "no code": "def f(x:",
    "no function": "x = 1",
    "raises": "def f(x): raise ValueError",
    "raises while loaded": "raise ValueError",
    "dies": "import os\ndef f(x): os._exit(0)",
    "dies while loaded": "import os\nos._exit(0)",
    "writes files": "import os\ndef f(x):\n    open('a', 'w').close()\n    os.mkdir('b', 0)",
    "threads": "import threading\ndef f(x): threading.Thread(target=print).start()",
    "slow": "def f(x):\n    for _ in range(200_000): pass\n    return x",
    "long": "def f(x): return 'x' * 300_000",
    "too long": "#" * (5 << 20),
    "loops": LOOP,
    "too much memory": "def f(x): return len(bytearray(10**10))",
    "broken": """
import os
def f(x):
    for number in range(3, 20):
        try: os.write(number, b'?' * 99)
        except OSError: pass
""",
}


def left_behind(folder: Path) -> tuple[int, int, int]:
    """How many descriptors, processes and folders there are."""
    descriptors = len(os.listdir("/proc/self/fd"))
    return descriptors, len(descendants(os.getpid())), len(list(folder.iterdir()))


@pytest.mark.slow
@linux_only
def test_nothing_is_left_after_programs_of_all_outcomes(
    isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    programs = list(PROGRAMS.values())
    with Sandbox(LIMITS, isolation) as sandbox:
        list(sandbox.run(PROGRAMS["right"], "f", [(1,)], [1.0]))
        before = left_behind(tmp_path)
        for number in range(2000):
            program = programs[number % len(programs)]
            seconds = 0.05 if program == LOOP else 1.0
            blocks = number // len(programs) % 2 == 1
            # stopped at the first reply, as by a judge that stops at the first failure
            next(sandbox.run(program, "f", [(1,), (2,)], [seconds] * 2, blocks=blocks))
        assert left_behind(tmp_path) == before
        (reply,) = sandbox.run(PROGRAMS["right"], "f", [(1,)], [1.0])
        assert reply.kind is Kind.VALUE
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_threads_are_counted_where_the_kernel_cannot_ask_for_each(
    isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_calls, "counting_code", lambda: b"")
    program = (
        "import threading, time\nthreading.stack_size(32768)\ndef f(x):\n    for _ in range(x):\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "    time.sleep(3)"
    )
    with Sandbox(LIMITS, isolation) as sandbox:
        (few,) = sandbox.run(program, "f", [(9,)], [1.0])
        (many,) = sandbox.run(program, "f", [(99,)], [1.0])
    assert few.kind is Kind.VALUE
    assert (many.kind, many.text) == (Kind.DIED, "it made too many files or threads")
