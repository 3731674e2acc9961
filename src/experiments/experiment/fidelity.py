"""What quantizing does to a model: its distributions over tokens, held against a reference's.

All levels read the same texts: the model's own prompts, with the reference's own answers where
the store has them, else with the reference solutions. One model is in memory at a time; the
reference's distributions wait on the disk for the others.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.backends.llama_cpp import LlamaCpp
from experiments.environment.project import at_hand
from experiments.environment.provenance import provenance
from experiments.environment.terminal import bar, counted
from experiments.errors import DatasetError, SandboxError, StoreError, WeightsError
from experiments.experiment import resolving
from experiments.experiment.measuring import setting
from experiments.experiment.planning import Plan
from experiments.experiment.running import judged, solution_of, split_thought
from experiments.extract import thoughts
from experiments.records import Generation, Request, Weights
from experiments.stats.costs import Measured
from experiments.stats.divergence import Estimate, Scores, compare
from experiments.stats.metrics import pass_rates, summarise
from experiments.store import GenerationStore, runs
from experiments.store.files import write_text

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the form of `fidelity.json`."""

PRECISION = "float16"
"""Of the log-probabilities of the reference that are kept on the disk."""

SPARE_BYTES = 500_000_000
"""Left free on the disk."""


@dataclass(frozen=True)
class Level:
    """What is known of a level.

    Attributes:
        name: of the level.
        weights: its file.
        scores: by problem.
        peak_bytes: the most memory that its process held while it read the texts.
        seconds: that it took to read them, loading included.
        metrics: of its answers in the store, as a run's; empty: the store has not all of them.
        rates: share of samples that pass, by problem; empty as above.
        estimates: against the reference; empty for the reference itself.
    """

    name: str
    weights: Weights
    scores: Mapping[str, Scores]
    peak_bytes: int
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class Fidelity:
    """Levels of a model beside their reference.

    Attributes:
        levels: the reference first.
        texts: `answers` (of the reference, from the store) or `solutions`.
        is_greedy: the texts are greedy answers, so that it is known where greedy texts part.
    """

    plan: Plan
    levels: Sequence[Level]
    texts: str
    is_greedy: bool

    @property
    def reference(self) -> Level:
        """The level that the others are compared with."""
        return self.levels[0]

    def flips(self, level: Level) -> tuple[list[str], list[str]] | None:
        """Return the problems that a level wins and loses against the reference, if known.

        With several samples, a problem is won where more of them pass.
        """
        own, its = level.rates, self.reference.rates
        if not own or not its:
            return None
        won = [problem for problem in own if own[problem] > its[problem]]
        return won, [problem for problem in own if own[problem] < its[problem]]


def measure(plans: Sequence[Plan], folder: Path) -> Fidelity:
    """Compare levels of one model with a reference, and keep the result in `fidelity.json`.

    Args:
        plans: of the reference first, then of the others: the same question at each level, with
            the backend `llama_cpp`.
        folder: for the result; exists.

    Raises:
        UserError: the levels cannot be compared, or there is no room.
    """
    texts, source = _texts(plans[0])
    scores: list[tuple[Mapping[str, Scores], int, float]] = []
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=folder) as scratch:
        rows = Path(scratch) / "reference.f16"
        for number, plan in enumerate(plans):
            assert isinstance(plan.backend, LlamaCpp)
            began = time.perf_counter()
            with bar(_level(plan), len(texts)) as progress:
                found, peak = plan.backend.evaluate(
                    texts, rows, number == 0, _checked(folder, number == 0), progress.advance
                )
            scores.append((found, peak, time.perf_counter() - began))
            _refuse_other_tokens(plans[0], scores[0][0], plan, found)
        levels = [_of_store(p, Path(scratch), *s) for p, s in zip(plans, scores, strict=True)]
    is_greedy = source == "answers" and plans[0].sampling.is_greedy
    reference = levels[0].scores
    compared = [replace(one, estimates=compare(reference, one.scores)) for one in levels[1:]]
    result = Fidelity(plans[0], [levels[0], *compared], source, is_greedy)
    write_text(folder / runs.FIDELITY, json.dumps(as_data(result), indent=2) + "\n")
    return result


