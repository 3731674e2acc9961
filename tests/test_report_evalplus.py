"""EvalPlus beside a run: its judge on `samples.jsonl`, and its sanitizer on the completions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Workplace
from test_report import make_run

from experiments import report
from experiments.errors import UserError
from experiments.records import Dataset, Problem
from experiments.report import analysis

TASKS = 4


@pytest.mark.slow
def test_evalplus_gives_the_same_verdicts(
    workplace: Workplace, evalplus_data: dict[str, str]
) -> None:
    few = workplace.folder / "few.jsonl"
    with open(evalplus_data["HUMANEVAL_OVERRIDE_PATH"], encoding="utf-8") as file:
        few.write_text("".join(line for _, line in zip(range(TASKS), file, strict=False)))
    here = {**evalplus_data, "HUMANEVAL_OVERRIDE_PATH": str(few)}
    done = workplace.run(
        "dataset=humaneval_plus",
        "backend=scripted",
        "backend.mode=mixed",
        "tracking.enabled=false",
        **here,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs
    judged = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    ours = {v["problem_id"]: (v["base"] == "passed", v["plus"] == "passed") for v in judged}
    assert {plus for _, plus in ours.values()} == {True, False}

    command = [sys.executable, "-m", "evalplus.evaluate", "--dataset", "humaneval"]
    samples = folder / "samples.jsonl"
    evaluated = subprocess.run(
        [*command, "--samples", str(samples), "--parallel", "2"],
        env={**os.environ, **here, "XDG_CACHE_HOME": str(workplace.folder / "cache")},
        cwd=workplace.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert evaluated.returncode == 0, evaluated.stderr
    theirs = json.loads(Path(folder / "samples_eval_results.json").read_text())["eval"]
    assert ours == {
        task: (
            entry["base_status"] == "pass",
            entry["base_status"] == entry["plus_status"] == "pass",
        )
        for task, (entry,) in theirs.items()
    }


def test_what_the_sanitizer_finds_is_judged_where_it_is_another_program(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [True, False, False])
    path = folder / "generations.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    right = "def other():\n    return 0\n\n\ndef f(x):\n    return x + 1\n"
    lines[1]["text"] = f"Here it is:\n\n```python\n{right}```\n"
    lines[2]["text"] = "I do not know."
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    problems = tuple(
        Problem(f"p{n}", "f", "def f(x):\n", "def f(x):\n    return x + 1\n", ((1,),))
        for n in range(3)
    )
    asked = []

    def load(name: str) -> Dataset:
        asked.append(name)
        return Dataset(name, "0" * 64, problems)

    report.judge_sanitized(folder, load, tmp_path / "cache")
    (run,) = report.collect([folder]).runs
    outcomes = {verdict.problem_id: verdict.plus.value for verdict in run.sanitized}
    # The first is not judged again: there the sanitizer finds what was judged.
    assert outcomes == {"p0": "passed", "p1": "passed", "p2": "no_code"}
    assert analysis.extraction(run).sanitizer == pytest.approx(2 / 3)
    report.judge_sanitized(folder, load, tmp_path / "cache")
    assert asked == ["d"]


def test_the_sanitizer_is_not_held_against_another_data_set(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [True])
    path = folder / "samples.jsonl"
    path.write_text(path.read_text().replace("return x", "return 2"))
    with pytest.raises(UserError, match="the data set d has changed since this run"):
        report.judge_sanitized(folder, lambda name: Dataset(name, "1" * 64, ()), tmp_path)
