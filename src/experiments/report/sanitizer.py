"""What EvalPlus's sanitizer would have made of the same completions.

Only programs that differ from ours are judged; the verdict of an equal one is the same. The
verdicts stay with the run, so that this is done once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiments.environment.terminal import console, counted
from experiments.errors import UserError
from experiments.judge import judge
from experiments.records import Dataset, Solution, Verdict
from experiments.report.collect import read
from experiments.store import runs


def judge_sanitized(folder: Path, load: Callable[[str], Dataset], cache: Path) -> None:
    """Judge what the sanitizer finds in a run's completions, once.

    Args:
        folder: of the run.
        load: gives a data set by its name.
        cache: where outputs of references are kept.

    Raises:
        DatasetError: the run's data set is not at hand.
        SandboxError: the judge does not work here.
    """
    run = read(folder)
    if runs.read_sanitized(folder) is not None or not any(s.text for s in run.samples):
        return
    from evalplus.sanitize import sanitize

    entry_points = {problem.id: problem.entry_point for problem in run.problems}
    verdicts: list[Verdict] = []
    others: list[Solution] = []
    for sample in run.samples:
        program = sanitize(sample.text, entry_points[sample.problem_id] or None)
        if program.strip() == sample.program.strip():
            verdicts.append(sample.verdict)
        else:
            others.append(Solution(sample.problem_id, sample.sample, program))
    if others:
        dataset = load(run.dataset)
        if dataset.digest != run.manifest.get("dataset", {}).get("sha256"):
            raise UserError(
                f"{folder}: the data set {run.dataset} has changed since this run",
                "Run it again, or make the report without --sanitizer.",
            )
        with judge(others, dataset, cache_folder=cache) as judging:
            verdicts += judging
    completions = counted(len(others), "completion")
    console.print(f"{folder.name}: the sanitizer's program differs in {completions}")
    runs.write_sanitized(folder, verdicts)
