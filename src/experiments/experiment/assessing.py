"""A run's generations on their way to verdicts: extracted, judged, logged."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from experiments import judge, store
from experiments.environment.terminal import bar
from experiments.errors import UserError
from experiments.experiment.planning import Plan
from experiments.extract import extract
from experiments.records import Generation, Request, Solution, Verdict
from experiments.sandbox import missing
from experiments.store import runs
from experiments.tracking.live import Live
from experiments.tracking.traces import Answer

log = logging.getLogger(__name__)

AHEAD = 8
"""So many solutions per core are extracted ahead of the judge while the model works,"""

AT_ONCE = 8
"""and no more than so many between two answers."""

_Place = tuple[str, int]
"""A problem's id and the number of a sample."""


class Assessing:
    """Assesses generations: beside the model on the cores that it leaves free, then on all.

    So a model's speed stays its own, and what need not wait for its end does not.
    """

    def __init__(self, plan: Plan, live: Live | None) -> None:
        self._plan = plan
        self._live = live
        self._closing = ExitStack()
        self._requests: dict[str, list[Request]] = defaultdict(list)
        for request in plan.requests:
            self._requests[request.key].append(request)
        self._failure: UserError | None = None
        self._waiting: deque[Generation] = deque()
        self._answers: dict[_Place, tuple[Request, Generation, Solution]] = {}
        self._verdicts: dict[_Place, Verdict] = {}

    def __enter__(self) -> Self:
        plan = self._plan
        cache = Path(plan.settings.store).parent / "cache"
        self._judging = self._closing.enter_context(
            judge.Judging(plan.dataset, plan.settings.sandbox, cache)
        )
        self._append = self._closing.enter_context(
            store.appending(plan.folder / runs.VERDICTS),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def add(self, generation: Generation) -> None:
        """Take a generation, for all requests that share it.

        Greedy samples do, and equal prompts of other data sets.
        """
        self._waiting.append(generation)

    def go_on(self, cores: int) -> None:
        """Judge on so many cores from now on, and take the verdicts that were reached.

        Where that fails, it is told and nothing more is judged: what is being generated is not
        the worse for it, and is kept.
        """
        if self._failure is not None:
            return
        try:
            for _ in range(min(len(self._waiting), AT_ONCE)):
                if self._judging.outstanding < AHEAD * cores:
                    self._give(self._waiting.popleft())
            self._judging.use(cores)
            for verdict in self._judging.ready():
                self._take(verdict)
        except UserError as error:
            self._failure = error
            log.warning("Nothing more is judged, and generating goes on. %s", error)
            self._judging.close()

    def finish(self) -> None:
        """Judge the rest.

        Raises:
            UserError: the sandbox does not work here, or a reference fails.
        """
        if self._failure is not None:
            raise self._failure
        if gaps := missing(self._judging.isolation):
            log.warning(gaps)
        with bar("Judging", len(self._plan.requests), len(self._verdicts)) as progress:
            while self._waiting:
                self._give(self._waiting.popleft())
            for verdict in self._judging:
                self._take(verdict)
                progress.advance()

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

    @property
    def second_looks(self) -> dict[str, float]:
        """How many solutions were judged twice, and how many of them got another verdict."""
        return {
            "count/judged_again": float(self._judging.retried),
            "count/changed_when_judged_again": float(self._judging.changed),
        }

    def _places(self) -> Iterator[_Place]:
        return ((request.problem_id, request.sample) for request in self._plan.requests)

    def _give(self, shared: Generation) -> None:
        for request in self._requests[shared.key]:
            place = request.problem_id, request.sample
            generation = replace(shared, problem_id=place[0], sample=place[1])
            solution = self._solution(generation)
            self._answers[place] = request, generation, solution
            self._judging.give([solution])

    def _solution(self, generation: Generation) -> Solution:
        """Return the program in a generation."""
        problem = self._plan.problems[generation.problem_id]
        found = extract(generation.text, problem.prompt, problem.entry_point, self._plan.kind)
        return Solution(
            problem.id, generation.sample, found.program, found.format_kept, found.syntax_valid
        )

    def _take(self, verdict: Verdict) -> None:
        place = verdict.problem_id, verdict.sample
        self._append(verdict)
        self._verdicts[place] = verdict
        if self._live is not None:
            request, generation, solution = self._answers[place]
            self._live.answer(Answer(request.prompt, generation, solution, verdict))
