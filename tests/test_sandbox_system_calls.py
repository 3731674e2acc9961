"""The filter of system calls and the rules for folders, on kernels of several ages."""

import os
import platform
import socket
import struct
from pathlib import Path

import pytest

from experiments.sandbox import Kind, Sandbox, choose, decode, landlock, system_calls
from experiments.sandbox.isolation import base
from experiments.schema import SandboxConfig

LIMITS = SandboxConfig(memory_megabytes=512, load_cpu_seconds=2.0)
ISOLATIONS = list(dict.fromkeys([choose("auto"), "process"]))
pytestmark = pytest.mark.skipif(
    not system_calls.filter_works(), reason="this kernel or processor has no filter"
)


def outcome(code: bytes, number: int, *arguments: int, architecture: int = 0xC000003E) -> int:
    """What a filter says to a call: run as the kernel runs it."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *words)
    accumulator = place = 0
    while True:
        code_at, yes, no, value = struct.unpack_from("=HBBI", code, 8 * place)
        place += 1
        match code_at:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x06:
                return value
            case 0x15 | 0x25 | 0x35 | 0x45:
                test = {
                    0x15: accumulator == value,
                    0x25: accumulator > value,
                    0x35: accumulator >= value,
                    0x45: bool(accumulator & value),
                }[code_at]
                place += yes if test else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("processes", [False, True])
def test_what_is_not_named_is_refused(
    monkeypatch: pytest.MonkeyPatch, machine: str, processes: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    code, _ = system_calls.filter_code.__wrapped__(processes)
    column, architecture = system_calls._ARCHITECTURES[machine]
    words = system_calls._ALLOWED.split()
    plain = {int(each) for each in words[1 + column :: 3] if each != "-"}
    allowed = 0x7FFF0000
    for number in [*range(1000), 0x40000000, 0x40000000 + 59, 0xFFFFFFFF]:
        said = outcome(code, number, *[0xFFFEFFFF] * 6, architecture=architecture)
        assert (said == allowed) == (number in plain or (processes and said == allowed)), number
        if number > system_calls._LAST:
            assert said == 0x50000 | 38, number
    assert outcome(code, 0, architecture=0x40000003) == 0x80000000  # another processor's calls


def test_the_numbers_are_those_of_this_machine() -> None:
    headers = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if platform.machine() != "x86_64" or not headers.exists():
        pytest.skip("the kernel's headers are not here")
    lines = [line.split() for line in headers.read_text().splitlines()]
    numbers = {words[1][5:]: words[2] for words in lines if words[:1] == ["#define"] if words[2:]}
    words = system_calls._ALLOWED.split()
    for name, number in zip(words[::3], words[1::3], strict=True):
        assert numbers[name] == number


COMMON = """
import asyncio, concurrent.futures, ctypes, datetime, glob, os, queue, random, shutil, signal
import sqlite3, subprocess, tempfile, threading, time

async def waited():
    await asyncio.sleep(0.001)
    return await asyncio.to_thread(len, "ab")

def f(x):
    done = [asyncio.run(waited())]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done.append(sum(pool.map(abs, range(-20, 0))))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "w") as file:
            file.write("text")
        shutil.copyfile(path, path + "2")
        os.rename(path + "2", path + "3")
        done.append(sorted(map(os.path.basename, glob.glob(folder + "/*"))))
        with sqlite3.connect(os.path.join(folder, "db")) as base:
            base.execute("create table t (a)")
            base.execute("insert into t values (1)")
            done.append(base.execute("select a from t").fetchall())
    signal.signal(signal.SIGALRM, lambda *_: done.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05)
    read, write = os.pipe()
    os.write(write, b"pipe")
    done.append(os.read(read, 9))
    done.append(len(os.urandom(4)) + (len(os.sched_getaffinity(0)) > 0))
    done.append(ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)())
    return done
"""


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_what_solutions_do_works(isolation: str) -> None:
    with Sandbox(LIMITS, isolation) as sandbox:
        (reply,) = sandbox.run(COMMON, "f", [(1,)], [10.0])
        assert reply.kind is Kind.VALUE, reply
        done = decode(reply.payload)
    assert done == [2, 210, ["file", "file3"], [(1,)], "alarm", b"pipe", 5, 7]


TRUNCATE = """
import ctypes, os
def f(path):
    done = []
    for act in (
        lambda: os.truncate(path, 0),
        lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
        lambda: os.open(path, 3 | os.O_TRUNC),
        lambda: os.open(path, os.O_WRONLY | os.O_TRUNC),
        lambda: os.open(os.path.dirname(path) + "/new", os.O_CREAT | os.O_RDONLY),
        lambda: ctypes.CDLL(None).open(path.encode(), os.O_RDONLY | os.O_TRUNC),
        lambda: ctypes.CDLL(None).syscall(2, path.encode(), os.O_RDONLY | os.O_TRUNC),
    ):
        try:
            done.append(act())
        except OSError:
            pass
    return open(path).read()
"""


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_outside_keep_their_content_on_older_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int
) -> None:
    if landlock.version() < version:
        pytest.skip("this kernel has no Landlock of that version")
    file = tmp_path / "file"
    file.write_text("content")
    readable = [*base.prefixes(), str(tmp_path)]
    monkeypatch.setattr(base, "prefixes", lambda: readable)
    monkeypatch.setattr(landlock, "version", lambda: version)
    with Sandbox(LIMITS, "process") as sandbox:
        (reply,) = sandbox.run(TRUNCATE, "f", [(str(file),)], [5.0])
    assert reply.kind is Kind.VALUE, reply
    assert decode(reply.payload) == file.read_text() == "content"
    assert os.listdir(tmp_path) == ["file"]


def test_a_socket_at_a_path_outside_hears_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "socket"))
        server.setblocking(False)
        program = (
            "import socket\ndef f(path):\n"
            "    return socket.socketpair(1, socket.SOCK_DGRAM)[0].sendto(b'harm', path)"
        )
        with Sandbox(LIMITS, "process") as sandbox:
            (reply,) = sandbox.run(program, "f", [(str(tmp_path / "socket"),)], [5.0])
        assert (reply.kind, reply.exception) == (Kind.RAISED, "PermissionError")
        with pytest.raises(BlockingIOError):
            server.recv(9)


def test_no_file_outside_is_leased(tmp_path: Path) -> None:
    program = "import fcntl\ndef f(path):\n    return fcntl.fcntl(open(path), fcntl.F_SETLEASE, 1)"
    for isolation in ISOLATIONS:
        with Sandbox(LIMITS, isolation) as sandbox:
            (reply,) = sandbox.run(program, "f", [("/usr/bin/env",)], [5.0])
            assert (reply.kind, reply.exception) == (Kind.RAISED, "PermissionError")
