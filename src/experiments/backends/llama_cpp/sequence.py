"""One sequence on its way: from a job, token by token, to its completion.

Runs in the worker process only.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.model import Model
from experiments.extract.completeness import Watcher, watcher_for
from experiments.extract.thoughts import Parts, ThoughtReader, decoded


@dataclass(frozen=True)
class Job:
    """One completion to be made.

    Attributes:
        key: given back with the result.
        text: the prompt.
        seed: of its sampler.
        is_chat: special tokens in the text are special tokens.
        entry_point: function that completes the answer.
    """

    key: str
    text: str
    seed: int
    is_chat: bool
    entry_point: str


@dataclass
class Completion:
    """What became of a job; see `records.Generation`."""

    key: str
    text: str
    finish_reason: str
    prompt_tokens: int = 0
    shared_tokens: int = 0
    new_tokens: int = 0
    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    note: str = ""
    thought: str = ""
    thought_tokens: int = 0
    thought_seconds: float = 0.0
    thought_finished: bool = True
    token_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class StopConditions:
    """Where every completion ends at the latest.

    Attributes:
        strings: texts that end an answer, and are not part of it.
        max_tokens: new tokens of one completion.
        context_tokens: tokens of one completion and its prompt.
        when_complete: end where the asked answer is complete.
        thought_tokens: after so many, an open thought is closed; None: never.
    """

    strings: tuple[bytes, ...]
    max_tokens: int
    context_tokens: int
    when_complete: bool
    thought_tokens: int | None = None


@dataclass
class Sequence:
    """A job that waits, is prefilled or is decoded.

    Attributes:
        job: what is asked for.
        prompt: its tokens.
        began: when it began to wait.
        thought: follows the text to where the answer begins; None where nobody thinks.
        text: bytes of the tokens so far.
        token_ids: chosen so far; empty until the prompt is prefilled.
        forced: tokens that come next, whatever the model would choose.
        shared: tokens of the prompt that were in memory already.
        prefill_began, first_token: when prefilling its prompt began, and when it had ended.
        answer_began: when the thought had ended.
        thought_tokens: those before the answer.
        watcher: sees where the answer is complete; None: it has not begun, or nobody looks.
        finish_reason, note: why it ended.
        chain: its sampler, unless it is greedy.
    """

    job: Job
    prompt: list[int]
    began: float
    thought: ThoughtReader | None
    text: bytearray = field(default_factory=bytearray)
    token_ids: list[int] = field(default_factory=list)
    forced: deque[int] = field(default_factory=deque)
    shared: int = 0
    prefill_began: float = 0.0
    first_token: float = 0.0
    answer_began: float = 0.0
    thought_tokens: int = 0
    watcher: Watcher | None = None
    finish_reason: str = ""
    note: str = ""
    chain: Any = None

    def accept(self, token: int, model: Model, ends: StopConditions) -> bool:
        """Add a token; tell whether the completion is finished by it."""
        self.token_ids.append(token)
        if model.is_end(token) and not self.forced:
            self.finish_reason = "end_token"
            return True
        piece = model.piece(token)
        self.text += piece
        start = self._answer_start(ends)
        if start is None:
            self._close_thought_in_time(model, ends)
        elif reason := self._end_of_answer(start, len(piece), ends):
            self.finish_reason = reason
            return True
        count = len(self.token_ids)
        if count >= ends.max_tokens:
            self.finish_reason = "token_limit"
            return True
        if len(self.prompt) + count >= ends.context_tokens:
            self.finish_reason = "token_limit"
            self.note = f"The context of {ends.context_tokens} tokens is full."
            return True
        return False

    def _answer_start(self, ends: StopConditions) -> int | None:
        """Return where the answer begins in the text; None: it has not begun."""
        start = 0 if self.thought is None else self.thought.answer
        if start is None and self.thought is not None:
            start = self.thought.follow(self.text)
            if start is not None and self.thought.style is not None:
                self.thought_tokens = len(self.token_ids)
                self.answer_began = time.perf_counter()
        if start is not None and self.watcher is None and ends.when_complete:
            self.watcher = watcher_for(self.job.entry_point, self.job.is_chat, start)
        return start

    def _close_thought_in_time(self, model: Model, ends: StopConditions) -> None:
        """Make the model's own closing marker come next where the thought's tokens are spent."""
        if self.thought is None or not self.thought.is_thinking or self.forced:
            return
        if ends.thought_tokens is not None and len(self.token_ids) >= ends.thought_tokens:
            assert self.thought.style is not None
            self.forced.extend(model.tokens_of(self.thought.style.closing, has_special=True))

    def _end_of_answer(self, start: int, new_bytes: int, ends: StopConditions) -> str:
        """Return why the answer ends here, and drop what is no part of it; empty: it does not."""
        text = self.text
        for stop in ends.strings:
            found = text.find(stop, max(start, len(text) - new_bytes - len(stop) + 1))
            if found >= 0:
                del text[found:]
                return "stop_string"
        if self.watcher is not None and (end := self.watcher.complete_at(text)) is not None:
            del text[end:]
            return "answer_complete"
        return ""

    def completion(self, now: float) -> Completion:
        """Return what became of it."""
        parts = self.thought.parts(self.text) if self.thought else Parts("", decoded(self.text))
        if not parts.is_finished:
            self.thought_tokens, self.answer_began = len(self.token_ids), now
        return Completion(
            key=self.job.key,
            text=parts.answer,
            finish_reason=self.finish_reason,
            prompt_tokens=len(self.prompt),
            shared_tokens=self.shared,
            new_tokens=len(self.token_ids),
            queue_seconds=self.prefill_began - self.began,
            prefill_seconds=self.first_token - self.prefill_began,
            decode_seconds=now - self.first_token,
            note=self.note,
            thought=parts.thought,
            thought_tokens=self.thought_tokens,
            thought_seconds=max(0.0, self.answer_began - self.first_token),
            thought_finished=parts.is_finished,
            token_ids=self.token_ids,
        )

    def free(self) -> None:
        """Free its sampler."""
        if self.chain is not None:
            llama.llama_sampler_free(self.chain)
            self.chain = None


def prompt_too_long(job: Job, tokens: int, context_tokens: int) -> Completion | None:
    """Return the completion of a job whose prompt the context cannot hold; None if it can."""
    if not tokens:
        return Completion(job.key, "", "prompt_too_long", note="The prompt is empty.")
    if tokens < context_tokens:
        return None
    return Completion(
        job.key,
        "",
        "prompt_too_long",
        prompt_tokens=tokens,
        note=f"The prompt has {tokens} tokens, and the context has room for {context_tokens}, "
        "the answer included. Set backend.context_tokens higher, or choose a shorter prompt.",
    )
