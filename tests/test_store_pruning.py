"""`experiments store`: what a store has, and what may leave it."""

import os
import time
from pathlib import Path

import pytest
from test_store_shared import PROCESSES, cached, found, generation, is_old, key, verdict

from experiments.cli import main
from experiments.store import GenerationStore, VerdictStore, appending, segments
from experiments.store.keyed import generations_in
from experiments.store.segments import MANY

DAY = 86_400


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with generations of two models and with verdicts, 100 days old and new."""
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    now = time.time()
    for age, first in ((100 * DAY, 0), (0, 10)):
        monkeypatch.setattr(time, "time", lambda age=age: now - age)
        for model, offset in (("llama", 0), ("mistral", 5)):
            keep(outputs, model, range(first + offset, first + offset + 5))
        with VerdictStore(outputs / "cache" / "verdicts") as verdicts:
            verdicts.append(key(first), verdict(first))
    return outputs


def keep(outputs: Path, model: str, numbers: range) -> None:
    with GenerationStore(outputs / "store", model=model) as store:
        for number in numbers:
            store.append(generation(number))


def left(outputs: Path) -> set[int]:
    there = found(outputs / "store", range(100))
    return {number for number in range(100) if key(number) in there}


def test_the_size_is_told_by_model(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(path.stat().st_size for path in (outputs / "store").iterdir())
    assert main(["store"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"outputs/store: 20 generations, {size / 1000:.1f} kB in 4 files"
    assert said[1].split() == ["model", "generations", "size", "oldest", "newest"]
    rows = [" ".join(line.split()) for line in said[2:4]]
    assert {row.split()[0] for row in rows} == {"llama", "mistral"}
    assert all(row.split()[1] == "10" and row.endswith("100 days ago 1 s ago") for row in rows)
    assert said[4].startswith("outputs/cache/verdicts: 2 verdicts, ")


def test_a_store_that_is_not_there_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["store"]) == 0
    assert "outputs/store: no generations" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(
    ("chosen", "stay", "verdicts"),
    [
        (["--model", "llama"], {*range(5, 10), *range(15, 20)}, 2),
        (["--model", "llama", "--model", "mistral"], set(), 2),
        (["--older-than", "90d"], set(range(10, 20)), 1),
        (["--model", "mistral", "--older-than", "12w"], {*range(5), *range(10, 20)}, 2),
        (["--older-than", "101d"], set(range(20)), 2),
        (["--unused"], {0, 1, 12}, 2),
        (["--unused", "--model", "llama"], {0, 1, 12, *range(5, 10), *range(15, 20)}, 2),
    ],
)
def test_what_fits_all_that_is_said_goes_and_nothing_else(
    outputs: Path, chosen: list[str], stay: set[int], verdicts: int, merged: bool
) -> None:
    for name in ("2026-01-31/12-00-00", "stopped/0"):
        folder = outputs / name
        folder.mkdir(parents=True)
        with appending(folder / "generations.jsonl") as append:
            for number in (0, 1) if "stopped" in name else (12,):
                append(generation(number))
    if merged:
        for _ in range(MANY):
            keep(outputs, "other", range(0))
            with GenerationStore(outputs / "store", model="llama") as store:
                store.append(generation(0))
        assert list(outputs.glob("store/*.sorted.jsonl"))
    assert main(["store", "--prune", *chosen, "--yes"]) == 0
    assert left(outputs) - ({0} if merged else set()) == stay - ({0} if merged else set())
    kept = VerdictStore(outputs / "cache" / "verdicts").find([key(0), key(10)])
    assert len(kept) == verdicts
    there = left(outputs)
    assert found(outputs / "store", range(100)) == {
        name: each for name, each in cached(range(100)).items() if name in map(key, there)
    }


def test_ages_and_models_outlive_pruning_and_merging(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "--prune", "--unused", "--model", "llama", "--yes"]) == 0
    for number in range(MANY):
        keep(outputs, "new", range(50 + number, 51 + number))
    capsys.readouterr()
    main(["store"])
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if line.startswith("mistral")]
    assert "100 days ago" in row
    assert main(["store", "--prune", "--model", "mistral", "--older-than", "99d", "--yes"]) == 0
    assert left(outputs) == {*range(15, 20), *range(50, 50 + MANY)}


def test_it_says_what_it_would_free_and_asks(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["store", "--prune", "--older-than", "90d"]
    assert main(command) == 1
    said = capsys.readouterr()
    for words in ("5 generations of llama", "5 generations of mistral", "1 verdict, which frees"):
        assert words in said.out
    assert "nobody to ask. Add --yes" in said.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code, kept in (("n", 1, 20), ("", 1, 20), ("y", 0, 10)):
        monkeypatch.setattr("builtins.input", lambda *_, answer=answer: answer)
        assert main(command) == code
        assert len(left(outputs)) == kept
    assert main(command) == 0
    assert "Nothing in the store fits that" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([], "--prune needs to know what to remove. Add --model NAME, --older-than 90d"),
        (["--model", "lama"], "has no generations of 'lama'. Did you mean 'llama'"),
    ],
)
def test_a_mistake_is_told(
    outputs: Path, chosen: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "--prune", *chosen]) == 1
    assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["store", "--prune", "--older-than", "soon"])
    assert "'soon' is no age; take 90d" in capsys.readouterr().err
    assert len(left(outputs)) == 20


def test_what_a_run_writes_meanwhile_stays(outputs: Path) -> None:
    running = GenerationStore(outputs / "store", model="llama")
    running.append(generation(30))
    assert main(["store", "--prune", "--model", "llama", "--yes"]) == 0
    running.append(generation(31))
    running.close()
    assert left(outputs) == {*range(5, 10), *range(15, 20), 30, 31}


def test_lines_of_earlier_versions_go_by_age_and_of_later_ones_stay(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_store_shared import former_line

    later = '{"v":3,"something":"else"}\n'
    path = outputs / "store" / f"generations-{key(40)[0]}.jsonl"
    path.write_text(former_line(40, generation(40), "generation") + later)
    assert main(["store"]) == 0
    assert "(not said)" in capsys.readouterr().out
    is_old(path, 95 * DAY)
    assert main(["store", "--prune", "--older-than", "90d", "--yes"]) == 0
    assert left(outputs) == set(range(10, 20))
    assert any(later in each.read_text() for each in (outputs / "store").iterdir())


def prune_all(folder: Path, began: object) -> None:
    os.chdir(folder)
    began.wait()
    for _ in range(20):
        code = main(["store", "--prune", "--model", "m", "--yes"])
        assert code in (0, 1)  # 1: a run merges files just now


def write_others(folder: Path, began: object) -> None:
    began.wait()
    for number in range(20 * MANY):
        keep(folder / "outputs", "n" if number % 2 else "m", range(number, number + 1))


def test_pruning_beside_runs_that_write_and_merge_removes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    keep(tmp_path / "outputs", "m", range(1000, 1001))
    began = PROCESSES.Barrier(2)
    both = [PROCESSES.Process(target=f, args=(tmp_path, began)) for f in (prune_all, write_others)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert set(range(1, 20 * MANY, 2)) <= {
        n for n in range(20 * MANY) if key(n) in found(tmp_path / "outputs" / "store", range(200))
    }


def test_while_another_process_merges_nothing_is_pruned(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with generations_in(outputs / "store").alone() as is_alone:
        assert is_alone
        assert main(["store", "--prune", "--model", "llama", "--yes"]) == 1
    assert "Type the same command again" in capsys.readouterr().err
    assert len(left(outputs)) == 20
    sign = outputs / "store" / ".generations.merging"
    sign.touch()  # of a process that was killed
    is_old(sign, segments.IDLE_SECONDS + 60)
    assert main(["store", "--prune", "--model", "llama", "--yes"]) == 0
