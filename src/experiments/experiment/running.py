"""A run, from its prompts to its numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from experiments import store
from experiments.environment.terminal import bar
from experiments.errors import BackendError
from experiments.experiment.folder import write
from experiments.experiment.measuring import measured, setting, with_costs
from experiments.experiment.planning import Plan
from experiments.experiment.tracked import TrackedRun
from experiments.extract import extract, thoughts
from experiments.judge import judge
from experiments.records import (
    Failure,
    FinishReason,
    Generation,
    Outcome,
    RunReport,
    Solution,
    Verdict,
    Weights,
)
from experiments.sandbox import choose, missing
from experiments.stats.metrics import summarise
from experiments.store import runs

log = logging.getLogger(__name__)

PEAK = "engine/peak_memory_megabytes"


def run(plan: Plan, shown: Callable[[RunReport], None] | None = None) -> RunReport:
    """Generate, judge, sum up, track; return the numbers.

    Args:
        plan: the run.
        shown: is called with the numbers as soon as they are there; the run may be waiting for
            MLflow then.

    Raises:
        UserError: what went wrong, in one line. All that was made until then is kept.
    """
    with TrackedRun(plan) as tracked:
        _check_isolation(plan)
        generations, seconds = _generate(plan, tracked)
        solutions = [solution_of(plan, generation) for generation in generations]
        verdicts, counts = judged(plan, generations, solutions)
        numbers = summarise(
            verdicts,
            solutions,
            generations,
            plan.dataset.problems,
            measured(plan.backend, seconds),
        )
        engine = {f"engine/{name}": n for name, n in plan.backend.statistics().items()}
        peak = max(numbers.get(PEAK, 0.0), engine.get(PEAK, 0.0))  # of the store, and of this run
        report = RunReport(
            {
                **numbers,
                **counts,
                **engine,
                **({PEAK: peak} if peak else {}),
                **_of_weights(plan.weights),
            },
            plan.folder,
            plan.labels,
            plan.settings.model.note,
        )
        write(plan, report, generations, solutions, verdicts)
        tracked.results()
        if shown is not None:
            shown(report)
    return report


def _check_isolation(plan: Plan) -> None:
    """Say what the sandbox lacks here, before hours go by.

    Raises:
        SandboxError: the isolation that was asked for does not work.
    """
    if gaps := missing(choose(plan.settings.sandbox.isolation.value)):
        log.warning(gaps)


def _generate(plan: Plan, tracked: TrackedRun) -> tuple[list[Generation], float]:
    """Return a generation per request, and the seconds that they took without loading.

    Those at hand are not made again. Requests may share one: greedy samples do, and equal
    prompts of other data sets.
    """
    started = time.monotonic()
    kept = store.GenerationStore(
        Path(plan.settings.store), plan.settings.cache.value, plan.labels["model"]
    )
    found = kept.find({request.key for request in plan.requests})
    new = list({r.key: r for r in plan.requests if r.key not in found}.values())
    new_tokens = 0
    with (
        kept,
        store.appending(plan.folder / runs.GENERATIONS) as append,
        bar("Generating", len(plan.requests), len(plan.requests) - len(new)) as progress,
    ):
        for generation in found.values():  # so that whoever prunes the store sees them in use
            append(generation)
        made = plan.backend.generate(new, plan.sampling, progress.remark)
        for generation in with_costs(made, setting(plan.backend)):
            kept.append(generation)
            append(generation)
            found[generation.key] = generation
            progress.advance()
            new_tokens += generation.new_tokens
            tracked.progress(len(found), new_tokens, time.monotonic() - started)
        seconds = time.monotonic() - started - plan.backend.statistics().get("load_seconds", 0.0)
    _warn_of_prompts_too_long(list(found.values()))
    _warn_of_unfinished_thoughts(plan, list(found.values()))
    if plan.kind == "chat":
        found = {key: split_thought(generation) for key, generation in found.items()}
    return [
        replace(found[request.key], problem_id=request.problem_id, sample=request.sample)
        for request in plan.requests
    ], seconds


def split_thought(generation: Generation) -> Generation:
    """Return a generation whose thought is told from its answer, as earlier versions did not."""
    if generation.is_split:
        return generation
    parts = thoughts.split(generation.text)
    return replace(
        generation,
        text=parts.answer,
        thought=parts.thought,
        thought_finished=parts.is_finished,
        is_split=True,
    )


def solution_of(plan: Plan, generation: Generation) -> Solution:
    """Return the program in a generation."""
    problem = plan.problems[generation.problem_id]
    found = extract(generation.text, problem.prompt, problem.entry_point, plan.kind, is_answer=True)
    return Solution(
        problem.id, generation.sample, found.program, found.format_kept, found.syntax_valid
    )


def judged(
    plan: Plan, generations: Sequence[Generation], solutions: Sequence[Solution]
) -> tuple[list[Verdict], dict[str, float]]:
    """Return the verdicts in the order of the solutions, and how they were reached.

    Raises:
        UserError: the sandbox does not work here, or a reference fails.
    """
    cache = Path(plan.settings.store).parent / "cache"
    unanswered = {(g.problem_id, g.sample) for g in generations if not g.thought_finished}
    found: dict[tuple[str, int], Verdict] = {}
    with (
        judge(solutions, plan.dataset, plan.settings.sandbox, cache) as judging,
        store.appending(plan.folder / runs.VERDICTS) as append,
        bar("Judging", len(solutions)) as progress,
    ):
        for verdict in judging:
            sample = verdict.problem_id, verdict.sample
            found[sample] = _without_answer(verdict) if sample in unanswered else verdict
            append(found[sample])
            progress.advance()
        counts = {
            "count/verdicts_kept": float(judging.kept),
            "count/verdicts_shared": float(judging.shared),
            "count/judged_again": float(judging.retried),
            "count/changed_when_judged_again": float(judging.changed),
        }
    return [found[each.problem_id, each.sample] for each in solutions], counts


def _without_answer(verdict: Verdict) -> Verdict:
    """Return the verdict on a generation that ended while the model was thinking."""
    unfinished = Outcome.THOUGHT_UNFINISHED
    failure = Failure("(the answer)", "", "none: the model was still thinking when it ended")
    return replace(verdict, base=unfinished, plus=unfinished, failure=failure)


def _of_weights(weights: Weights | None) -> dict[str, float]:
    """Return what a quantization costs before a token is made: the file and its bits per weight."""
    if weights is None:
        return {}
    return {
        "weights/megabytes": weights.bytes / 1e6,
        "weights/bits_per_weight": weights.bits_per_weight,
    }


def _warn_of_unfinished_thoughts(plan: Plan, generations: Sequence[Generation]) -> None:
    """Say how many generations ended before the model came to an answer, and what to do."""
    unfinished = sum(not each.thought_finished for each in generations)
    if unfinished:
        off = ", or thinking=off" if "off" in plan.settings.model.thinking.modes else ""
        log.warning(
            "%d of %d thoughts were not finished within %d tokens, so that there is no answer: "
            "set sampling.max_tokens higher, or a thinking_budget below it%s.",
            unfinished,
            len(generations),
            plan.sampling.max_tokens,
            off,
        )


def _warn_of_prompts_too_long(generations: Sequence[Generation]) -> None:
    """Say which prompts the context had no room for: their problems count as failed.

    Raises:
        BackendError: no prompt fitted, so there is nothing to judge.
    """
    too_long = [g for g in generations if g.finish_reason is FinishReason.PROMPT_TOO_LONG]
    if not too_long:
        return
    first = too_long[0]
    if len(too_long) == len(generations):
        raise BackendError(
            f"None of the {len(too_long)} prompts fits. {first.problem_id}: {first.note}"
        )
    log.warning(
        "%d of %d prompts do not fit, and their problems count as failed. %s: %s",
        len(too_long),
        len(generations),
        first.problem_id,
        first.note,
    )
