"""A control group around workers, where systemd gives one."""

import os
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
case "$1" in sh) {probe} ;; *) exec "$@" ;; esac
"""


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine with systemd, as far as a worker can tell: a command that starts what follows."""
    monkeypatch.setattr(control_group, "_BOOTED", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    control_group.works.cache_clear()
    yield tmp_path / "systemd-run"
    control_group.works.cache_clear()


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
    assert not control_group.works()
    assert control_group.wrapped(["a"], {"b": "c"}, SandboxConfig(), 64) == (["a"], {"b": "c"})


def test_where_there_is_no_systemd_nothing_is_tried(
    systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(systemd, "echo 104857600")
    monkeypatch.setattr(control_group, "_BOOTED", systemd / "nowhere")
    assert not control_group.works()
    assert not systemd.with_name("calls").exists()
