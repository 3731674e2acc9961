"""What flows through a run: problem, prompt, request, generation, solution, verdict, report.

All records are frozen; functions return new ones. They hold data only: no record opens a
file, loads a model or knows how it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

Inputs = tuple[tuple[Any, ...], ...]
"""The calls of one test set: for each call, its positional arguments."""


@dataclass(frozen=True)
class Problem:
    """One programming problem with its tests.

    Attributes:
        id: unique in its data set (`HumanEval/0`, `easy/quiet_hours`).
        entry_point: the name of the function that a solution must define.
        prompt: Python source: imports where the signature needs them, the signature and
            the docstring with the statement and its examples. A body is missing.
        reference: a complete program that defines the entry point.
        base_inputs: what a person would try; one tuple of positional arguments per call.
        extra_inputs: the further tests ("plus"), same form; empty if the set has none.
        atol: absolute tolerance for floats (0: EvalPlus's default rules).
        comparison: how an output is compared with the expected one (see `judge`).
        title, difficulty, topics: for reports; empty if the data set has none.
    """

    id: str
    entry_point: str
    prompt: str
    reference: str
    base_inputs: Inputs
    extra_inputs: Inputs = ()
    atol: float = 0.0
    comparison: str = "equal"
    title: str = ""
    difficulty: str = ""
    topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProblemInfo:
    """What a report shows of a problem: neither its tests nor its reference."""

    id: str
    title: str = ""
    difficulty: str = ""
    topics: tuple[str, ...] = ()
    entry_point: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Dataset:
    """Problems that are run together.

    Attributes:
        name: as in `conf/dataset/`.
        digest: SHA-256 over the content of all problems, before any `limit`.
        problems: in the order of the data set.
        preload: modules that nearly every solution imports and that are slow to import.
    """

    name: str
    digest: str
    problems: tuple[Problem, ...]
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weights:
    """A GGUF file on this disk.

    Attributes:
        path: the file.
        sha256: of its content.
        model, quantization: the names by which it was asked for.
        bytes: its size.
        bits_per_weight: 8 x size of the tensors' data / number of parameters.
        parameters: number of weights.
        chat_template: Jinja2 source; None for a base model.
        template_source: `gguf`, `config` or `none`.
        architecture: as the GGUF names it (`llama`).
        bos_token, eos_token: texts that chat templates refer to by these names, from
            `tokenizer.ggml.tokens` at the ids in the header; empty if there is none.
        context_tokens: the longest context that the model was trained for; 0 if unknown.
        vocabulary: number of tokens.
        kv_values_per_token: numbers kept in the KV cache for one token, over all layers.
        heads: attention heads of a layer, the most; 0 if unknown.
        state_bytes: that recurrent layers keep for a sequence, however long it is.
        facts: what the file says of itself and `weights.audit` tells.
    """

    path: Path
    sha256: str
    model: str
    quantization: str
    bytes: int
    bits_per_weight: float
    parameters: int
    chat_template: str | None = None
    template_source: str = "none"
    architecture: str = ""
    bos_token: str = ""
    eos_token: str = ""
    context_tokens: int = 0
    vocabulary: int = 0
    kv_values_per_token: int = 0
    state_bytes: int = 0
    heads: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Thinking:
    """How a model is asked to think before it answers.

    Attributes:
        mode: `on`, `off`, `low`, `medium` or `high`; empty: as its template has it by itself.
        arguments: variables of the chat template, those of the mode included.
        switch: text that is added to the last user message; empty: none.
        open, close: the model's own markers of a thought, beside those that are known.
        budget: most tokens of a thought; None: there is no such limit.
    """

    mode: str = ""
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)
    switch: str = ""
    open: str = ""
    close: str = ""
    budget: int | None = None


@dataclass(frozen=True)
class Message:
    """One turn of a chat; role is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """A problem as it is put to a model, before a model's own template.

    Exactly one of `messages` (chat models) and `completion` (base models: source text to
    go on from) is set.
    """

    problem_id: str
    entry_point: str
    messages: tuple[Message, ...] = ()
    completion: str = ""


@dataclass(frozen=True)
class Request:
    """One generation to be made, with everything that decides its text.

    Attributes:
        key: SHA-256 over everything that decides the text; the same key, the same text.
        text: the prompt as the model reads it, with the model's own template applied.
        seed: of this generation.
        prompt: what was rendered.
    """

    key: str
    problem_id: str
    sample: int
    text: str
    seed: int
    prompt: Prompt


class FinishReason(StrEnum):
    """Why a generation ended."""

    END_TOKEN = "end_token"
    STOP_STRING = "stop_string"
    ANSWER_COMPLETE = "answer_complete"
    TOKEN_LIMIT = "token_limit"
    PROMPT_TOO_LONG = "prompt_too_long"


@dataclass(frozen=True)
class Generation:
    """What a model wrote for one request, and what it cost.

    Attributes:
        text: the answer, without the prompt and without the stop string.
        prompt_tokens: tokens of the prompt, the shared ones included.
        shared_tokens: how many of them were already decoded for another prompt.
        new_tokens: tokens generated, those of the thought included.
        queue_seconds: until reading of the prompt began.
        prefill_seconds: from there to the first new token.
        decode_seconds: from there to the last.
        thought: what the model thought before it answered; empty if it did not.
        thought_tokens, thought_seconds: what the thought took, its markers included.
        thought_finished: false if it was still thinking when it ended, so that there is no answer.
        is_split: the thought was told from the answer; in records of earlier versions it was not,
            and `text` may hold both.
        cached: taken from the store; its timings are those of when it was made.
        wall_seconds: its share of the wall clock, which is shared with those decoded beside it:
            from the completion before it to its own. Those of a run add up to the run's time,
            without loading the model. 0 in records of earlier versions.
        peak_megabytes: the most memory that the model's process held until then; 0 if unknown.
        made_on: machine and settings, as far as time depends on them.
        note: what a person should know (why the prompt did not fit, for example).
    """

    key: str
    problem_id: str
    sample: int
    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    shared_tokens: int = 0
    new_tokens: int = 0
    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    cached: bool = False
    note: str = ""
    thought: str = ""
    thought_tokens: int = 0
    thought_seconds: float = 0.0
    thought_finished: bool = True
    is_split: bool = False
    wall_seconds: float = 0.0
    peak_megabytes: float = 0.0
    made_on: str = ""


@dataclass(frozen=True)
class Solution:
    """The program found in a generation.

    Attributes:
        program: complete Python source; empty if there was none.
        format_kept: the answer was exactly one closed Python block that parses and
            defines the entry point (for completions: the function was finished).
        syntax_valid: the program parses and is not empty.

    The last two are None where nobody says, as for programs from elsewhere.
    """

    problem_id: str
    sample: int
    program: str
    format_kept: bool | None = None
    syntax_valid: bool | None = None


class Outcome(StrEnum):
    """What became of a program under test."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    RAISED = "raised"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    DIED = "died"
    NO_CODE = "no_code"
    THOUGHT_UNFINISHED = "thought_unfinished"


@dataclass(frozen=True)
class Failure:
    """The first failing input, as short texts for a person."""

    call: str
    expected: str
    actual: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one solution.

    Attributes:
        base: outcome on the base inputs; plus: on base and extra inputs together.
        base_passed, base_total, extra_passed, extra_total: numbers of tests.
        tests_not_run: tests left out after a failure that decided the outcome, by a limit of
            time or since the settings say so. The numbers of passed tests are then lower bounds.
        failure: the first failing input; None if all passed.
        cpu_seconds: of the program's own process.
        isolation: `bubblewrap` or `process`.
        retried: judged a second time, since the machine may have decided the first verdict.
    """

    problem_id: str
    sample: int
    base: Outcome
    plus: Outcome
    base_passed: int
    base_total: int
    extra_passed: int
    extra_total: int
    failure: Failure | None = None
    cpu_seconds: float = 0.0
    isolation: str = ""
    retried: bool = False
    tests_not_run: int = 0

    @property
    def tests_passed(self) -> int:
        """Number of base and extra tests passed."""
        return self.base_passed + self.extra_passed

    @property
    def tests_total(self) -> int:
        """Number of base and extra tests."""
        return self.base_total + self.extra_total

    @property
    def tests_text(self) -> str:
        """How many tests were passed, for a person."""
        bound = "at least " if self.tests_not_run else ""
        return f"{bound}{self.tests_passed} of {self.tests_total} tests passed"


class _OfASample(Protocol):
    """A record of one sample of a problem."""

    @property
    def problem_id(self) -> str: ...

    @property
    def sample(self) -> int: ...


_Record = TypeVar("_Record", bound=_OfASample)


def by_sample(records: Iterable[_Record]) -> dict[tuple[str, int], _Record]:
    """Return generations, solutions or verdicts by their problem and sample."""
    return {(each.problem_id, each.sample): each for each in records}


CHOICES = ("model", "quantization", "prompt", "dataset")
"""The labels that every run has, in the order of its name."""


def run_name(labels: Mapping[str, str]) -> str:
    """Return a run's name: its choices."""
    return " · ".join(labels[each] for each in CHOICES if labels.get(each))


@dataclass(frozen=True)
class RunReport:
    """One run in numbers.

    Attributes:
        metrics: name to number, as logged to MLflow and kept in `metrics.json`.
        folder: the run's folder.
        labels: what tells this run from its siblings (model, quantization, prompt, ...).
        note: what a reader of the numbers has to know.
    """

    metrics: dict[str, float]
    folder: Path
    labels: dict[str, str] = field(default_factory=dict)
    note: str = ""