def metrics(result: Fidelity, level: Level) -> dict[str, float]:
    """Return what was found of a level as numbers of its run; nothing for the reference."""
    if level is result.reference:
        return {}
    found: dict[str, float | None] = {}
    for name, estimate in _told(result, level).items():
        found[name] = estimate.value
        found |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    if flips := result.flips(level):
        found |= {"won": len(flips[0]), "lost": len(flips[1])}
    return {
        f"fidelity/{name}": float(value)
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }


def _told(result: Fidelity, level: Level) -> dict[str, Estimate]:
    """Return a level's estimates; where texts part is known of greedy ones alone."""
    greedy_alone = () if result.is_greedy else ("parts_at", "same_text")
    return {name: e for name, e in level.estimates.items() if name not in greedy_alone}


def as_data(result: Fidelity) -> dict[str, Any]:
    """Return a result as plain data; infinite numbers, of texts that never part, as null."""
    settings = result.plan.settings
    reference = result.reference
    return {
        "format": FORMAT,
        "model": settings.model.name,
        "prompt": settings.prompt.name,
        "dataset": result.plan.dataset.name,
        "dataset_digest": result.plan.dataset.digest,
        "overrides": list(result.plan.overrides),
        "reference": reference.name,
        "texts": result.texts,
        "is_greedy": result.is_greedy,
        "problems": len(reference.scores),
        "tokens": sum(len(each.tokens) for each in reference.scores.values()),
        "precision": PRECISION,
        "backend": result.plan.backend.describe(),
        **provenance(),
        "levels": [_level_as_data(result, level) for level in result.levels],
    }


