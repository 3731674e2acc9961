"""Folders of runs that a person can review, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.records import (
    Failure,
    FinishReason,
    Generation,
    Outcome,
    Problem,
    Solution,
    Verdict,
)
from experiments.stats.metrics import summarise
from experiments.store import runs

LEVELS = ("easy", "medium", "hard")


def make_run(
    folder: Path,
    passed: Sequence[int],
    programs: Sequence[str] | None = None,
    format_kept: bool = True,
    model: str = "secretmodel",
    prompt: str = "plain",
) -> Path:
    """Write the folder of a run of one sample a problem.

    Args:
        folder: that is made.
        passed: of ten tests, for each problem.
        programs: one per problem; None: each is another.
        format_kept: of all answers.
        model, prompt: labels of the run.
    """
    folder.mkdir(parents=True)
    problems, verdicts, solutions, generations = [], [], [], []
    for number, good in enumerate(passed):
        statement = f'def f(x):\n    """Return x plus {number}."""\n'
        level = LEVELS[number % 3]
        problem = Problem(f"p{number}", "f", statement, "", ((1,),), difficulty=level)
        program = f"def f(x):\n    return x + {number}  # {folder.name}\n"
        program = programs[number] if programs else program
        outcome = Outcome.PASSED if good == 10 else Outcome.WRONG_ANSWER
        failure = None if good == 10 else Failure("f(1)", "2", "'three'")
        problems.append(problem)
        verdicts.append(Verdict(problem.id, 0, outcome, outcome, good, 10, 0, 0, failure))
        solutions.append(Solution(problem.id, 0, program, format_kept, True))
        text = f"```python\n{program}```" if format_kept else f"Here it is:\n{program}"
        generations.append(Generation("k", problem.id, 0, text, FinishReason.END_TOKEN))
    labels = {"model": model, "quantization": "q8_0", "prompt": prompt, "dataset": "d"}
    runs.write_run(
        folder,
        generations=generations,
        verdicts=verdicts,
        programs=solutions,
        problems=problems,
        manifest={"labels": labels, "overrides": [], "dataset": {"name": "d", "sha256": "0"}},
        metrics=summarise(verdicts, solutions, generations, problems),
    )
    return folder


def lines(folder: Path) -> list[dict[str, object]]:
    """Return what stands in a run's `reviews.jsonl`."""
    return [json.loads(line) for line in (folder / "reviews.jsonl").read_text().splitlines()]
