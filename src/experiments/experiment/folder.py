"""What a run leaves in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments import store
from experiments.environment.provenance import provenance
from experiments.experiment.planning import Plan
from experiments.records import Generation, Problem, RunReport, Solution, Verdict
from experiments.weights import audit


def write(
    plan: Plan,
    report: RunReport,
    generations: Sequence[Generation],
    solutions: Sequence[Solution],
    verdicts: Sequence[Verdict],
) -> None:
    """Write the run's files, in the order of the problems; `metrics.json` comes last."""
    folder = plan.folder
    store.write_records(folder / "generations.jsonl", generations)
    store.write_records(folder / "verdicts.jsonl", verdicts)
    _write_lines(folder / "problems.jsonl", map(_described, plan.dataset.problems))
    _write_lines(folder / "samples.jsonl", map(_sample, solutions))
    _write_json(folder / "manifest.json", _manifest(plan, verdicts))
    if plan.requests:
        prompt = audit(plan.requests[0], plan.weights, plan.backend.describe())
        _write_json(folder / "audit.json", prompt)
    finite = {name: value for name, value in report.metrics.items() if math.isfinite(value)}
    _write_json(folder / "metrics.json", finite)


def _described(problem: Problem) -> dict[str, Any]:
    """Return what a report shows of a problem, without its tests and its answer."""
    shown = ("id", "title", "difficulty", "topics", "entry_point", "prompt")
    return {name: getattr(problem, name) for name in shown}


def _sample(solution: Solution) -> dict[str, Any]:
    """Return a solution in the form of EvalPlus, which ignores what it does not know."""
    return {
        "task_id": solution.problem_id,
        "solution": solution.program,
        "sample": solution.sample,
        "format_kept": solution.format_kept,
        "syntax_valid": solution.syntax_valid,
    }


def _manifest(plan: Plan, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return all that is needed to repeat the run."""
    weights = plan.weights
    return {
        "labels": plan.labels,
        "note": plan.settings.model.note,
        "overrides": list(plan.overrides),
        "seed": plan.settings.seed,
        "dataset": {
            "name": plan.dataset.name,
            "sha256": plan.dataset.digest,
            "problems": len(plan.dataset.problems),
        },
        "weights": None
        if weights is None
        else {
            "file": weights.path.name,
            "sha256": weights.sha256,
            "bytes": weights.bytes,
            "bits_per_weight": weights.bits_per_weight,
            "parameters": weights.parameters,
            "chat_template": weights.template_source,
        },
        "prompt_kind": plan.kind,
        "backend": plan.backend.describe(),
        "isolation": sorted({verdict.isolation for verdict in verdicts}),
        **provenance(),
    }


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    store.write_text(path, "".join(f"{json.dumps(line)}\n" for line in lines))


def _write_json(path: Path, data: dict[str, Any]) -> None:
    store.write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
