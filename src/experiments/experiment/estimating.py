"""How long generating takes and what it costs, before it begins: arithmetic alone.

An answer's length is that of earlier answers: of the same model to the same prompts and
problems, else to others, else `USUAL_TOKENS`. The time is taken from the first of these that
there is:

1. Earlier completions of the same file with the same settings on this machine: their share of
   the wall clock, for each completion where prompts and problems are the same, else for each
   token.
2. What this machine was measured to do with weights of these types (`--measure`): see `modelled`.
3. The same model of time with figures of a usual machine, which is a guess.

How `modelled` sees it: prefilling is arithmetic, so it takes as long for each weight and each
token of a prompt, and what all prompts begin with is prefilled once. A step of decoding reads
every weight once, whatever the number of sequences, and computes with it for each of them. So its
time for one weight is measured for 1, 2, 4, 8 and 16 sequences, and lies on lines between them.
To that comes attention, in proportion to the numbers of the KV cache that a step reads. Of a
mixture of experts, a step reads those experts that any of its sequences needs, and each computes
for its share of the sequences.

An estimate comes with a factor: what will be is within it, up or down, nine times in ten as far
as is known. Where two uncertain things are multiplied, their factors are taken to be independent.
Loading, fetching, quantizing and judging are not in it: minutes, where generating takes hours.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.weights.workload import Workload

USUAL_TOKENS = 300
"""Of an answer, where no earlier one tells: a block of code and some words around it."""

USUAL_THOUGHT_TOKENS = 3000
"""Of a thought before it, likewise."""

BYTES_PER_TOKEN = 3.5
"""Of prompts: English and Python, in vocabularies of 32,000 tokens and more."""

USUAL_BYTES_PER_SECOND = 20e9
"""From memory, of a laptop."""

USUAL_SECONDS_PER_WEIGHT = 2e-11
"""Arithmetic of one core, for one weight and one token; see docs/decisions/generation.md."""

USUAL_ATTENTION_SECONDS = 4e-10
"""Of one core, for one number in the KV cache, with several query heads for each KV head."""

SERVER_SECONDS_PER_TOKEN = 1 / 60
"""Of a model behind a server, in one answer."""

OF_SAME, OF_OTHERS, MEASURED, GUESSED = 1.1, 1.3, 1.3, 2.5
"""Factors of a time: from the same question, from others, from measuring, from nothing."""

LENGTH_OF_SAME, LENGTH_OF_OTHERS, LENGTH_GUESSED = 1.05, 1.5, 2.0
"""Factors of a length of answers, likewise."""


@dataclass(frozen=True)
class Estimate:
    """A number that is likely between `value / factor` and `value * factor`."""

    value: float
    factor: float = 1.0

    @property
    def low(self) -> float:
        """The least that is likely."""
        return self.value / self.factor

    @property
    def high(self) -> float:
        """The most that is likely."""
        return self.value * self.factor

    def times(self, other: Estimate) -> Estimate:
        """Return the product of two independent estimates."""
        spread = math.hypot(math.log(self.factor), math.log(other.factor))
        return Estimate(self.value * other.value, math.exp(spread))


def total(estimates: Iterable[Estimate]) -> Estimate:
    """Return a sum; what is wrong with one may be wrong with all."""
    found = list(estimates)
    value = math.fsum(each.value for each in found)
    high = math.fsum(each.high for each in found)
    return Estimate(value, high / value if value else 1.0)


@dataclass(frozen=True)
class Past:
    """Earlier completions of one model at one level, in sums.

    Attributes:
        model, level, prompt, dataset: labels of their run.
        sha256: of the weights; empty behind a server.
        made_on: machine and settings, as in `Generation`.
        completions: their number.
        prompt_tokens, new_tokens: of all.
        seconds: of the wall clock, of those that were timed.
        timed, timed_tokens: number and new tokens of those.
    """

    model: str
    level: str
    prompt: str
    dataset: str
    sha256: str = ""
    made_on: str = ""
    completions: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    timed: int = 0
    timed_tokens: int = 0


@dataclass(frozen=True)
class Job:
    """What a job asks, as far as time depends on it.

    Attributes:
        model, level, prompt, dataset, sha256, made_on: as in `Past`; sha256 is empty where the
            file is not here.
        completions: to be generated.
        prompt_bytes, shared_bytes: of all prompts, and that each of them begins with.
        most_tokens: of one answer.
        parallel: completions at once.
        kv_values_per_token: numbers in the KV cache.
        thinks: the model thinks before it answers.
    """

    model: str
    level: str
    prompt: str
    dataset: str
    sha256: str
    made_on: str
    completions: int
    prompt_bytes: int
    shared_bytes: int
    most_tokens: int
    parallel: int = 1
    kv_values_per_token: int = 0
    thinks: bool = False

    def asked_before(self, past: Past) -> bool:
        """Return whether earlier completions answered the same question."""
        return (past.model, past.prompt, past.dataset) == (self.model, self.prompt, self.dataset)

    def ran_before(self, past: Past) -> bool:
        """Return whether earlier completions took the time that these will take."""
        same = past.sha256 == self.sha256 if self.sha256 else past.level == self.level
        return same and past.model == self.model and past.made_on == self.made_on


@dataclass(frozen=True)
class Cost:
    """What weights of one type cost on a machine.

    Attributes:
        prefill: seconds for one weight and one token of a prompt.
        steps: sequences decoded at once → seconds of a step for one weight.
        attention: seconds for one number of the KV cache that a step reads.
        is_measured: on this machine; else it is a guess.
    """

    prefill: float
    steps: Mapping[int, float]
    attention: float
    is_measured: bool = True

    @classmethod
    def of(cls, measured: Mapping[str, Any]) -> Cost:
        """Return what was measured, from plain data."""
        steps = {int(count): float(seconds) for count, seconds in measured["steps"].items()}
        return cls(measured["prefill"], steps, measured["attention"])

    def step(self, sequences: float) -> float:
        """Return the seconds of a step for one weight, on lines between those that are known."""
        known = sorted(self.steps.items())
        if sequences <= known[0][0] or len(known) == 1:
            return known[0][1]
        upper = next((n for n, (count, _) in enumerate(known) if count >= sequences), -1)
        (a, at_a), (b, at_b) = known[upper - 1], known[upper]
        return at_a + (at_b - at_a) * (sequences - a) / (b - a)


def usual(bits: float, cores: int) -> Cost:
    """Return what weights of so many bits cost on a usual machine of so many cores."""
    reading, computing = bits / 8 / USUAL_BYTES_PER_SECOND, USUAL_SECONDS_PER_WEIGHT / cores
    steps = {count: reading + count * computing for count in (1, 16)}
    return Cost(computing, steps, USUAL_ATTENTION_SECONDS / cores, is_measured=False)


def new_tokens(job: Job, past: Collection[Past]) -> Estimate:
    """Return the length of an answer in tokens, its thought included."""
    of_model = [each for each in past if each.model == job.model and each.completions]
    for chosen, factor in (
        ([each for each in of_model if job.asked_before(each)], LENGTH_OF_SAME),
        (of_model, LENGTH_OF_OTHERS),
    ):
        if count := sum(each.completions for each in chosen):
            mean = sum(each.new_tokens for each in chosen) / count
            return Estimate(max(1.0, min(mean, job.most_tokens)), factor + 1 / math.sqrt(count))
    guess = USUAL_TOKENS + (USUAL_THOUGHT_TOKENS if job.thinks else 0)
    return Estimate(min(guess, job.most_tokens), LENGTH_GUESSED)


def prompt_tokens(job: Job, past: Collection[Past]) -> float:
    """Return the length of a prompt in tokens."""
    same = [each for each in past if job.asked_before(each) and each.prompt_tokens]
    if count := sum(each.completions for each in same):
        return sum(each.prompt_tokens for each in same) / count
    return job.prompt_bytes / max(1, job.completions) / BYTES_PER_TOKEN


def remembered(job: Job, past: Collection[Past]) -> Estimate | None:
    """Return the seconds of a job by what the same file took before; None if nothing did."""
    timed = [each for each in past if job.ran_before(each) and each.seconds > 0]
    same = [each for each in timed if job.asked_before(each)]
    if count := sum(each.timed for each in same):
        each_takes = math.fsum(each.seconds for each in same) / count
        return Estimate(job.completions * each_takes, OF_SAME + 1 / math.sqrt(count))
    tokens = sum(each.timed_tokens for each in timed)
    if not tokens:
        return None
    each_takes = math.fsum(each.seconds for each in timed) / tokens
    count = sum(each.timed for each in timed)
    speed = Estimate(job.completions * each_takes, OF_OTHERS + 1 / math.sqrt(count))
    return speed.times(new_tokens(job, past))


def modelled(
    job: Job, work: Workload, costs: Mapping[str, Cost], past: Collection[Past]
) -> Estimate:
    """Return the seconds of a job by what weights cost; see the top of this module.

    Args:
        job: what is asked.
        work: the weights that a token passes through.
        costs: of each type of tensor in it.
        past: earlier completions, for lengths.
    """
    if not job.completions:
        return Estimate(0.0)
    answer, prompt = new_tokens(job, past), prompt_tokens(job, past)
    at_once = min(job.parallel, job.completions)
    shared = prompt * job.shared_bytes * job.completions / max(1, job.prompt_bytes)
    prefilled = shared + job.completions * (prompt - shared)
    active = [*work.dense.items(), *((kind, n * work.used) for kind, n in work.experts.items())]
    prefill = prefilled * math.fsum(count * costs[kind].prefill for kind, count in active)
    read = 1 - (1 - work.used) ** at_once  # the share of experts that any sequence needs
    each_has = at_once * work.used / read
    step = math.fsum(count * costs[kind].step(at_once) for kind, count in work.dense.items())
    step += math.fsum(
        count * read * costs[kind].step(each_has) for kind, count in work.experts.items()
    )
    length = prompt + answer.value / 2
    attention = max((cost.attention for cost in costs.values()), default=0.0)
    step += at_once * length * job.kv_values_per_token * attention
    decode = step * job.completions / at_once
    known = all(costs[kind].is_measured for kind, _ in active)
    factor = MEASURED if known else GUESSED
    decoding = Estimate(decode, factor).times(answer)
    seconds = prefill + decoding.value
    # What is prefilled is known better than how long answers will be.
    high = math.hypot(prefill * (factor - 1), decoding.high - decoding.value) + seconds
    return Estimate(seconds, high / seconds if seconds else 1.0)


def behind_server(job: Job, past: Collection[Past]) -> Estimate:
    """Return the seconds of a job whose model is behind a server, asked several at once."""
    answer = new_tokens(job, past)
    speed = job.completions * SERVER_SECONDS_PER_TOKEN / max(1, min(job.parallel, job.completions))
    return Estimate(speed, GUESSED).times(answer)


def dollars(job: Job, prices: tuple[float, float], past: Collection[Past]) -> Estimate:
    """Return what a job's tokens cost.

    Args:
        job: what is asked.
        prices: of a prompt token and of a new one.
        past: earlier completions, for lengths.
    """
    answer = new_tokens(job, past)
    prompts = job.completions * prompt_tokens(job, past) * prices[0]
    answers = job.completions * answer.value * prices[1]
    value = prompts + answers
    return Estimate(value, (prompts + answers * answer.factor) / value if value else 1.0)


def gathered(pasts: Sequence[Past]) -> tuple[Past, ...]:
    """Return earlier completions, those of equal runs in one sum."""
    sums: dict[tuple[str, ...], Past] = {}
    for each in pasts:
        key = (each.model, each.level, each.prompt, each.dataset, each.sha256, each.made_on)
        so_far = sums.get(key, Past(*key))
        sums[key] = Past(
            *key,
            completions=so_far.completions + each.completions,
            prompt_tokens=so_far.prompt_tokens + each.prompt_tokens,
            new_tokens=so_far.new_tokens + each.new_tokens,
            seconds=so_far.seconds + each.seconds,
            timed=so_far.timed + each.timed,
            timed_tokens=so_far.timed_tokens + each.timed_tokens,
        )
    return tuple(sums.values())
