"""One sequence on its way: from a job, token by token, to its completion.

Runs in the worker process only.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.backends.llama_cpp.model import Model
from experiments.extract.completeness import Watcher


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
    token_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class StopConditions:
    """Where every completion ends at the latest.

    Attributes:
        strings: texts that end a completion, and are not part of it.
        max_tokens: new tokens of one completion.
        context_tokens: tokens of one completion and its prompt.
    """

    strings: tuple[bytes, ...]
    max_tokens: int
    context_tokens: int


@dataclass
class Sequence:
    """A job that waits, is prefilled or is decoded.

    Attributes:
        job: what is asked for.
        prompt: its tokens.
        watcher: sees where the answer is complete; None if nobody looks.
        began: when it began to wait.
        text: bytes of the tokens so far.
        token_ids: chosen so far; empty until the prompt is prefilled.
        shared: tokens of the prompt that were in memory already.
        prefill_began, first_token: when prefilling its prompt began, and when it had ended.
        finish_reason, note: why it ended.
        chain: its sampler, unless it is greedy.
    """

    job: Job
    prompt: list[int]
    watcher: Watcher | None
    began: float
    text: bytearray = field(default_factory=bytearray)
    token_ids: list[int] = field(default_factory=list)
    shared: int = 0
    prefill_began: float = 0.0
    first_token: float = 0.0
    finish_reason: str = ""
    note: str = ""
    chain: Any = None

    def accept(self, token: int, model: Model, ends: StopConditions) -> bool:
        """Add a token; tell whether the text is finished by it."""
        self.token_ids.append(token)
        if model.is_end(token):
            self.finish_reason = "end_token"
            return True
        text = self.text
        piece = model.piece(token)
        text += piece
        for stop in ends.strings:
            found = text.find(stop, max(0, len(text) - len(piece) - len(stop) + 1))
            if found >= 0:
                del text[found:]
                self.finish_reason = "stop_string"
                return True
        if self.watcher is not None:
            end = self.watcher.complete_at(text)
            if end is not None:
                del text[end:]
                self.finish_reason = "answer_complete"
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

    def completion(self, now: float) -> Completion:
        """Return what became of it."""
        return Completion(
            key=self.job.key,
            text=decoded(self.text),
            finish_reason=self.finish_reason,
            prompt_tokens=len(self.prompt),
            shared_tokens=self.shared,
            new_tokens=len(self.token_ids),
            queue_seconds=self.prefill_began - self.began,
            prefill_seconds=self.first_token - self.prefill_began,
            decode_seconds=now - self.first_token,
            note=self.note,
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


def decoded(text: bytearray) -> str:
    """Return the text; a character that was cut off at the end is left out."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(text), final=False)
