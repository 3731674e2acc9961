"""A run, from its prompts to its numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments import store
from experiments.environment.terminal import bar
from experiments.errors import BackendError
from experiments.experiment.assessing import Assessing
from experiments.experiment.folder import write
from experiments.experiment.planning import Plan
from experiments.experiment.tracked import log_results, tracked
from experiments.records import FinishReason, Generation, RunReport, Weights
from experiments.stats.metrics import summarise
from experiments.store import runs
from experiments.tracking.live import Live

log = logging.getLogger(__name__)


def run(plan: Plan, shown: Callable[[RunReport], None] | None = None) -> RunReport:
    """Generate, judge, sum up, track; return the numbers.

    Args:
        plan: the run.
        shown: is called with the numbers as soon as they are there; the run may be waiting for
            MLflow then.

    Raises:
        UserError: what went wrong, in one line. All that was made until then is kept.
    """
    failure: BaseException | None = None
    with tracked(plan) as live, Assessing(plan, live) as assessing:
        seconds = _generate(plan, live, assessing)
        assessing.finish()
        metrics = summarise(
            assessing.verdicts,
            assessing.solutions,
            assessing.generations,
            plan.dataset.problems,
            generating_seconds=seconds,
        )
        engine = {f"engine/{name}": n for name, n in plan.backend.statistics().items()}
        report = RunReport(
            {**metrics, **assessing.second_looks, **engine, **_of_weights(plan.weights)},
            plan.folder,
            plan.labels,
            plan.settings.model.note,
        )
        write(plan, report, assessing.generations, assessing.solutions, assessing.verdicts)
        log_results(plan, live, report)
        try:
            if shown is not None:
                shown(report)
        except BaseException as error:  # a closed terminal is no fault of the run
            failure = error
    if failure is not None:
        raise failure
    return report


def _of_weights(weights: Weights | None) -> dict[str, float]:
    """Return what a quantization costs before a token is made: the file and its bits per weight."""
    if weights is None:
        return {}
    return {
        "weights/megabytes": weights.bytes / 1e6,
        "weights/bits_per_weight": weights.bits_per_weight,
    }


def _generate(plan: Plan, live: Live | None, assessing: Assessing) -> float:
    """Have all requests answered and hand the answers on; return the seconds that it took.

    Those at hand are not made again. Loading the model is not counted.
    """
    started = time.monotonic()
    kept = store.GenerationStore(Path(plan.settings.store), plan.settings.cache.value)
    found = kept.find({request.key for request in plan.requests})
    missing = list({r.key: r for r in plan.requests if r.key not in found}.values())
    for generation in found.values():
        assessing.add(generation)
    new_tokens, wanted = 0, len(found) + len(missing)
    with (
        store.appending(plan.folder / runs.GENERATIONS) as append,
        bar("Generating", len(plan.requests), len(plan.requests) - len(missing)) as progress,
    ):

        def assess() -> None:
            if len(found) < wanted:  # what comes after the last is not generating any more
                assessing.go_on(plan.backend.free_cores())

        def told(words: str) -> None:
            progress.remark(words)
            assess()

        for generation in plan.backend.generate(missing, plan.sampling, told):
            kept.append(generation)
            append(generation)
            found[generation.key] = generation
            assessing.add(generation)
            progress.advance()
            new_tokens += generation.new_tokens
            if live is not None:
                live.step(len(found), _progress(len(found), new_tokens, started))
            assess()
    _tell_unfit(list(found.values()))
    return time.monotonic() - started - plan.backend.statistics().get("load_seconds", 0.0)


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


def _progress(generations: int, new_tokens: int, started: float) -> dict[str, float]:
    """Return numbers that show how a long run goes."""
    seconds = max(time.monotonic() - started, 1e-9)
    return {
        "progress/generations": float(generations),
        "progress/tokens_per_second": new_tokens / seconds,
    }
