"""A control group around workers, where systemd gives one or one is delegated."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.sandbox import Kind, Sandbox, choose, control_group, decode
from experiments.schema import SandboxConfig

ISOLATIONS = list(dict.fromkeys([choose("auto"), "process"]))
SYSTEMD_RUN = """#!/bin/sh
echo "$@" >> {calls}
while [ "$1" != -- ]; do shift; done
shift
case "$*" in *memory.max*) {probe} ;; *) exec "$@" ;; esac
"""


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine with systemd, as far as a worker can tell: a command that starts what follows."""
    monkeypatch.setattr(control_group, "_BOOTED", tmp_path)
    monkeypatch.setattr(control_group, "_OWN", tmp_path / "no groups")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    control_group._maker.cache_clear()
    yield tmp_path / "systemd-run"
    control_group._maker.cache_clear()


def write(command: Path, probe: str) -> None:
    command.write_text(SYSTEMD_RUN.format(calls=command.with_name("calls"), probe=probe))
    command.chmod(0o755)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_worker_is_started_in_a_group_with_limits(systemd: Path, isolation: str) -> None:
    write(systemd, "echo 104857600")
    with Sandbox(SandboxConfig(memory_megabytes=1000), isolation) as sandbox:
        (reply,) = sandbox.run("import os\ndef f(): return sorted(os.environ)", "f", [()], [1.0])
    assert reply.kind is Kind.VALUE
    assert not {"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"} & set(decode(reply.payload))
    probe, worker = systemd.with_name("calls").read_text().splitlines()
    assert "MemoryMax=100M" in probe
    assert "MemoryMax=1512M -p MemorySwapMax=0 -p TasksMax=96" in worker


@pytest.mark.parametrize("probe", ["exit 1", "echo max", "exec sleep 99"])
def test_a_group_whose_limit_does_not_hold_is_not_used(
    systemd: Path, monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    write(systemd, probe)
    monkeypatch.setattr(control_group, "PROBE_SECONDS", 0.5)
    assert control_group.maker() == ""
    group = control_group.around(SandboxConfig(), 64)
    assert group.wrapped(["a"], {"b": "c"}) == (["a"], {"b": "c"})


def test_where_there_is_no_systemd_nothing_is_tried(
    systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(systemd, "echo 104857600")
    monkeypatch.setattr(control_group, "_BOOTED", systemd / "nowhere")
    assert control_group.maker() == ""
    assert not systemd.with_name("calls").exists()


@pytest.fixture
def delegated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Folders such as a kernel shows groups: of this process, and above it the delegated one."""
    above = tmp_path / "delegated"
    (above / "own").mkdir(parents=True)
    (above / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (above / "own" / "cgroup.subtree_control").write_text("\n")
    (above / "cgroup.procs").touch()
    (tmp_path / "line").write_text("4:memory:/other\n0::/delegated/own\n")
    monkeypatch.setattr(control_group, "_BOOTED", tmp_path / "nowhere")
    monkeypatch.setattr(control_group, "_GROUPS", tmp_path)
    monkeypatch.setattr(control_group, "_OWN", tmp_path / "line")
    monkeypatch.setattr(control_group, "REMOVE_SECONDS", 0.0)
    control_group._maker.cache_clear()
    yield above
    control_group._maker.cache_clear()


def test_a_group_is_made_where_both_limits_are_delegated(
    delegated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert control_group._delegated() == [str(delegated)]
    assert control_group.maker() == ""  # a folder of files holds nobody to a limit
    monkeypatch.setattr(control_group, "_holds", lambda _: True)
    control_group._maker.cache_clear()
    left = delegated / f"experiments-{2**22 + 1}-left"  # of no process that there can be
    left.mkdir()
    group = control_group.around(SandboxConfig(memory_megabytes=1000), 64)
    assert group.folder is not None
    assert not left.exists()
    assert (group.folder / "memory.max").read_text() == str(1512 << 20)
    assert (group.folder / "pids.max").read_text() == "96"
    command, environment = group.wrapped(["printenv", "b"], {"b": "c"})
    assert subprocess.check_output(command, env=environment) == b"c\n"
    assert (group.folder / "cgroup.procs").read_text() == "0\n"


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_group_that_can_be_had_counts_all_memory(isolation: str) -> None:
    """The real thing: here it needs systemd, or root or a user to whom a group is delegated."""
    control_group._maker.cache_clear()
    if not control_group.maker():
        pytest.skip("no control group can be had here")
    limits = SandboxConfig(memory_megabytes=512)
    with Sandbox(limits, isolation) as sandbox:
        worker = sandbox._worker
        assert worker is not None
        own = Path(f"/proc/{worker.process.pid}/cgroup").read_text().partition("0::")[2]
        group = Path(f"/sys/fs/cgroup{own.splitlines()[0]}")
        assert (group / "memory.max").read_text() == f"{1024 << 20}\n"
        before = int((group / "memory.current").read_text())
        (reply,) = sandbox.run("def f(): return len(bytearray(40 << 20))", "f", [()], [60.0])
        assert reply.kind is Kind.VALUE
        peak = int((group / "memory.peak").read_text()) if (group / "memory.peak").exists() else 0
        assert not peak or peak > before + (30 << 20)
        (reply,) = sandbox.run("def f(): return 1", "f", [()], [5.0])
        assert decode(reply.payload) == 1
    until = time.monotonic() + 10.0
    while group.exists() and time.monotonic() < until:
        time.sleep(0.01)  # systemd removes its own when it has seen that nobody is in it
    assert not group.exists()
