"""Files of samples: one line out per line in, in order, and mistakes told by line."""

import gzip
import json
import os
from pathlib import Path

import pytest
from conftest import files_of_at_most

from experiments import cli
from experiments.cli import commands
from experiments.errors import DatasetError, StoreError
from experiments.judge import solutions
from experiments.judge.samples import judge_samples
from experiments.problems import load_jsonl
from experiments.records import Dataset, Problem
from experiments.schema import SandboxConfig

PROBLEMS = tuple(
    Problem(
        id=f"set/{number}",
        entry_point="f",
        prompt="def f(x):\n",
        reference=f"def f(x):\n    return x + {number}\n",
        base_inputs=((1,),),
        extra_inputs=((2,), (3,)),
    )
    for number in range(3)
)
DATASET = Dataset("set", "digest", PROBLEMS)
SETTINGS = SandboxConfig(workers=2, memory_megabytes=512)


def write(path: Path, *lines: object) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        for line in lines:
            text = line if isinstance(line, str | bytes) else json.dumps(line)
            file.write((text if isinstance(text, bytes) else text.encode()) + b"\n")
    return path


def test_a_line_out_per_line_in_in_order_with_other_keys_kept(tmp_path: Path) -> None:
    samples = write(
        tmp_path / "samples.jsonl",
        {"task_id": "set/1", "solution": "def f(x): return x + 1", "model": "a"},
        {"task_id": "set/0", "completion": "    return x"},
        "",
        {"task_id": "set/1", "solution": "def f(x): return 2 if x == 1 else 0"},
        {"task_id": "set/0", "solution": "def f(x"},
    )
    summary = judge_samples(DATASET, samples, tmp_path / "out" / "verdicts.jsonl", SETTINGS)
    lines = [json.loads(x) for x in (tmp_path / "out/verdicts.jsonl").read_text().splitlines()]
    told = [
        (x["task_id"], x["base"], x["plus"], x["tests_passed"], x["tests_total"]) for x in lines
    ]
    assert told == [
        ("set/1", "passed", "passed", 3, 3),
        ("set/0", "passed", "passed", 3, 3),
        ("set/1", "passed", "wrong_answer", 1, 3),
        ("set/0", "no_code", "no_code", 0, 3),
    ]
    assert lines[0]["model"] == "a"
    assert lines[0]["isolation"] in ("bubblewrap", "process")
    assert (summary.samples, summary.problems, summary.missing) == (4, 2, 1)
    assert summary.base == {1: 0.75}
    assert summary.plus == {1: 0.5}
    assert "base + extra: pass@1 50.0 %" in summary.lines()


