"""A run's generations on their way to verdicts: extracted, judged, logged when all are there."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from experiments import store
from experiments.environment.terminal import bar
from experiments.experiment.planning import Plan
from experiments.extract import extract
from experiments.judge import judge
from experiments.records import Generation, Request, Solution, Verdict
from experiments.sandbox import choose, missing
from experiments.tracking.live import Live
from experiments.tracking.traces import Answer

log = logging.getLogger(__name__)

_Place = tuple[str, int]
"""A problem's id and the number of a sample."""


class Assessing:
    """Assesses generations when all are there, so that a model's speed stays its own.

    Raises:
        SandboxError: the sandbox does not work here, which is told before anything is generated.
    """

    def __init__(self, plan: Plan, live: Live | None) -> None:
        if gaps := missing(choose(plan.settings.sandbox.isolation.value)):
            log.warning(gaps)
        self._plan = plan
        self._live = live
        self._requests: dict[str, list[Request]] = defaultdict(list)
        for request in plan.requests:
            self._requests[request.key].append(request)
        self._shared: list[Generation] = []
        self._answers: dict[_Place, tuple[Request, Generation, Solution]] = {}
        self._verdicts: dict[_Place, Verdict] = {}

    def add(self, generation: Generation) -> None:
        """Take a generation, for all requests that share it.

        Greedy samples do, and equal prompts of other data sets.
        """
        self._shared.append(generation)

    def finish(self) -> None:
        """Judge all that was added.

        Raises:
            UserError: the sandbox does not work here, or a reference fails.
        """
        plan = self._plan
        for shared in self._shared:
            for request in self._requests[shared.key]:
                place = request.problem_id, request.sample
                generation = replace(shared, problem_id=place[0], sample=place[1])
                self._answers[place] = request, generation, self._solution(generation)
        cache = Path(plan.settings.store).parent / "cache"
        with (
            judge(self.solutions, plan.dataset, plan.settings.sandbox, cache) as judging,
            store.appending(plan.folder / "verdicts.jsonl") as append,
            bar("Judging", len(plan.requests)) as progress,
        ):
            for verdict in judging:
                append(verdict)
                self._take(verdict)
                progress.advance()
        self.counts = {
            "count/verdicts_kept": float(judging.kept),
            "count/verdicts_shared": float(judging.shared),
            "count/judged_again": float(judging.retried),
            "count/changed_when_judged_again": float(judging.changed),
        }

    @property
    def generations(self) -> list[Generation]:
        """In the order of the requests, as all below."""
        return [self._answers[place][1] for place in self._places()]

    @property
    def solutions(self) -> list[Solution]:
        """The programs in the generations."""
        return [self._answers[place][2] for place in self._places()]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts, when all are reached."""
        return [self._verdicts[place] for place in self._places()]

    def _places(self) -> Iterator[_Place]:
        return ((request.problem_id, request.sample) for request in self._plan.requests)

    def _solution(self, generation: Generation) -> Solution:
        """Return the program in a generation."""
        problem = self._plan.problems[generation.problem_id]
        found = extract(generation.text, problem.prompt, problem.entry_point, self._plan.kind)
        return Solution(
            problem.id, generation.sample, found.program, found.format_kept, found.syntax_valid
        )

    def _take(self, verdict: Verdict) -> None:
        place = verdict.problem_id, verdict.sample
        self._verdicts[place] = verdict
        if self._live is not None:
            request, generation, solution = self._answers[place]
            self._live.answer(Answer(request.prompt, generation, solution, verdict))
