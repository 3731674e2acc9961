"""Recites answers: for tests, and to try a configuration without any model.

It reads no weights and loads no model. Its answers depend on the request alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from experiments.backends import Memory, Progress
from experiments.backends.keys import requests_for
from experiments.errors import BackendError, ConfigError, did_you_mean
from experiments.extract import thoughts
from experiments.records import (
    Dataset,
    FinishReason,
    Generation,
    Prompt,
    Request,
    Thinking,
    Weights,
)
from experiments.schema import Sampling

Answer = str | Callable[[Prompt], str]

MODES = ("reference", "wrong", "mixed", "prose")


class Scripted:
    """A backend that answers by heart.

    Args:
        weights: ignored.
        thinking: whose markers tell a thought in an answer from the answer.
        dataset: the data set whose references are recited (modes `reference` and `mixed`).
        mode: what is said where `answers` has nothing: `reference` gives the reference
            solution, `wrong` a program that returns None, `mixed` one or the other by
            turns, `prose` a sentence without a program.
        answers: a block of problem id to text (or to a function of the prompt), or one function for
            all problems. Comes before `mode`.
        delay_seconds: wait before each answer.
        fails_after: raise a BackendError after this many answers.

    Raises:
        ConfigError: there is no such mode, or it needs a data set.
    """

    needs_weights: ClassVar[bool] = False

    def __init__(
        self,
        weights: Weights | None = None,
        thinking: Thinking | None = None,
        dataset: Dataset | None = None,
        mode: str = "wrong",
        answers: Mapping[str, Answer] | Callable[[Prompt], str] | None = None,
        delay_seconds: float = 0.0,
        fails_after: int | None = None,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"There is no backend.mode '{mode}'", did_you_mean(mode, MODES))
        if mode in ("reference", "mixed") and dataset is None:
            raise ConfigError(
                f"backend.mode={mode} recites a data set's references, and there is none",
                "Set backend.dataset as in conf/backend/scripted.yaml.",
            )
        problems = dataset.problems if dataset else ()
        self._references = {problem.id: problem.reference for problem in problems}
        self._turns = {problem.id: turn for turn, problem in enumerate(problems)}
        thinking = thinking or Thinking()
        self._styles = thoughts.known(thinking.open, thinking.close)
        self._mode = mode
        self._answers = answers or {}
        self._delay_seconds = delay_seconds
        self._fails_after = fails_after
        self._answered = 0
        self._seconds = 0.0

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[Request]:
        """Return requests whose text is the prompt's content, without any template."""
        made: list[Request] = []
        for prompt in prompts:
            decides = {"backend": "scripted", "answer": self._answer(prompt)}
            made += requests_for([(prompt, _plain(prompt))], sampling, seed, decides)
        return made

    def memory(self, requests: Sequence[Request], sampling: Sampling) -> Memory | None:
        """Return None: there is no model."""
        return None

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_progress: Progress | None = None,
    ) -> Iterator[Generation]:
        """Yield the answers in the order of the requests."""
        for number, wanted in enumerate(requests):
            if self._fails_after is not None and number >= self._fails_after:
                raise BackendError(
                    f"The scripted backend was told to fail after {self._fails_after} answers",
                    "Set backend.fails_after=null.",
                )
            began = time.perf_counter()
            if self._delay_seconds:
                time.sleep(self._delay_seconds)
            text = self._answer(wanted.prompt)
            parts = thoughts.Parts("", text)
            if wanted.prompt.messages:
                parts = thoughts.split(text, self._styles)
            seconds = time.perf_counter() - began
            self._answered += 1
            self._seconds += seconds
            if on_progress is not None:
                on_progress(f"{self._answered / max(self._seconds, 1e-9):.0f} answers/s")
            yield Generation(
                key=wanted.key,
                problem_id=wanted.problem_id,
                sample=wanted.sample,
                text=parts.answer,
                finish_reason=FinishReason.END_TOKEN,
                prompt_tokens=len(wanted.text.split()),
                new_tokens=len(text.split()),
                decode_seconds=seconds,
                thought=parts.thought,
                thought_tokens=len(parts.thought.split()),
                thought_finished=parts.is_finished,
                is_split=True,
            )

    def describe(self) -> dict[str, Any]:
        """Return the mode."""
        return {"name": "scripted", "mode": self._mode}

    def statistics(self) -> dict[str, float]:
        """Return nothing: there is no model whose speed would mean something."""
        return {}

    def _answer(self, prompt: Prompt) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        if prompt.problem_id in self._answers:
            answer = self._answers[prompt.problem_id]
            return answer(prompt) if callable(answer) else answer
        if self._mode == "prose":
            return f"I would begin with the edge cases of {prompt.entry_point}."
        turn = self._turns.get(prompt.problem_id, 0)
        if self._mode == "reference" or (self._mode == "mixed" and turn % 2 == 0):
            program = self._references.get(prompt.problem_id, "")
        else:
            program = f"def {prompt.entry_point}(*arguments, **options):\n    return None\n"
        return _dressed(program, prompt)


def _plain(prompt: Prompt) -> str:
    if prompt.messages:
        return "\n\n".join(message.content for message in prompt.messages)
    return prompt.completion


def _dressed(program: str, prompt: Prompt) -> str:
    """Return the program as it was asked for: in a block, or going on from the prompt."""
    program = program.strip("\n")
    if prompt.messages:
        return f"```python\n{program}\n```"
    return f"    pass\n\n\n{program}\n"
