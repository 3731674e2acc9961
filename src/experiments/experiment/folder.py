"""What a run leaves in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from experiments.environment.provenance import provenance
from experiments.errors import without
from experiments.experiment import shared
from experiments.experiment.planning import Plan
from experiments.records import Generation, RunReport, Solution, Verdict
from experiments.store import runs
from experiments.weights import audit


def write(
    plan: Plan,
    report: RunReport,
    generations: Sequence[Generation],
    solutions: Sequence[Solution],
    verdicts: Sequence[Verdict],
) -> None:
    """Write the files of a run into its folder."""
    first = plan.requests[0] if plan.requests else None
    kept = manifest(plan, verdicts)
    runs.write_run(
        plan.folder,
        generations=generations,
        verdicts=verdicts,
        programs=solutions,
        problems=plan.dataset.problems,
        manifest=kept,
        metrics=report.metrics,
        audit=audit(first, plan.weights, kept["backend"]) if first else None,
        prompts={each.problem_id: each.prompt for each in plan.requests}.values(),
    )


def share(config: DictConfig, plan: Plan) -> None:
    """Write the run as one file that can be sent, before it begins (see `shared`).

    Args:
        config: of the run, as Hydra composed it.
        plan: the run.
    """
    shared.write(config, manifest(plan), plan.folder)


def manifest(plan: Plan, verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
    """Return all that is needed to repeat the run; the verdicts say how programs were isolated."""
    weights = plan.weights
    return {
        "labels": plan.labels,
        "note": plan.settings.model.note,
        "overrides": list(plan.overrides),
        "identity": plan.identity,
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
            "importance_matrix": weights.facts.get("importance_matrix"),
            "repository": weights.facts.get("repository"),
            "commit": weights.facts.get("commit"),
            "recipe": weights.facts.get("recipe"),
        },
        "prompt_kind": plan.kind,
        "sampling": asdict(plan.sampling),
        "backend": without(plan.backend.describe(), plan.hidden),
        "isolation": sorted({verdict.isolation for verdict in verdicts}),
        **provenance(),
    }
