"""`samples.jsonl` is accepted by `evalplus.evaluate`, with the verdicts that we give."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Workplace

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
