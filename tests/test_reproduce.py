"""A run made again: what is the same, what is not, and why not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Workplace
from reviewed_runs import make_run

from experiments.cli import main
from experiments.experiment import repeating
from experiments.store import runs

HERE: dict[str, Any] = {
    "weights": {"sha256": "a" * 64},
    "dataset": {"sha256": "b" * 64},
    "backend": {"build": "0.3.36-abc", "weights_sha256": "a" * 64, "parallel": 16, "threads": 2},
    "sampling": {"temperature": 0.0},
    "machine": {"processor": "One", "cores": 2},
    "versions": {"python": "3.11.7"},
    "source": {"git_commit": "1"},
    "seed": 0,
}


def other(**changed: Any) -> dict[str, Any]:
    return HERE | changed


def test_equal_circumstances_give_no_reason() -> None:
    assert repeating.circumstances(HERE, HERE) == repeating.Circumstances((), ())
    threads = other(backend=HERE["backend"] | {"threads": 8})
    assert repeating.circumstances(HERE, threads).texts == ()


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (other(weights={"sha256": "c" * 64}), "other weights: aaaaaaaaaaaa → cccccccccccc"),
        (
            other(backend=HERE["backend"] | {"build": "0.3.36-def"}),
            "llama.cpp was compiled otherwise: 0.3.36-abc → 0.3.36-def",
        ),
        (
            other(backend=HERE["backend"] | {"build": "0.4-abc"}),
            "another version of llama.cpp: 0.3.36-abc → 0.4-abc",
        ),
        (
            other(backend=HERE["backend"] | {"parallel": 8}),
            "other settings: backend.parallel 16 → 8",
        ),
        (other(sampling={"temperature": 0.5}), "other settings: sampling.temperature 0.0 → 0.5"),
        (other(machine={"processor": "Two"}), "another processor: One → Two"),
        (other(backend={"name": "openai"}), "a server wrote the texts"),
    ],
)
def test_what_may_change_a_text_is_named(now: dict[str, Any], reason: str) -> None:
    assert any(each.startswith(reason) for each in repeating.circumstances(HERE, now).texts)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (other(dataset={"sha256": "c" * 64}), "other problems: bbbbbbbbbbbb → cccccccccccc"),
        (other(versions={"python": "3.13.0"}), "another Python: 3.11.7 → 3.13.0"),
        (other(source={"git_commit": "2"}), "another version of this project: 1 → 2"),
    ],
)
def test_what_may_change_a_verdict_is_named(now: dict[str, Any], reason: str) -> None:
    assert repeating.circumstances(HERE, now).verdicts == (reason,)


def test_equal_runs_are_the_same(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / str(n) / "x", [10, 3]) for n in range(2)]
    found = repeating.compare(*folders, of_problems=2)
    assert found.is_same
    assert found.lines == ("2 of 2 texts and 2 of 2 verdicts are the same.",)


def changed(folder: Path, name: str, **values: Any) -> None:
    lines = (folder / name).read_text().splitlines()
    first = json.dumps(json.loads(lines[0]) | values)
    (folder / name).write_text("\n".join([first, *lines[1:]]) + "\n")


def test_a_text_that_differs_is_shown_with_what_may_be_why(tmp_path: Path) -> None:
    before, now = (make_run(tmp_path / str(n) / "x", [10, 3]) for n in range(2))
    changed(before, runs.GENERATIONS, text="```python\ndef f(y): pass\n```", cached=True)
    found = repeating.compare(before, now, of_problems=5)
    assert not found.is_same
    assert (found.asked, found.texts, found.verdicts) == (2, 1, 2)
    assert "Texts differ first in p0, from character 17 on." in found.lines
    assert any("fewer problems" in line for line in found.lines)
    assert any("kept from earlier runs" in line for line in found.lines)


def test_other_prompts_are_known_by_the_keys(tmp_path: Path) -> None:
    before, now = (make_run(tmp_path / str(n) / "x", [10, 3]) for n in range(2))
    changed(now, runs.GENERATIONS, text="none", key="another")
    manifest = runs.read_manifest(now) | {"backend": {"weights_sha256": ""}}
    for folder in (before, now):
        (folder / runs.MANIFEST).write_text(json.dumps(manifest))
    found = repeating.compare(before, now, of_problems=2)
    assert any("other prompts" in line for line in found.lines)


def test_a_verdict_on_an_equal_text_that_differs_is_shown(tmp_path: Path) -> None:
    before, now = (make_run(tmp_path / str(n) / "x", [10, 3]) for n in range(2))
    changed(now, runs.VERDICTS, plus="timed_out")
    found = repeating.compare(before, now, of_problems=2)
    assert (found.texts, found.verdicts) == (2, 1)
    assert any("passed / passed → passed / timed_out" in line for line in found.lines)
    assert any("limit of time" in line for line in found.lines)


SCRIPTED = ("backend=scripted", "backend.mode=mixed", "limit=5", "tracking.enabled=false")


@pytest.fixture
def place(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(workplace.folder)
    done = workplace.run(*SCRIPTED)
    assert done.returncode == 0, done.stderr
    return workplace


def test_a_run_and_its_archive_are_made_again(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = place.runs
    assert main(["reproduce", str(folder)]) == 0
    assert "5 of 5 texts and 5 of 5 verdicts are the same." in capsys.readouterr().out
    assert main(["export", str(folder), "out.zip"]) == 0
    assert main(["reproduce", "out.zip", "--sample", "3"]) == 0
    assert "3 of 3 texts and 3 of 3 verdicts are the same." in capsys.readouterr().out
    assert not list(place.folder.glob("outputs/.import-*"))

    assert main(["reproduce", str(folder / "run.yaml")]) == 1
    assert f"no archive of runs. Type: experiments reproduce {folder}" in capsys.readouterr().err
    (place.folder / "sent.yaml").write_bytes((folder / "run.yaml").read_bytes())
    assert main(["reproduce", "sent.yaml"]) == 1
    assert "no archive of runs. Name the folder of a run" in capsys.readouterr().err

    (folder / "run.yaml").unlink()  # as earlier versions left it
    assert main(["reproduce", str(folder), "backend.mode=wrong"]) == 1
    told = capsys.readouterr().out
    assert "Texts differ first" in told
    assert main(["reproduce", "nowhere"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_repetition_that_is_typed_elsewhere_leaves_nothing_there(
    place: Workplace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = place.runs
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("experiments.cli.commands.reproduce.OUTPUTS", place.folder / "outputs")
    monkeypatch.chdir(elsewhere)
    assert main(["reproduce", str(folder), "--sample", "1"]) == 0
    assert not list(elsewhere.iterdir())


def test_some_problems_are_drawn_in_their_order(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from experiments.records import Dataset, Problem

    problems = tuple(Problem(str(n), "f", "", "", ()) for n in range(9))
    requests = [SimpleNamespace(problem_id=str(n)) for n in range(9) for _ in range(2)]
    whole = _plan(Dataset("d", "", problems), requests)
    part = repeating.some_of(whole, 4, random.Random(1))
    kept = [problem.id for problem in part.dataset.problems]
    assert len(kept) == 4
    assert kept == sorted(kept)
    assert [request.problem_id for request in part.requests] == [n for n in kept for _ in "12"]
    assert len(repeating.some_of(whole, 40, random.Random(1)).dataset.problems) == 9


def _plan(dataset: Any, requests: Any) -> Any:
    from experiments.experiment import Plan

    nothing: Any = None
    return Plan(
        settings=nothing, dataset=dataset, kind="chat", weights=None, backend=nothing,
        sampling=nothing, requests=requests, folder=Path(), labels={}, parent=None, overrides=(),
    )  # fmt: skip
