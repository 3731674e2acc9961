import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import files_of_at_most

from experiments.errors import ConfigError, StoreError
from experiments.records import (
    Failure,
    FinishReason,
    Generation,
    Outcome,
    Problem,
    ProblemInfo,
    Solution,
    Verdict,
)
from experiments.store import GenerationStore, appending
from experiments.store.files import write_records
from experiments.store.runs import (
    FORMAT,
    read_generations,
    read_problems,
    read_programs,
    read_report,
    read_verdicts,
    write_run,
)


def key(number: int) -> str:
    return f"{number:064x}"[::-1]  # the first digit differs, so several files are used


def generation(number: int, text: str = "```python\npass\n```") -> Generation:
    return Generation(key(number), f"easy/{number}", 0, text, FinishReason.END_TOKEN, new_tokens=3)


def verdict(number: int) -> Verdict:
    failure = Failure("f(1)", "2", "3") if number % 2 else None
    outcome = Outcome.WRONG_ANSWER if number % 2 else Outcome.PASSED
    return Verdict(f"easy/{number}", 0, outcome, outcome, 1, 2, 3, 4, failure, 0.5, "process")


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def only_file(folder: Path) -> Path:
    (path,) = files(folder)
    return path


NASTY = "é\u2028\x00\x1e\r\n\ud800 \U0001f600 " + "\\" + '"'


@pytest.mark.parametrize("text", ["", "plain", NASTY, "long " * 100_000])
def test_what_was_kept_is_found_to_the_letter_and_marked_as_cached(
    tmp_path: Path, text: str
) -> None:
    GenerationStore(tmp_path).append(generation(1, text))
    found = GenerationStore(tmp_path).find([key(1), key(2)])
    assert found == {key(1): replace(generation(1, text), cached=True)}


def test_mode_read_finds_and_keeps_nothing(tmp_path: Path) -> None:
    GenerationStore(tmp_path).append(generation(1))
    reader = GenerationStore(tmp_path, "read")
    reader.append(generation(2))
    assert set(reader.find([key(1), key(2)])) == {key(1)}


def test_mode_off_touches_nothing(tmp_path: Path) -> None:
    GenerationStore(tmp_path).append(generation(1))
    off = GenerationStore(tmp_path, "off")
    off.append(generation(2))
    assert off.find([key(1)]) == {}
    assert set(GenerationStore(tmp_path).find([key(1), key(2)])) == {key(1)}
    GenerationStore(tmp_path / "nowhere", "off").append(generation(1))
    assert not (tmp_path / "nowhere").exists()


def test_reading_a_store_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert GenerationStore(tmp_path / "nowhere", "read").find([key(1)]) == {}


def test_an_unknown_mode_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no cache mode 'onn'\. Did you mean 'on'"):
        GenerationStore(tmp_path, "onn")


def test_a_torn_last_line_costs_that_line_alone_at_every_length(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = GenerationStore(tmp_path)
    store.append(generation(1))
    path = only_file(tmp_path)
    whole = path.read_bytes()
    store.append(generation(17))
    both = path.read_bytes()
    for length in range(len(whole) + 1, len(both)):
        path.write_bytes(both[:length])
        assert set(GenerationStore(tmp_path).find([key(1), key(17)])) == {key(1)}
        with GenerationStore(tmp_path) as other:
            other.append(generation(17))
        assert set(GenerationStore(tmp_path).find([key(1), key(17)])) == {key(1), key(17)}
        assert path.read_bytes() == both[:length]  # nobody but its writer touches a file
        (path_of_other,) = set(files(tmp_path)) - {path}
        path_of_other.unlink()
    assert not caplog.text  # it may be that another process is writing it just now


def test_a_torn_last_line_is_closed_before_the_next_is_appended(tmp_path: Path) -> None:
    store = GenerationStore(tmp_path)
    store.append(generation(1))
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    store.append(generation(17))
    assert set(store.find([key(1), key(17)])) == {key(17)}


def test_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    GenerationStore(tmp_path).append(generation(1))
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        found = GenerationStore(tmp_path).find([key(1)])
        assert found in ({}, {key(1): replace(generation(1), cached=True)})
        if place < len(whole) - 1:  # all but the line's end belong to the entry
            assert found == {}


def test_lines_of_another_version_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    GenerationStore(tmp_path).append(generation(1))
    path = only_file(tmp_path)
    newer = path.read_bytes() + b'{"v":3,"something":"else"}\n'
    path.write_bytes(newer)
    assert set(GenerationStore(tmp_path).find([key(1)])) == {key(1)}
    assert path.read_bytes() == newer
    assert not caplog.text


@pytest.mark.parametrize("mode", ["read", "on"])
def test_a_damaged_entry_is_told_and_made_again_and_its_file_is_left_alone(
    tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    GenerationStore(tmp_path).append(generation(1))
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"pass", b"fail"))
    damaged = path.read_bytes()
    assert GenerationStore(tmp_path, mode).find([key(1)]) == {}
    assert "1 damaged entry was dropped" in caplog.text
    assert path.read_bytes() == damaged
    GenerationStore(tmp_path).append(generation(1))
    assert set(GenerationStore(tmp_path).find([key(1)])) == {key(1)}