def test_compressed_files_are_read_and_written(tmp_path: Path) -> None:
    line = {"task_id": "set/0", "solution": PROBLEMS[0].reference}
    samples = write(tmp_path / "samples.jsonl.gz", line)
    judge_samples(DATASET, samples, tmp_path / "out.jsonl.gz", SETTINGS)
    with gzip.open(tmp_path / "out.jsonl.gz", "rt") as file:
        assert [json.loads(line)["plus"] for line in file] == ["passed"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2 is no JSON"),
        (b"\xff\xfe", "line 2 is no JSON: 'utf-8' codec can't decode"),
        ("[]", "line 2 has no task_id"),
        ({"task_id": "set/9", "solution": ""}, "line 2: set has no problem 'set/9'"),
        ({"task_id": "set/0"}, "line 2 has neither a solution nor a completion"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, line: object, told: str) -> None:
    samples = write(tmp_path / "s.jsonl", {"task_id": "set/0", "solution": "x"}, line)
    with pytest.raises(DatasetError, match=told):
        judge_samples(DATASET, samples, tmp_path / "out.jsonl", SETTINGS)
    assert not (tmp_path / "out.jsonl").exists()


def test_files_that_cannot_be_opened_are_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        judge_samples(DATASET, tmp_path / "none.jsonl", tmp_path / "out.jsonl", SETTINGS)
    (tmp_path / "x.jsonl.gz").write_bytes(b"no archive")
    with pytest.raises(StoreError, match="cannot be read"):
        judge_samples(DATASET, tmp_path / "x.jsonl.gz", tmp_path / "out.jsonl", SETTINGS)
    samples = write(tmp_path / "s.jsonl", {"task_id": "set/0", "solution": "x"})
    with pytest.raises(StoreError, match="cannot be written"):
        judge_samples(DATASET, samples, tmp_path / "s.jsonl" / "out.jsonl", SETTINGS)


def test_the_samples_are_never_overwritten_and_a_folder_is_told_at_once(tmp_path: Path) -> None:
    samples = write(tmp_path / "samples.jsonl", {"task_id": "set/0", "completion": "    return x"})
    before = samples.read_bytes()
    link = tmp_path / "link.jsonl"
    link.symlink_to(samples)
    for out in (samples, link):
        with pytest.raises(StoreError, match="would be lost"):
            judge_samples(DATASET, samples, out, SETTINGS)
    with pytest.raises(StoreError, match="is a folder"):
        judge_samples(DATASET, samples, tmp_path, SETTINGS)
    assert samples.read_bytes() == before


def test_a_link_leads_to_the_file_that_is_written_and_a_pipe_stays_one(tmp_path: Path) -> None:
    samples = write(tmp_path / "samples.jsonl", {"task_id": "set/0", "completion": "    return x"})
    pipe, link = tmp_path / "pipe", tmp_path / "link.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(StoreError, match="pipe is no ordinary file"):
        judge_samples(DATASET, samples, pipe, SETTINGS)
    assert pipe.is_fifo()
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere" / "out.jsonl")
    judge_samples(DATASET, samples, link, SETTINGS)
    assert link.is_symlink()
    assert "passed" in (tmp_path / "elsewhere" / "out.jsonl").read_text()


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_a_full_disk_is_told_with_the_file_and_nothing_half_written_is_left(
    tmp_path: Path, name: str
) -> None:
    line = {"task_id": "set/0", "completion": "    return x", "more": os.urandom(9000).hex()}
    samples = write(tmp_path / "samples.jsonl", line)
    out, cache = tmp_path / "results" / name, tmp_path / "cache"
    judge_samples(DATASET, samples, out, SETTINGS, cache)
    before = out.read_bytes()
    with files_of_at_most(5000), pytest.raises(StoreError, match=rf"{name} cannot be written: "):
        judge_samples(DATASET, samples, out, SETTINGS, cache)
    assert out.read_bytes() == before
    assert os.listdir(out.parent) == [name]


def test_a_file_of_no_samples_is_an_error(tmp_path: Path) -> None:
    samples = write(tmp_path / "samples.jsonl", "")
    with pytest.raises(DatasetError, match=r"samples\.jsonl holds no samples"):
        judge_samples(DATASET, samples, tmp_path / "out.jsonl", SETTINGS)
    assert not (tmp_path / "out.jsonl").exists()


def test_the_summary_says_whose_verdicts_were_at_hand(tmp_path: Path) -> None:
    line = {"task_id": "set/0", "solution": "def f(x): return x"}
    samples = write(tmp_path / "samples.jsonl", line, line, line)
    out, cache = tmp_path / "out.jsonl", tmp_path / "cache"
    first = judge_samples(DATASET, samples, out, SETTINGS, cache).lines()
    assert "2 have the verdict of an equal sample" in first
    assert first[-1] == "2 problems of the data set have no sample; pass@k is of the others"
    second = judge_samples(DATASET, samples, out, SETTINGS, cache).lines()
    assert "3 were judged in an earlier call; --rejudge judges them anew" in second
    assert len(out.read_text().splitlines()) == 3


def test_a_call_that_ends_early_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(solutions, "judge_program", interrupted)
    samples = write(tmp_path / "samples.jsonl", {"task_id": "set/0", "solution": "x"})
    with pytest.raises(KeyboardInterrupt):
        judge_samples(DATASET, samples, tmp_path / "out.jsonl", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    lines = [{"task_id": "set/0", "solution": f"x = {number}"} for number in range(200)]
    samples = write(tmp_path / "samples.jsonl.gz", *lines)
    whole = samples.read_bytes()
    for damaged in (whole[:-50], whole[:60] + b"damage" + whole[66:], b"no archive"):
        samples.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"samples\.jsonl\.gz cannot be read"):
            judge_samples(DATASET, samples, tmp_path / "out.jsonl", SETTINGS)


def test_a_few_kilobytes_do_not_fill_the_memory(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl.gz"
    samples.write_bytes(gzip.compress(bytes(1 << 27), 1))
    with pytest.raises(StoreError, match=r"cannot be read: at line 1 it is longer than any file"):
        judge_samples(DATASET, samples, tmp_path / "out.jsonl", SETTINGS)
    with pytest.raises(DatasetError, match=r"cannot be read: at line 1 it is longer than any file"):
        load_jsonl(samples)


def test_the_command_judges_a_file_once_and_anew_if_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands.judge, "load_dataset", lambda name: DATASET)
    write(tmp_path / "samples.jsonl", {"task_id": "set/0", "solution": "def f(x): return x"})
    command = ["judge", "set", "samples.jsonl", "--out", "out.jsonl", "--workers", "1"]
    for more, is_kept in (([], False), ([], True), (["--rejudge"], False)):
        assert cli.main([*command, *more]) == 0
        said = capsys.readouterr().out
        assert "pass@1 100.0 %" in said
        assert ("1 was judged in an earlier call" in said) is is_kept


@pytest.mark.parametrize("workers", ["0", "-1", "two", ""])
def test_a_number_of_workers_that_is_none_is_told(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["judge", "problems", "samples.jsonl", "--out", "x", f"--workers={workers}"])
    assert f"'{workers}' is no such number; take 1 or more" in capsys.readouterr().err


def test_the_command_tells_an_empty_file_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands.judge, "load_dataset", lambda name: DATASET)
    (tmp_path / "samples.jsonl").touch()
    assert cli.main(["judge", "set", "samples.jsonl", "--out", "out.jsonl"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: samples.jsonl holds no samples. Each line is ")
