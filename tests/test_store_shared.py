"""The shared store in the hands of many processes and machines, and of failures in between."""

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from experiments.errors import StoreError
from experiments.records import FinishReason, Generation, Outcome, Verdict
from experiments.store import GenerationStore, VerdictStore, searching, segments
from experiments.store.files import append_lines, dump
from experiments.store.keyed import generations_in
from experiments.store.segments import IDLE_SECONDS, MANY

PROCESSES = multiprocessing.get_context("spawn")


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def generation(number: int, text: str = "") -> Generation:
    text = text or f"text {number} " * 50
    return Generation(key(number), f"easy/{number}", 0, text, FinishReason.END_TOKEN)


def verdict(number: int, outcome: Outcome = Outcome.PASSED) -> Verdict:
    return Verdict(f"easy/{number}", 0, outcome, outcome, 1, 2, 3, 4)


def found(folder: Path, numbers: range) -> dict[str, Generation]:
    return GenerationStore(folder, "read").find([key(number) for number in numbers])


def cached(numbers: range) -> dict[str, Generation]:
    return {key(n): replace(generation(n), cached=True) for n in numbers}


def keep(folder: Path, numbers: range) -> None:
    with GenerationStore(folder, model="m") as store:
        for number in numbers:
            store.append(generation(number))


def kinds(folder: Path) -> list[str]:
    return sorted(path.name.split(".", 1)[1] for path in folder.glob("*.jsonl"))


def former_line(number: int, record: Generation | Verdict, name: str) -> str:
    """Return a line as version 1 of the store has it."""
    body = json.dumps(asdict(record), separators=(",", ":"))
    check = hashlib.sha256(f"{key(number)} {body}".encode()).hexdigest()[:16]
    return f'{{"v":1,"check":"{check}","key":"{key(number)}","{name}":{body}}}\n'


def is_old(path: Path, seconds: float = IDLE_SECONDS + 60) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


# Many writers


def write_and_read(folder: Path, number: int) -> None:
    own = range(number * 40, number * 40 + 40)
    for part in (own[:20], own[20:]):
        with GenerationStore(folder) as store:
            for each in part:
                store.append(generation(each))
                assert set(store.find([key(each), key(own[0])])) == {key(each), key(own[0])}
    assert found(folder, own) == cached(own)


def test_sixteen_processes_write_and_read_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_all(PROCESSES.Process(target=write_and_read, args=(tmp_path, n)) for n in range(16))
    assert found(tmp_path, range(640)) == cached(range(640))
    assert not caplog.text
    assert len(kinds(tmp_path)) < 32  # some were merged meanwhile


def run_all(processes) -> None:
    started = list(processes)
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * len(started)