def test_a_killed_writer_leaves_whole_lines_only(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from test_store import *\n"
        "store = GenerationStore(Path(sys.argv[1])); print('go', flush=True); n = 0\n"
        "while True: n += 1; store.append(generation(n, 'x' * 50_000)); print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.strip() == "40":
                break
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
    done = max([40, *told])
    found = GenerationStore(tmp_path).find([key(n) for n in range(1, done + 1)])
    assert len(found) == done  # everything that was told as kept


def test_a_full_disk_is_told_in_one_line_and_nothing_half_written_is_kept(
    tmp_path: Path,
) -> None:
    store = GenerationStore(tmp_path)
    store.append(generation(1))
    before = only_file(tmp_path).read_bytes()
    with files_of_at_most(len(before) + 1000), pytest.raises(StoreError) as failure:
        store.append(generation(17, "y" * 5000))
    assert str(only_file(tmp_path)) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert only_file(tmp_path).read_bytes() == before


def test_no_space_left_names_the_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = GenerationStore(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match=r"The disk is full: .*jsonl.*type the same command"):
        store.append(generation(1))


def test_a_store_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="store cannot be used"):
        GenerationStore(tmp_path / "store")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Set store=FOLDER or cache=read"):
            GenerationStore(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_runs_files_come_back_as_they_were(tmp_path: Path) -> None:
    generations = [generation(n, NASTY) for n in range(3)]
    verdicts = [verdict(n) for n in range(3)]
    for name, records in (("generations", generations), ("verdicts", verdicts)):
        with appending(tmp_path / f"{name}.jsonl") as append:
            for record in records:
                append(record)
    assert read_generations(tmp_path) == generations
    assert read_verdicts(tmp_path) == verdicts
    assert read_verdicts(tmp_path / "nothing") == []


def test_a_runs_file_is_cut_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "verdicts.jsonl"
    write_records(path, [verdict(1), verdict(2)])
    path.write_bytes(path.read_bytes()[:-5])
    assert read_verdicts(tmp_path) == [verdict(1)]
    assert "verdicts.jsonl:2: a damaged line was dropped" in caplog.text
    with appending(path) as append:
        append(verdict(2))
    assert read_verdicts(tmp_path) == [verdict(1), verdict(2)]


def test_replacing_a_runs_file_leaves_no_draft_and_the_former_file_on_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "verdicts.jsonl"
    write_records(path, [verdict(1)])
    assert [json.loads(line)["problem_id"] for line in path.read_text().splitlines()] == ["easy/1"]

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="The disk is full"):
        write_records(path, [verdict(2)])
    assert read_verdicts(tmp_path) == [verdict(1)]
    assert [p.name for p in tmp_path.iterdir()] == ["verdicts.jsonl"]


def finished(folder: Path) -> Path:
    problem = Problem("p", "f", "def f(): ...", "", ((),), title="One", topics=("lists",))
    write_run(
        folder,
        generations=[generation(1)],
        verdicts=[verdict(1)],
        programs=[Solution("p", 0, "def f(): ...", True, None)],
        problems=[problem],
        manifest={"labels": {"model": "m"}, "note": "odd"},
        metrics={"pass_at_1/plus": 0.5, "speed/tokens_per_second": float("nan")},
    )
    return folder


def test_a_runs_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    found = read_report(folder)
    assert found.metrics == {"pass_at_1/plus": 0.5}
    assert (found.labels, found.note) == ({"model": "m"}, "odd")
    assert read_programs(folder) == [Solution("p", 0, "def f(): ...", True, None)]
    assert read_problems(folder) == [ProblemInfo("p", "One", "", ("lists",), "f", "def f(): ...")]


def test_numbers_stand_under_their_names_beside_the_version_of_their_form(tmp_path: Path) -> None:
    finished(tmp_path)
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert kept == {"format": FORMAT, "pass_at_1/plus": 0.5}
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == FORMAT


def test_a_run_of_version_1_is_read_under_todays_names(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"speed/decoding_tokens_per_second": 9}')
    (tmp_path / "manifest.json").write_text('{"labels": {}}')
    assert read_report(tmp_path).metrics == {"speed/decode_tokens_per_second": 9.0}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("metrics.json", b"", "metrics.json cannot be read: it is empty"),
        ("metrics.json", b'{"a/b": ', "metrics.json cannot be read: "),
        ("metrics.json", b"[1]", "holds no names and values"),
        ("metrics.json", b'{"a/b": "x"}', "cannot be read: ValueError"),
        ("manifest.json", b"{}", "cannot be read: KeyError"),
        ("metrics.json", b'{"format": 99}', "has format 99, and this version .* up to 2"),
        (
            "samples.jsonl",
            '{"task_id": "p"}\n{}\n'.encode("utf-16"),
            "none of its lines is a record",
        ),
    ],
)
def test_a_damaged_or_newer_file_is_told_in_one_line(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    folder = finished(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=told) as failure:
        (read_report(folder), read_programs(folder))
    assert "\n" not in str(failure.value)