def _level_as_data(result: Fidelity, level: Level) -> dict[str, Any]:
    flips = result.flips(level)
    estimates = {
        name: {bound: _finite(value) for bound, value in estimate._asdict().items()}
        for name, estimate in _told(result, level).items()
    }
    return {
        "name": level.name,
        "file": level.weights.path.name,
        "sha256": level.weights.sha256,
        "bytes": level.weights.bytes,
        "bits_per_weight": level.weights.bits_per_weight,
        "peak_bytes": level.peak_bytes,
        "seconds": level.seconds,
        "estimates": estimates,
        "metrics": dict(level.metrics),
        "won": flips[0] if flips else None,
        "lost": flips[1] if flips else None,
        "by_problem": {
            problem: {
                "tokens": len(scores.tokens),
                "surprisal": math.fsum(scores.surprisals),
                "divergence": math.fsum(scores.divergences),
                "parts_at": _finite(scores.parts_at(result.reference.scores[problem])),
                "solved": level.rates.get(problem),
            }
            for problem, scores in level.scores.items()
        },
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _level(plan: Plan) -> str:
    assert plan.weights is not None
    return plan.weights.quantization


def _texts(plan: Plan) -> tuple[list[tuple[Request, str]], str]:
    """Return the first request for each problem with an answer to it, and whose answers they are.

    Raises:
        DatasetError: there are no problems, or none has an answer.
    """
    requests = list({one.problem_id: one for one in reversed(plan.requests)}.values())[::-1]
    found = _stored(plan, requests)
    texts = [(one, _answer(plan, one, found[one.key])) for one in requests if one.key in found]
    written = sum(bool(answer) for _, answer in texts)
    source = "answers"
    if len(found) < len(requests) or not written:
        log.info(
            "The store has %d of %d answers of %s, so the texts are the reference solutions. For "
            "its own answers, run this model at quantization=%s with the same settings first.",
            written,
            len(requests),
            _level(plan),
            _level(plan),
        )
        texts = [(one, _solution(plan, one)) for one in requests]
        source = "solutions"
    texts = [(one, answer) for one, answer in texts if answer]
    if not texts:
        raise DatasetError("There is no text to compare on: no problem has an answer")
    return texts, source


def _stored(plan: Plan, requests: Sequence[Request]) -> dict[str, Generation]:
    """Return the answers to requests that the store has, by key."""
    mode = "off" if plan.settings.cache.value == "off" else "read"
    found = GenerationStore(at_hand(plan.settings.store), mode).find({one.key for one in requests})
    return {one.key: found[one.key] for one in requests if one.key in found}


def _styles(plan: Plan) -> tuple[thoughts.Style, ...]:
    thinking = resolving.thinking(plan.settings)
    return thoughts.known(thinking.open, thinking.close)


def _answer(plan: Plan, request: Request, generation: Generation) -> str:
    if plan.kind != "chat" or plan.weights is None:
        return generation.text
    template = plan.weights.chat_template or ""
    return as_written(split_thought(generation), request.text, template, _styles(plan))


def as_written(
    generation: Generation, prompt: str, template: str, styles: Sequence[thoughts.Style]
) -> str:
    """Return an answer with the thought before it and the markers of both, as the model wrote it.

    Args:
        generation: whose thought is told from its answer.
        prompt: as the model read it; it may have opened the thought.
        template: the model's chat template, which names the markers.
        styles: that the model may have.
    """
    if not generation.thought:
        return generation.text
    opened = thoughts.opened_by(prompt, styles)
    named = (each for each in styles if thoughts.in_template(template, [each]))
    style = opened or next(named, styles[0])
    begin = "" if opened else f"{style.opens[0]}\n"
    closed = style.closing + generation.text if generation.thought_finished else ""
    return begin + generation.thought + closed


def _solution(plan: Plan, request: Request) -> str:
    """Return the reference solution as an answer: a block in a chat, else what follows."""
    problem = plan.problems[request.problem_id]
    if plan.kind == "chat":
        opened = thoughts.opened_by(request.text, _styles(plan))
        return f"{opened.closing if opened else ''}```python\n{problem.reference.strip()}\n```"
    return problem.reference.removeprefix(problem.prompt)


def _checked(folder: Path, is_reference: bool) -> Callable[[Mapping[str, Any]], None]:
    """Return what looks at the size of the work before it begins."""

    def check(size: Mapping[str, Any]) -> None:
        if not size["tokens"]:
            raise DatasetError(
                "No text fits into the context", "Set backend.context_tokens higher."
            )
        if not is_reference:
            return
        if size["unfit"]:
            log.warning(
                "%s left out, since the context has no room for more: set "
                "backend.context_tokens higher.",
                counted(len(size["unfit"]), "text is", "texts are"),
            )
        free = shutil.disk_usage(folder).free - SPARE_BYTES
        if size["bytes"] > free:
            raise StoreError(
                f"No room for the reference's probabilities: {size['bytes'] / 1e9:.1f} GB for "
                f"{size['tokens']} tokens, and {max(0, free) / 1e9:.1f} GB may be used in {folder}",
                "Take fewer problems with limit=N, or another disk with --out DIR.",
            )

    return check


def _refuse_other_tokens(
    reference: Plan, its: Mapping[str, Scores], plan: Plan, found: Mapping[str, Scores]
) -> None:
    same = its.keys() == found.keys()
    if not same or any(found[each].tokens != its[each].tokens for each in its):
        raise WeightsError(
            f"{_level(plan)} cuts texts into other tokens than {_level(reference)}, so the two "
            "cannot be compared",
            "Make both from one file: put an F16 of the model into its folder.",
        )


def _of_store(
    plan: Plan, scratch: Path, scores: Mapping[str, Scores], peak: int, seconds: float
) -> Level:
    """Return a level with what its own answers say, where the store has all of them."""
    assert plan.weights is not None
    level = Level(_level(plan), plan.weights, scores, peak, seconds)
    found = _stored(plan, plan.requests)
    if any(one.key not in found for one in plan.requests):
        return level
    generations = [
        replace(found[one.key], problem_id=one.problem_id, sample=one.sample)
        for one in plan.requests
    ]
    if plan.kind == "chat":
        generations = [split_thought(each) for each in generations]
    solutions = [solution_of(plan, each) for each in generations]
    try:
        verdicts, _ = judged(replace(plan, folder=scratch), generations, solutions)
    except SandboxError as error:
        log.warning("pass@1 is left out: %s", error)
        return level
    measured = Measured(made_on=setting(plan.backend))
    metrics = summarise(verdicts, solutions, generations, plan.dataset.problems, measured)
    return replace(level, metrics=metrics, rates=pass_rates(verdicts))
