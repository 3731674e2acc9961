"""Processes of ours that read files of strangers: what they can do if they are taken over."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.backends.llama_cpp import host
from experiments.errors import BackendError
from experiments.sandbox import abilities, confinement, landlock, system_calls

pytestmark = pytest.mark.skipif(
    bool(confinement.missing()), reason="this kernel has no filter or no Landlock"
)

TAKEN_OVER = """
import ctypes, json, os, socket, subprocess, sys, threading

place, outside, port, parent = sys.argv[1:] if len(sys.argv) > 1 else {given}
libc = ctypes.CDLL(None, use_errno=True)

def shell(command):
    subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

def in_thread(act):
    failed = []
    def run():
        try:
            act()
        except BaseException as error:
            failed.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]

def connect():
    socket.create_connection(("127.0.0.1", int(port)), 1)

ACTS = dict(
    connects=connect,
    connects_in_a_thread=lambda: in_thread(connect),
    sends=lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(port))),
    listens=lambda: socket.create_server(("127.0.0.1", 0)),
    asks_a_local_server=lambda: socket.socket(socket.AF_UNIX).connect(outside + "/socket"),
    has_a_ring=lambda: call(425, 1, ctypes.create_string_buffer(120)),
    writes=lambda: open(outside + "/new", "w"),
    changes=lambda: open(outside + "/kept", "a"),
    empties=lambda: os.truncate(outside + "/kept", 0),
    removes=lambda: os.unlink(outside + "/kept"),
    renames=lambda: os.rename(outside + "/kept", place + "/kept"),
    links=lambda: os.link(outside + "/kept", place + "/kept"),
    by_a_link=lambda: (os.symlink(outside, place + "/link"), open(place + "/link/new", "w")),
    locks=lambda: os.chmod(outside + "/kept", 0),
    touches=lambda: os.utime(outside + "/kept"),
    marks=lambda: os.setxattr(outside + "/kept", "user.x", b"x"),
    by_a_shell=lambda: shell("echo x > " + outside + "/kept"),
    by_python=lambda: shell(sys.executable + " -c \\"open('" + outside + "/kept', 'w')\\""),
    kills=lambda: os.kill(int(parent), 9),
    sets_the_kernel=lambda: open("/proc/sys/kernel/core_pattern", "r+b", 0),
    memory=lambda: open("/proc/" + parent + "/mem", "r+b", 0),
)
done = []
for name, act in ACTS.items():
    try:
        act()
        done.append(name)
    except (OSError, subprocess.SubprocessError):
        pass
open(place + "/done", "w").write(json.dumps(done))
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What is to stay as it is, with a server of this machine beside."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.joinpath("kept").write_text("content")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def port() -> int:
    return 9  # nobody has to be there: no socket can be had at all


def arguments(place: Path, outside: Path, port: int) -> list[str]:
    return [str(place), str(outside), str(port), str(os.getpid())]


def assert_harmless(place: Path, outside: Path) -> None:
    assert json.loads(place.joinpath("done").read_text()) == []
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert outside.joinpath("kept").read_text() == "content"
    assert outside.joinpath("kept").stat().st_mode & 0o600 == 0o600


def test_a_confined_program_does_no_harm(
    tmp_path: Path, place: Path, outside: Path, port: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(TAKEN_OVER)
    command = confinement.command([str(script), *arguments(place, outside, port)], [place])
    subprocess.run(command, check=True)
    assert_harmless(place, outside)


def test_the_attempts_succeed_where_nothing_is_confined(
    tmp_path: Path, place: Path, outside: Path
) -> None:
    """Else they would prove nothing."""
    script = tmp_path / "script.py"
    script.write_text(TAKEN_OVER.replace("os.kill(int(parent), 9)", "None"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        given = arguments(place, outside, server.getsockname()[1])
        subprocess.run([sys.executable, str(script), *given], check=True)
    did = set(json.loads(place.joinpath("done").read_text()))
    assert did >= {"connects", "sends", "listens", "writes", "changes", "by_a_shell"}


def test_code_in_the_process_of_a_model_does_no_harm(
    tmp_path: Path, place: Path, outside: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of llama.cpp, a library that a file of weights has taken over."""
    library = tmp_path / "library" / "llama_cpp"
    library.mkdir(parents=True)
    taken_over = TAKEN_OVER.format(given=arguments(place, outside, port))
    library.joinpath("__init__.py").write_text(taken_over)
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{library.parent}:{before}")
    with pytest.raises(BackendError, match="died while loading"):
        host.Worker("model.gguf", {}, [place])
    assert_harmless(place, outside)


def test_what_a_kernel_lacks_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"open({str(tmp_path / 'written')!r}, 'w').write('as ever')")
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(system_calls, "filter_works", lambda: False)
    system_calls.outward_code.cache_clear()
    try:
        subprocess.run(confinement.command([str(script)]), check=True)
        (told,) = [each for each in abilities() if each.name == "model's process"]
    finally:
        system_calls.outward_code.cache_clear()
    assert tmp_path.joinpath("written").read_text() == "as ever"
    assert not told.works
    assert "lacks: no network, no writing outside its folder" in told.detail


def test_modules_and_their_arguments_are_run_as_python_runs_them(tmp_path: Path) -> None:
    module = "import sys; assert __name__ == '__main__'; print(sys.argv[1:])"
    tmp_path.joinpath("shown.py").write_text(module)
    command = confinement.command(["-m", "shown", "a", "b"])
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    assert subprocess.check_output(command, env=environment) == b"['a', 'b']\n"
