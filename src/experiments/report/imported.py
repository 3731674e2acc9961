"""Results of EvalPlus (`*_eval_results.json`) → a run's folder, beside our own runs.

EvalPlus keeps a status per test set and the inputs that failed, but not how many tests
passed. A status decides the outcome; numbers of tests are known where all passed, and else
only as a bound: none of the tests counts as passed, and the share of tests is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError, StoreError, did_you_mean
from experiments.records import Dataset, Failure, Outcome, Problem, Solution, Verdict
from experiments.stats.metrics import summarise
from experiments.store import runs

_STATUS = {
    "pass": Outcome.PASSED,
    "fail": Outcome.WRONG_ANSWER,  # EvalPlus tells no wrong answer from an exception
    "timeout": Outcome.TIMED_OUT,
}


def import_evalplus(file: Path, dataset: Dataset, name: str, folder: Path) -> None:
    """Write EvalPlus's results as the folder of a run.

    Args:
        file: what `evalplus.evaluate` wrote.
        dataset: the data set that it was run on.
        name: of the model.
        folder: an empty one.

    Raises:
        StoreError: the file is none of EvalPlus's, or the folder cannot be written.
        DatasetError: the file is about other problems.
    """
    results = _results(file)
    problems = {problem.id: problem for problem in dataset.problems}
    for task in results:
        if task not in problems:
            raise DatasetError(
                f"{file}: {task} is not in {dataset.name}", did_you_mean(task, problems)
            )
    found = [
        _read(problems[task], sample, entry)
        for task, entries in results.items()
        for sample, entry in enumerate(entries)
    ]
    solutions, verdicts = [s for s, _ in found], [v for _, v in found]
    asked = [problem for problem in dataset.problems if problem.id in results]
    metrics = {
        metric: value
        for metric, value in summarise(verdicts, solutions, [], asked).items()
        if not metric.startswith(("tests_passed/", "format/", "tokens/", "finish/", "cost/"))
    }
    runs.write_run(
        folder,
        verdicts=verdicts,
        programs=solutions,
        problems=asked,
        manifest=_manifest(file, dataset, name),
        metrics=metrics,
    )


def _results(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content["eval"]
        for entries in found.values():
            for entry in entries:
                _outcome(entry["base_status"])
                _ = entry["solution"]
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{file} is no result of EvalPlus ({type(error).__name__}: {error})",
            "It is the file that evalplus.evaluate writes beside the samples.",
        ) from None
    results: dict[str, list[dict[str, Any]]] = found
    return results


def _outcome(status: str) -> Outcome:
    if status not in _STATUS:
        raise ValueError(f"the status '{status}' is unknown")
    return _STATUS[status]


def _read(problem: Problem, sample: int, entry: dict[str, Any]) -> tuple[Solution, Verdict]:
    base = _outcome(entry["base_status"])
    given = entry.get("plus_status")
    plus = base if base is not Outcome.PASSED or given is None else _outcome(given)
    base_total, extra_total = len(problem.base_inputs), len(problem.extra_inputs)
    passed_base = base_total if base is Outcome.PASSED else 0
    passed_extra = extra_total if given is not None and _outcome(given) is Outcome.PASSED else 0
    failed = [*(entry.get("base_fail_tests") or ()), *(entry.get("plus_fail_tests") or ())]
    failure = None
    if plus is not Outcome.PASSED and failed:
        arguments = ", ".join(map(repr, failed[0])) if isinstance(failed[0], list) else failed[0]
        call = f"{problem.entry_point}({arguments})"
        failure = Failure(call[:300], "not kept by EvalPlus", str(entry.get("plus_status")))
    verdict = Verdict(
        problem_id=problem.id,
        sample=sample,
        base=base,
        plus=plus,
        base_passed=passed_base,
        base_total=base_total,
        extra_passed=passed_extra,
        extra_total=extra_total,
        failure=failure,
        isolation="evalplus",
    )
    return Solution(problem.id, sample, str(entry["solution"])), verdict


def _manifest(file: Path, dataset: Dataset, name: str) -> dict[str, Any]:
    return {
        "labels": {"model": name, "quantization": "", "prompt": "", "dataset": dataset.name},
        "note": f"{name} was judged by EvalPlus, from {file.name}.",
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.digest,
            "problems": len(dataset.problems),
        },
        "weights": None,
        "isolation": ["evalplus"],
    }
