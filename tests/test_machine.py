"""Cores and memory: what this process may use, not what the machine has."""

from pathlib import Path

import pytest

from experiments.environment import machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups; the process is in `/job/step` of version 2."""
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_allowed_processors", lambda: set(range(1000, 1064)))
    write(tmp_path / "own", "0::/job/step\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_cores_are_those_that_the_process_may_run_on(groups: Path) -> None:
    assert machine.cores() == 64


@pytest.mark.parametrize("folder", ["", "job", "job/step"])
def test_a_quota_of_any_group_around_the_process_holds(groups: Path, folder: str) -> None:
    write(groups / folder / "cpu.max", "200000 100000\n")
    write(groups / "job/other/cpu.max", "100000 100000\n")
    assert machine.cores() == 2


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 64), ("50000 100000", 1)])
def test_no_quota_is_no_limit_and_less_than_a_core_is_one(
    groups: Path, quota: str, cores: int
) -> None:
    write(groups / "cpu.max", f"{quota}\n")
    assert machine.cores() == cores


def test_a_group_outside_of_the_container_leaves_the_containers_own_limit(groups: Path) -> None:
    write(groups / "own", "0::/../../job\n")
    write(groups / "cpu.max", "300000 100000\n")
    assert machine.cores() == 3


def test_groups_of_version_1_hold_as_well(groups: Path) -> None:
    write(groups / "own", "5:memory:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/\n")
    write(groups / "cpu/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu/cpu.cfs_period_us", "100000\n")
    assert machine.cores() == 64
    write(groups / "cpu/a/cpu.cfs_quota_us", "400000\n")
    write(groups / "cpu/a/cpu.cfs_period_us", "100000\n")
    assert machine.cores() == 4
    write(groups / "memory/a/memory.limit_in_bytes", "1000000\n")
    write(groups / "memory/a/memory.usage_in_bytes", "700000\n")
    write(groups / "memory/a/memory.stat", "cache 9\ntotal_inactive_file 200000\n")
    assert machine.memory_total() == 1_000_000
    assert machine.memory_available() == 500_000


def test_memory_is_that_of_the_tightest_group_and_caches_count_as_free(groups: Path) -> None:
    write(groups / "job/memory.max", "3000000\n")
    write(groups / "job/memory.current", "1000000\n")
    write(groups / "job/step/memory.max", "max\n")
    write(groups / "job/step/memory.current", "900000\n")
    assert (machine.memory_total(), machine.memory_available()) == (3_000_000, 2_000_000)
    write(groups / "job/memory.stat", "anon 1\ninactive_file 250000\n")
    assert machine.memory_available() == 2_250_000


def test_hyperthreads_count_once(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_core = {"cpu0": "0,4", "cpu4": "0,4", "cpu1": "1,5"}
    original = Path.read_text

    def read_text(path: Path, *arguments: str, **options: str) -> str:
        if path.name == "thread_siblings_list":
            return of_core[path.parts[-3]]
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(machine, "_allowed_processors", lambda: {0, 1, 4})
    assert machine.cores() == 2
