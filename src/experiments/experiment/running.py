"""A run, from its prompts to its numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from experiments import judge, store
from experiments.errors import BackendError
from experiments.experiment.folder import write
from experiments.experiment.planning import Plan
from experiments.experiment.tracked import log_results, tracked
from experiments.extract import extract
from experiments.metrics import summarise
from experiments.records import FinishReason, Generation, RunReport, Solution, Verdict, Weights
from experiments.sandbox import missing
from experiments.schema import Config, SandboxConfig
from experiments.terminal import bar
from experiments.tracking import Answer, Live

log = logging.getLogger(__name__)


def run(plan: Plan) -> RunReport:
    """Generate, judge, sum up, track; return the numbers.

    Raises:
        UserError: what went wrong, in one line. All that was made until then is kept.
    """
    with tracked(plan) as live:
        generations, seconds = _generate(plan, live)
        solutions = [_solution(plan, generation) for generation in generations]
        verdicts, second_looks = _judge(plan, live, generations, solutions)
        metrics = summarise(
            verdicts,
            solutions,
            generations,
            plan.dataset.problems,
            generating_seconds=seconds,
        )
        engine = {f"engine/{name}": n for name, n in plan.backend.statistics().items()}
        report = RunReport(
            {**metrics, **second_looks, **engine, **_of_weights(plan.weights)},
            plan.folder,
            plan.labels,
            plan.settings.model.note,
        )
        write(plan, report, generations, solutions, verdicts)
        log_results(plan, live, report)
    return report


def _of_weights(weights: Weights | None) -> dict[str, float]:
    """Return what a quantization costs before a token is made: the file and its bits per weight."""
    if weights is None:
        return {}
    return {
        "weights/megabytes": weights.bytes / 1e6,
        "weights/bits_per_weight": weights.bits_per_weight,
    }


def _generate(plan: Plan, live: Live | None) -> tuple[list[Generation], float]:
    """Return the generations in the order of the requests, and the seconds that they took.

    Those at hand are not made again. Loading the model is not counted.
    """
    started = time.monotonic()
    kept = store.GenerationStore(Path(plan.settings.store), plan.settings.cache.value)
    found = kept.find({request.key for request in plan.requests})
    missing = list({r.key: r for r in plan.requests if r.key not in found}.values())
    with (
        store.appending(plan.folder / "generations.jsonl") as append,
        bar("Generating", len(plan.requests), len(plan.requests) - len(missing)) as progress,
    ):
        for generation in plan.backend.generate(missing, plan.sampling, progress.remark):
            kept.append(generation)
            append(generation)
            found[generation.key] = generation
            progress.advance()
            if live is not None:
                live.step(len(found), _progress(found, started))
    _tell_unfit(list(found.values()))
    seconds = time.monotonic() - started - plan.backend.statistics().get("load_seconds", 0.0)
    # Equal requests share a generation (greedy samples, or the same prompt in another data set).
    generations = [
        replace(found[request.key], problem_id=request.problem_id, sample=request.sample)
        for request in plan.requests
    ]
    return generations, seconds


def _tell_unfit(generations: Sequence[Generation]) -> None:
    """Say which prompts the context had no room for: their problems count as failed.

    Raises:
        BackendError: no prompt fitted, so there is nothing to judge.
    """
    unfit = [each for each in generations if each.finish_reason is FinishReason.PROMPT_TOO_LONG]
    if not unfit:
        return
    first = unfit[0]
    if len(unfit) == len(generations):
        raise BackendError(
            f"None of the {len(unfit)} prompts fits. {first.problem_id}: {first.note}"
        )
    log.warning(
        "%d of %d prompts do not fit, and their problems count as failed. %s: %s",
        len(unfit),
        len(generations),
        first.problem_id,
        first.note,
    )


def _progress(found: dict[str, Generation], started: float) -> dict[str, float]:
    """Return numbers that show how a long run goes."""
    made = [generation for generation in found.values() if not generation.cached]
    seconds = max(time.monotonic() - started, 1e-9)
    return {
        "progress/generations": float(len(found)),
        "progress/tokens_per_second": sum(each.new_tokens for each in made) / seconds,
    }


def _solution(plan: Plan, generation: Generation) -> Solution:
    """Return the program in a generation."""
    problem = plan.problems[generation.problem_id]
    found = extract(generation.text, problem.prompt, problem.entry_point, plan.kind)
    return Solution(
        problem.id, generation.sample, found.program, found.format_kept, found.syntax_valid
    )


def _judge(
    plan: Plan,
    live: Live | None,
    generations: Sequence[Generation],
    solutions: Sequence[Solution],
) -> tuple[list[Verdict], dict[str, float]]:
    """Return the verdicts in the order of the solutions, and how many got a second look."""
    verdicts = {}
    judged = {
        (solution.problem_id, solution.sample): (request.prompt, generation, solution)
        for request, generation, solution in zip(plan.requests, generations, solutions, strict=True)
    }
    with (
        store.appending(plan.folder / "verdicts.jsonl") as append,
        bar("Judging", len(solutions)) as progress,
    ):
        cache = Path(plan.settings.store).parent / "cache"
        judging = judge.judge(solutions, plan.dataset, _judge_settings(plan.settings), cache)
        if gaps := missing(judging.isolation):
            log.warning(gaps)
        for verdict in judging:
            append(verdict)
            verdicts[verdict.problem_id, verdict.sample] = verdict
            progress.advance()
            if live is not None:
                live.answer(Answer(*judged[verdict.problem_id, verdict.sample], verdict))
    second_looks = {
        "count/judged_again": float(judging.retried),
        "count/changed_when_judged_again": float(judging.changed),
    }
    ordered = [verdicts[solution.problem_id, solution.sample] for solution in solutions]
    return ordered, second_looks


def _judge_settings(settings: Config) -> judge.JudgeSettings:
    given = {field.name: getattr(settings.sandbox, field.name) for field in fields(SandboxConfig)}
    return judge.JudgeSettings(**{**given, "isolation": settings.sandbox.isolation.value})