def on_a_network_file_system(log: Path) -> None:
    """Have this process write as a machine may that mounts a network file system.

    Locks do nothing. What is appended goes to where the file ended when it was opened, whatever
    others have appended since, in two parts with time in between. Which files are opened to be
    written is logged.
    """
    ends: dict[int, int] = {}
    open_it, write_it = os.open, os.write

    def opening(path, flags, *more, **others):
        descriptor = open_it(path, flags, *more, **others)
        ends[descriptor] = os.fstat(descriptor).st_size
        return descriptor

    def writing(descriptor: int, data: bytes) -> int:
        if descriptor not in ends:
            return write_it(descriptor, data)
        half = bytes(data[: max(1, len(data) // 2)])
        time.sleep(random.uniform(0, 0.002))
        # Linux appends with pwrite, too, where a descriptor has O_APPEND.
        fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
        os.pwrite(descriptor, half, ends[descriptor])
        ends[descriptor] += len(half)
        return len(half)

    os.open, os.write = opening, writing
    fcntl.flock = lambda *_: None

    written: list[str] = []

    def watching(event: str, arguments: tuple) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            written.append(str(arguments[0]))

    sys.addaudithook(watching)
    import atexit

    atexit.register(lambda: log.write_text("\n".join(written)))


def append_on_network(folder: Path, logs: Path, number: int) -> None:
    log = logs / str(number)
    written = log.with_suffix(".written")
    on_a_network_file_system(written)
    for part in range(3):
        keep(folder, range(number * 30 + part * 10, number * 30 + part * 10 + 10))


def append_to_one_file(folder: Path, logs: Path, number: int) -> None:
    on_a_network_file_system(logs / str(number))
    for each in range(20):
        append_lines(folder / "shared.jsonl", [dump(generation(number * 20 + each))])


def test_no_two_processes_write_to_one_file_so_that_a_network_file_system_mixes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs, folder = tmp_path / "logs", tmp_path / "store"
    logs.mkdir()
    run_all(PROCESSES.Process(target=append_on_network, args=(folder, logs, n)) for n in range(4))
    assert found(folder, range(120)) == cached(range(120))
    assert not caplog.text
    opened = [
        {path for path in log.read_text().splitlines() if path.startswith(str(folder))}
        for log in logs.iterdir()
    ]
    assert len(opened) == 4
    assert all(any(path.endswith(".open.jsonl") for path in paths) for paths in opened)
    signs = {str(folder / ".generations.merging")}  # made exclusively, and empty
    assert sum(len(paths - signs) for paths in opened) == len(set().union(*opened) - signs)


def test_the_network_file_system_of_these_tests_mixes_what_two_append_to_one_file(
    tmp_path: Path,
) -> None:
    run_all(
        PROCESSES.Process(target=append_to_one_file, args=(tmp_path, tmp_path, n)) for n in range(3)
    )
    lines = tmp_path.joinpath("shared.jsonl").read_bytes().splitlines()
    whole = {dump(generation(number)).encode() for number in range(60)}
    assert not whole <= set(lines)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_writes_a_file_of_its_own(tmp_path: Path) -> None:
    store = GenerationStore(tmp_path)
    store.append(generation(1))
    child = os.fork()
    if not child:
        store.append(generation(2))
        os._exit(0)
    os.waitpid(child, 0)
    store.append(generation(3))
    assert len(list(tmp_path.glob("*.open.jsonl"))) == 2
    assert found(tmp_path, range(1, 4)) == cached(range(1, 4))


# Failures


def die_within_a_line(folder: Path, numbers: range) -> None:
    """Keep some generations, and end as `kill -9` would in the middle of the last line."""
    store = GenerationStore(folder)
    for number in numbers[:-1]:
        store.append(generation(number))
    write = os.write

    def dying(descriptor: int, data: bytes) -> int:
        write(descriptor, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.write = dying
    store.append(generation(numbers[-1]))


def test_writers_that_are_killed_within_a_line_lose_that_line_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = [
        PROCESSES.Process(target=die_within_a_line, args=(tmp_path, range(n * 5, n * 5 + 5)))
        for n in range(3)
    ]
    for process in killed:
        process.start()
    for process in killed:
        process.join()
        assert process.exitcode == -signal.SIGKILL
    lost = range(4, 15, 5)
    assert set(found(tmp_path, range(15))) == {key(n) for n in set(range(15)) - set(lost)}
    keep(tmp_path, lost)
    assert found(tmp_path, range(15)) == cached(range(15))
    for path in tmp_path.glob("*.open.jsonl"):
        is_old(path)
    for number in range(15, 15 + MANY):
        keep(tmp_path, range(number, number + 1))
    assert "open.jsonl" not in kinds(tmp_path)
    assert "sorted.jsonl" in kinds(tmp_path)
    assert found(tmp_path, range(15 + MANY)) == cached(range(15 + MANY))
    assert not caplog.text


def test_a_full_disk_costs_the_generation_in_flight_alone(tmp_path: Path) -> None:
    own = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*own, "exit"], check=False).returncode:
        pytest.skip("no mounts of our own here")
    (tmp_path / "disk").mkdir()
    script = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_store_shared import *\n"
        "folder, n = Path(sys.argv[1]), 0\n"
        "try:\n"
        "    while True:\n"
        "        with GenerationStore(folder) as store:\n"
        "            for _ in range(10): store.append(generation(n)); n += 1\n"
        "except StoreError as error:\n"
        "    assert 'The disk is full' in str(error), error\n"
        "assert n > 50 and found(folder, range(n)) == cached(range(n)), n\n"
        "for path in folder.iterdir(): path.unlink()\n"
        "store.append(generation(-1)); assert len(found(folder, range(-1, 0))) == 1\n"
        "print('fine')\n"
    )
    command = 'mount -t tmpfs -o size=200k none "$1/disk" && "$2" -c "$3" "$1/disk"'
    done = subprocess.run(
        [*own, command, "sh", str(tmp_path), sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr


# Merging


def test_many_small_files_become_one_that_has_it_all(tmp_path: Path) -> None:
    for part in range(MANY):
        assert len(kinds(tmp_path)) == part
        keep(tmp_path, range(part * 10, part * 10 + 10))
    assert kinds(tmp_path) == ["sorted.jsonl"]
    assert found(tmp_path, range(10 * MANY + 5)) == cached(range(10 * MANY))
    (path,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in lines] == sorted(key(n) for n in range(10 * MANY))
    assert {line["model"] for line in lines} == {"m"}


def test_files_that_runs_append_to_are_not_merged(tmp_path: Path) -> None:
    stores = [GenerationStore(tmp_path) for _ in range(MANY)]
    for number, store in enumerate(stores):
        store.append(generation(number))
    generations_in(tmp_path).merge()
    assert kinds(tmp_path) == ["open.jsonl"] * MANY


def test_a_writer_that_was_idle_for_days_goes_on_in_a_new_file(tmp_path: Path) -> None:
    store = GenerationStore(tmp_path)
    store.append(generation(0))
    (own,) = tmp_path.iterdir()
    is_old(own)
    for part in range(1, MANY):
        keep(tmp_path, range(part, part + 1))
    assert not own.exists()
    store.append(generation(MANY))
    assert found(tmp_path, range(MANY + 1)) == cached(range(MANY + 1))


@pytest.mark.parametrize("step", ["fsync", "rename", "unlink"])
@pytest.mark.parametrize("after", range(3))
def test_a_merge_that_breaks_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
) -> None:
    for part in range(MANY):
        store = GenerationStore(tmp_path)
        store.append(generation(part))
        store._segments.merge = lambda: None
        store.close()
    calls: list[object] = []
    do: Callable[..., object] = getattr(os if step == "fsync" else Path, step)

    def breaking(*arguments: object, **others: object) -> object:
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(errno.EIO, "Input/output error")
        return do(*arguments, **others)

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, breaking)
        with suppress(OSError):
            generations_in(tmp_path).merge()
        assert calls
    assert found(tmp_path, range(MANY)) == cached(range(MANY))
    for left_over in tmp_path.glob(".*"):
        is_old(left_over)
    generations_in(tmp_path).merge()
    for part in range(MANY, 3 * MANY):  # as a store that goes on
        keep(tmp_path, range(part, part + 1))
    assert found(tmp_path, range(3 * MANY)) == cached(range(3 * MANY))
    assert not list(tmp_path.glob(".*"))


def test_of_one_key_the_first_generation_and_the_last_verdict_count_merged_or_not(
    tmp_path: Path,
) -> None:
    for part in range(MANY - 1):
        with GenerationStore(tmp_path) as store, VerdictStore(tmp_path) as verdicts:
            store.append(generation(1, f"text {part}"))
            verdicts.append(key(1), verdict(part))
            time.sleep(0.002)
    for _ in range(2):
        assert GenerationStore(tmp_path).find([key(1)])[key(1)].text == "text 0"
        assert VerdictStore(tmp_path).find([key(1)])[key(1)].problem_id == f"easy/{MANY - 2}"
        keep(tmp_path, range(2, 3))
        with VerdictStore(tmp_path) as verdicts:
            verdicts.append(key(2), verdict(2))
    assert kinds(tmp_path) == ["jsonl", "jsonl", "sorted.jsonl", "sorted.jsonl"]
    lines = [path.read_text().splitlines() for path in tmp_path.glob("*.sorted.jsonl")]
    assert [len(each) for each in lines] == [2, 2]


def look(folder: Path, until: Path, began: Any) -> None:
    """Look for what is known to be kept, again and again: it is always there."""
    began.wait()
    is_over = False
    while not is_over:
        is_over = until.exists()
        known = len(list(until.parent.glob("kept-*")))
        assert len(found(folder, range(known))) == known


def test_readers_miss_nothing_while_files_are_merged(tmp_path: Path) -> None:
    folder, over = tmp_path / "store", tmp_path / "over"
    began = PROCESSES.Barrier(4)
    readers = [PROCESSES.Process(target=look, args=(folder, over, began)) for _ in range(3)]
    for reader in readers:
        reader.start()
    began.wait()
    for number in range(20 * MANY):
        keep(folder, range(number, number + 1))
        tmp_path.joinpath(f"kept-{number}").touch()
    over.touch()
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0


# Finding


@pytest.mark.parametrize("seed", range(8))
def test_any_keys_are_found_in_a_sorted_file_as_if_all_lines_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(searching, "LOOK_BYTES", 700)
    number = chance.choice([1, 2, 3, 40, 400])
    lengths = [chance.choice([1, 100, 1000, 20_000 if seed % 2 else 1]) for _ in range(number)]
    texts = {n: "x" * lengths[n] for n in range(number)}
    for part in range(MANY):
        with GenerationStore(tmp_path) as store:
            for n in range(part, number, MANY):
                store.append(generation(n, texts[n]))
            if part >= number:
                store.append(generation(0, texts[0]))
    assert kinds(tmp_path) == ["sorted.jsonl"]
    for _ in range(30):
        wanted = [chance.randrange(2 * number) for _ in range(chance.choice([1, 2, 7]))]
        got = GenerationStore(tmp_path).find([key(n) for n in wanted])
        assert {k: g.text for k, g in got.items()} == {
            key(n): texts[n] for n in wanted if n < number
        }
    every = GenerationStore(tmp_path).find([key(n) for n in range(number)])
    assert len(every) == number


def test_finding_reads_a_small_part_of_a_sorted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in range(MANY):
        keep(tmp_path, range(part * 500, part * 500 + 500))
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(searching, "LOOK_BYTES", 2048)
    read: list[int] = []
    pread = os.pread

    def reading(descriptor: int, length: int, place: int) -> bytes:
        data = pread(descriptor, length, place)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", reading)
    assert len(found(tmp_path, range(20))) == 20
    assert 0 < sum(read) < path.stat().st_size / 10
    assert len(read) <= 20 * 6


def test_a_sorted_file_that_is_damaged_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for part in range(MANY):
        keep(tmp_path, range(part * 10, part * 10 + 10))
    monkeypatch.setattr(searching, "LOOK_BYTES", 2048)
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = {json.loads(lines[place])["key"] for place in (40, 41)}
    lines[40], lines[41] = b"\x00" * (len(lines[40]) - 1) + b"\n", b"?" + lines[41][1:]
    path.write_bytes(b"".join(lines))
    for n in range(10 * MANY):
        assert len(found(tmp_path, range(n, n + 1))) == (key(n) not in damaged)
    assert "2 damaged entries were dropped" in caplog.text


@pytest.mark.parametrize("length", [0, 50, 5000, 20_000])
def test_a_sorted_file_that_was_cut_is_read_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    for part in range(MANY):
        keep(tmp_path, range(part * 10, part * 10 + 10))
    monkeypatch.setattr(searching, "LOOK_BYTES", 300)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    there = {json.loads(line)["key"] for line in whole[:length].splitlines(True) if b"\n" in line}
    with path.open("rb") as content:
        wanted = sorted(key(n).encode() for n in range(10 * MANY))
        lines = list(searching.lines_with(content, len(whole), wanted))  # its size as it was
    assert there <= {line[41:105].decode() for line in lines}
    assert set(found(tmp_path, range(10 * MANY))) == there


# The layout of earlier versions


def test_a_store_of_an_earlier_version_is_read_and_merged_with_nothing_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    for number in range(100):
        with (folder / f"generations-{key(number)[0]}.jsonl").open("a") as file:
            file.write(former_line(number, generation(number), "generation"))
            if number == 50:
                file.write(" " * 300 + "\n")  # what a damaged line was made of
    again = generation(3, "another text")
    with (folder / f"generations-{key(3)[0]}.jsonl").open("a") as file:
        file.write(former_line(3, again, "generation"))
    for number in (1, 2):
        with (folder / f"verdicts-{key(1)[0]}.jsonl").open("a") as file:
            file.write(former_line(1, verdict(number), "verdict"))
    for _ in range(2):
        assert found(folder, range(105)) == cached(range(100))
        assert VerdictStore(folder, "read").find([key(1)]) == {key(1): verdict(2)}
        for path in folder.iterdir():
            is_old(path)
        generations_in(folder).merge()
    assert kinds(folder) == ["jsonl", "sorted.jsonl"]  # the verdicts are too few
    assert not caplog.text


def test_a_large_file_that_is_not_sorted_is_sorted_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SMALL_BYTES", 10_000)
    keep(tmp_path, range(40))
    assert kinds(tmp_path) == ["sorted.jsonl"]
    assert found(tmp_path, range(40)) == cached(range(40))


def test_a_file_with_lines_of_a_later_version_is_never_merged(tmp_path: Path) -> None:
    line = b'{"v":3,"something":"else"}\n'
    later = tmp_path / "generations-other-1-abc.jsonl"
    later.write_bytes(line)
    for part in range(2 * MANY):
        keep(tmp_path, range(part, part + 1))
    assert later.read_bytes() == line
    assert found(tmp_path, range(2 * MANY)) == cached(range(2 * MANY))


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    keep(tmp_path, range(1))
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "aside")
    path.mkdir()
    with pytest.raises(StoreError, match=r"jsonl cannot be used \(Is a directory\)"):
        found(tmp_path, range(1))
