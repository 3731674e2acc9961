"""The sandbox: what comes back, which limits hold, what programs cannot see."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import cli
from experiments.errors import SandboxError
from experiments.sandbox import (
    Kind,
    Sandbox,
    abilities,
    choose,
    decode,
    landlock,
    missing,
    system_calls,
    workers,
)
from experiments.sandbox import isolation as isolations
from experiments.sandbox import sandbox as sandboxes
from experiments.sandbox.execution import Execution
from experiments.sandbox.isolation import base, bubblewrap
from experiments.schema import Isolation, SandboxConfig

LIMITS = SandboxConfig(
    memory_megabytes=512, wall_factor=3.0, load_cpu_seconds=1.0, total_cpu_seconds=5.0
)


@pytest.fixture(scope="module", params=list(dict.fromkeys([choose("auto"), "process"])))
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(LIMITS, request.param) as sandbox:
        yield sandbox


def run(sandbox: Sandbox, program: str, *inputs, seconds: float = 1.0, **options):
    calls = inputs or ((1,),)
    return list(sandbox.run(program, "f", calls, [seconds] * len(calls), **options))


def values(replies):
    return [decode(reply.payload) for reply in replies]


def test_outputs_come_back_in_order(sandbox: Sandbox) -> None:
    replies = run(sandbox, "def f(x): return [x, str(x)]", *((n,) for n in range(50)))
    assert [reply.index for reply in replies] == list(range(50))
    assert values(replies) == [[n, str(n)] for n in range(50)]


def test_each_call_gets_fresh_inputs(sandbox: Sandbox) -> None:
    calls = (([1, 2],),) * 3
    replies = run(sandbox, "def f(x):\n    x.append(0)\n    return len(x)", *calls)
    assert values(replies) == [3, 3, 3]


def test_an_exception_is_told_with_its_builtin_types(sandbox: Sandbox) -> None:
    program = "class Mine(KeyError): pass\ndef f(x): raise Mine('gone')"
    (reply,) = run(sandbox, program)
    assert (reply.kind, reply.exception) == (Kind.RAISED, "Mine")
    assert reply.builtin_types[:2] == ("KeyError", "LookupError")
    assert "gone" in reply.text


@pytest.mark.parametrize("program", ["def f(x", "x = 1", "\0", "def g(x): return 1"])
def test_what_is_no_program_is_no_code(sandbox: Sandbox, program: str) -> None:
    (reply,) = run(sandbox, program)
    assert (reply.index, reply.kind) == (-1, Kind.NO_CODE)


def test_an_endless_loop_is_given_three_inputs_and_no_more(sandbox: Sandbox) -> None:
    replies = run(sandbox, "def f(x):\n    while True: pass", *(((1,),) * 6), seconds=0.1)
    assert [reply.kind for reply in replies] == [Kind.TIMED_OUT] * sandboxes.STRIKES


def test_after_a_timeout_the_next_inputs_are_given(sandbox: Sandbox) -> None:
    program = "def f(x):\n    while x == 1: pass\n    return x"
    replies = run(sandbox, program, (0,), (1,), (2,), seconds=0.1)
    assert [reply.kind for reply in replies] == [Kind.VALUE, Kind.TIMED_OUT, Kind.VALUE]


def test_a_sleeper_is_caught_by_the_wall_clock(sandbox: Sandbox) -> None:
    replies = run(sandbox, "import time\ndef f(x): time.sleep(1000)", seconds=0.1)
    assert [(reply.kind, reply.text) for reply in replies] == [(Kind.TIMED_OUT, "wall time")]


def test_memory_is_limited(sandbox: Sandbox) -> None:
    (reply,) = run(sandbox, "def f(x): return len(bytearray(10**10))")
    assert reply.kind is Kind.OUT_OF_MEMORY


def test_an_early_exit_is_a_death(sandbox: Sandbox) -> None:
    replies = run(
        sandbox, "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x", (1,), (2,)
    )
    assert [reply.kind for reply in replies] == [Kind.DIED, Kind.VALUE]


def test_outputs_that_are_not_plain_are_told_by_their_type(sandbox: Sandbox) -> None:
    (reply,) = run(sandbox, "def f(x): return [f, iter([])]")
    assert [each.parts for each in decode(reply.payload)] == [("function",), ("list_iterator",)]


def test_subclasses_become_their_base_type(sandbox: Sandbox) -> None:
    program = (
        "import collections, enum\n"
        "class E(enum.IntEnum):\n    A = 3\n"
        "P = collections.namedtuple('P', 'x y')\n"
        "def f(x): return [E.A, P(1, 2), True]"
    )
    assert values(run(sandbox, program)) == [[3, (1, 2), True]]


def test_numpy_results_are_told_as_such(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    program = "import numpy\ndef f(x): return numpy.arange(3), numpy.float64(0.5)"
    ((array, scalar),) = values(run(sandbox, program, seconds=10.0))
    assert (array.shape, array.items, scalar.shape, scalar.items) == ((3,), [0, 1, 2], None, [0.5])


def test_an_output_too_large_to_send_is_told_by_its_digest() -> None:
    with Sandbox(SandboxConfig(output_megabytes=1)) as sandbox:
        first, second, third = values(
            run(sandbox, "def f(x): return 'ab'[x] * 2_000_000", (0,), (0,), (1,))
        )
    assert first == second != third
    assert first.kind == "digest"


def test_outputs_larger_than_a_pipe_come_back_whole(sandbox: Sandbox) -> None:
    size = 8_000_017
    (text,) = values(run(sandbox, f"def f(x): return 'x' * {size}"))
    assert text == "x" * size


def test_a_caller_can_stop_between_blocks(sandbox: Sandbox) -> None:
    program = "def f(x): return x"
    replies = sandbox.run(program, "f", [(n,) for n in range(100)], [1.0] * 100, blocks=True)
    assert [decode(next(replies).payload) for _ in range(5)] == [0, 1, 2, 3, 4]
    replies.close()
    assert values(run(sandbox, program, (7,))) == [7]


def test_no_secret_of_the_environment_is_seen(sandbox: Sandbox) -> None:
    program = "import os\ndef f(x): return sorted(os.environ)"
    (names,) = values(run(sandbox, program))
    assert set(names) <= {*base.ENVIRONMENT, "PYTHONHASHSEED", "TMPDIR", "PWD", "LC_CTYPE"}


@pytest.mark.parametrize("module", ["experiments", "evalplus", "omegaconf"])
def test_neither_the_project_nor_its_packages_can_be_imported(
    sandbox: Sandbox, module: str
) -> None:
    (reply,) = run(sandbox, f"def f(x):\n    import {module}")
    assert (reply.kind, reply.exception) == (Kind.RAISED, "ModuleNotFoundError")


@pytest.mark.parametrize(
    "act",
    [
        "__import__('os').fork()",
        "__import__('os').kill(__import__('os').getppid(), 0)",
        "__import__('os').execv('/bin/true', ['true'])",
        "__import__('socket').socket()",
        "__import__('resource').setrlimit(0, (1, 1))",
        "open('/usr/harm', 'w')",
        "open('/proc/sys/kernel/core_pattern', 'r+b', 0)",
        "__import__('os').chmod('.', 0)",
        "__import__('os').utime('/usr')",
        "__import__('fcntl').fcntl(0, 8, __import__('os').getppid())",
        "open('/etc/passwd').read()",
    ],
)
def test_the_kernel_refuses(sandbox: Sandbox, act: str) -> None:
    if not system_calls.filter_works() or not landlock.version():
        pytest.skip("this kernel has no system call filter or no Landlock")
    (reply,) = run(sandbox, f"def f(x):\n    return {act}")
    assert reply.kind is Kind.RAISED
    assert "OSError" in reply.builtin_types or reply.exception == "ValueError"


def test_files_are_gone_for_the_next_program(sandbox: Sandbox) -> None:
    write = "def f(x):\n    open('left', 'w').close()\n    import os\n    return os.listdir()"
    assert values(run(sandbox, write)) == [["left"]]
    assert values(run(sandbox, "import os\ndef f(x): return os.listdir()")) == [[]]


def test_a_worker_that_dies_is_replaced() -> None:
    with Sandbox(LIMITS) as sandbox:
        assert values(run(sandbox, "def f(x): return x")) == [1]
        worker = sandbox._worker
        assert worker is not None
        worker._kill()
        assert values(run(sandbox, "def f(x): return x")) == [1]


def changed_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, old: str, new: str) -> None:
    """Have workers run another program, without the walls that would keep it from its file."""
    shutil.copytree(base.WORKER, folder / "worker")
    main = folder / "worker" / "__main__.py"
    assert old in main.read_text()
    main.write_text(main.read_text().replace(old, new, 1))
    monkeypatch.setattr(base, "WORKER", folder / "worker")
    monkeypatch.setattr(landlock, "rules", lambda *_: {})


def test_a_worker_that_dies_with_every_program_is_an_error_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed_worker(monkeypatch, tmp_path, "self.child = os.fork()", "os._exit(3)")
    with (
        pytest.raises(SandboxError, match="ends with every program"),
        Sandbox(LIMITS, "process") as sandbox,
    ):
        run(sandbox, "def f(x): return x")


def test_a_machine_that_can_start_no_process_is_an_error_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed_worker(monkeypatch, tmp_path, "self.child = os.fork()", "raise BlockingIOError(11, '')")
    with (
        pytest.raises(SandboxError, match="cannot start a program: Resource temporarily"),
        Sandbox(LIMITS, "process") as sandbox,
    ):
        run(sandbox, "def f(x): return x")


def test_limits_hold_where_the_system_has_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("pidfd_open", "waitid", "memfd_create", "sched_getaffinity")
    less = f"import os\nfor n in {names}:\n    delattr(os, n)\nimport errno\n"
    changed_worker(monkeypatch, tmp_path, "import errno\n", less)
    for name in names:
        monkeypatch.delattr(os, name)
    monkeypatch.delattr(socket, "SO_PASSCRED")
    monkeypatch.setattr(system_calls, "filter_works", lambda: False)
    system_calls.filter_code.cache_clear()
    system_calls.counting_code.cache_clear()
    program = (
        "import time\n"
        "def f(x):\n    while x == 1: pass\n    if x == 2: time.sleep(99)\n    return x"
    )
    with Sandbox(LIMITS, "process") as sandbox:
        replies = run(sandbox, program, (0,), (1,), (2,), (3,), seconds=0.2)
    system_calls.filter_code.cache_clear()
    system_calls.counting_code.cache_clear()
    kinds = [reply.kind for reply in replies]
    assert kinds[:2] == [Kind.VALUE, Kind.TIMED_OUT]
    assert set(kinds[2:]) <= {Kind.TIMED_OUT, Kind.VALUE}


def test_what_a_program_tells_cannot_steer_a_terminal(sandbox: Sandbox) -> None:
    program = "E = type('\\x1b[2J', (Exception,), {})\ndef f(x): raise E('\\x1b[2J \\x00 \\ud800')"
    (reply,) = run(sandbox, program)
    assert (reply.exception, reply.text) == (r"\x1b[2J", r"\x1b[2J \x00 \ud800")


def test_a_sandbox_that_cannot_start_is_an_error_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "python", lambda: "/nonexistent/python")
    with pytest.raises(SandboxError, match="could not be started"), Sandbox(LIMITS):
        pass


def test_asking_for_bubblewrap_where_it_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_fault", lambda: "the command bwrap is not installed")
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        choose("bubblewrap")
    assert choose("auto") == "process"
    assert "without bubblewrap" in missing("process")


def test_the_hash_seed_is_fixed_so_that_verdicts_repeat(sandbox: Sandbox) -> None:
    program = "def f(x): return hash('seed')"
    assert values(run(sandbox, program)) == values(run(sandbox, program))


def test_abilities_tell_what_the_machine_can_do() -> None:
    names = {ability.name for ability in abilities()}
    assert {"bubblewrap", "system call filter", "Landlock", "memory limit"} <= names


def test_closing_leaves_no_process_and_no_folder(tmp_path) -> None:
    sandbox = Sandbox(LIMITS, "process")
    with sandbox:
        worker = sandbox._worker
        assert worker is not None
        pid = worker.process.pid
        (folder,) = values(run(sandbox, "import os\ndef f(x): return os.getcwd()"))
    assert not os.path.exists(folder)
    assert not os.path.exists(f"/proc/{pid}") or sys.platform != "linux"


def test_an_interrupt_between_two_words_does_not_wait_for_what_was_said(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, status: object) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(Execution, "_heard", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(sandbox, "def f(x): return x")
    assert time.monotonic() - began < workers.ANSWER_SECONDS / 3
    assert values(run(sandbox, "def f(x): return x")) == [1]


def test_a_sandbox_that_does_not_start_for_a_program_tells_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise SandboxError("no process is left")

    monkeypatch.setattr(sandboxes, "Worker", fail)
    with pytest.raises(SandboxError, match="no process is left"):
        run(Sandbox(LIMITS), "def f(x): return x")


def test_the_schema_and_the_console_name_the_isolations_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [each.value for each in Isolation]
    assert set(names) == {"auto", *isolations.ISOLATIONS}
    with pytest.raises(SystemExit):
        cli.main(["judge", "--help"])
    assert f"--isolation {{{','.join(names)}}}" in capsys.readouterr().out


def test_another_isolation_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nice(isolations.Process):
        name = "nice"

        def place(self, *arguments):
            place = super().place(*arguments)
            return replace(place, command=["nice", "-n", "1", *place.command])

        def not_covered(self):
            return ["patience"]

    monkeypatch.setitem(isolations.ISOLATIONS, "nice", Nice())
    with Sandbox(LIMITS, "nice") as sandbox:
        assert values(run(sandbox, "import os\ndef f(x): return os.getpid() > 1")) == [True]
    assert choose("nice") == "nice"
    assert missing("nice").endswith("They lack: patience.")
