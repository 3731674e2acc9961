"""Several engines over one model, each in a thread of its own with its share of the jobs.

One engine on all cores reads the weights once per step for all its sequences, which is what
counts where they have to come from memory. Where a core's cache holds them it is the other
way about: threads that wait for each other several times per layer lose more than they share,
and few sequences per core keep the KV cache near. docs/decisions/generation.md has figures.

Which job goes to which lane depends on the jobs alone and not on who happens to be faster:
so two runs give the same bytes even where llama.cpp's rounding depends on the company.

Runs in the worker process only.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from itertools import groupby

from experiments.backends.llama_cpp.engine import Counters, Engine, Settings
from experiments.backends.llama_cpp.model import Model
from experiments.backends.llama_cpp.samplers import Sampler
from experiments.backends.llama_cpp.sequence import Job, Written

SECONDS_BETWEEN_NEWS = 0.3

Message = Written | BaseException | int
"""What a lane says: a finished text, why it failed, or how many threads it needs no more."""


class Lanes:
    """Writes many texts at once with one model; see `Engine`.

    Args:
        model: loaded.
        settings: of all lanes together, which share sequences and threads out among them.
        count: of lanes; no more than sequences, nor than threads.

    Attributes:
        active: sequences that have a place just now, for each lane.
        busy_threads: of the lanes that have something left to do.
    """

    def __init__(self, model: Model, settings: Settings, count: int) -> None:
        self.active = [0] * count
        self.busy_threads = 0
        self._threads = [_part(settings.threads, count, lane) for lane in range(count)]
        self._engines = [
            Engine(
                model,
                replace(settings, parallel=_part(settings.parallel, count, lane), threads=threads),
            )
            for lane, threads in enumerate(self._threads)
        ]

    @property
    def counters(self) -> Counters:
        """What all lanes did since `write` was called."""
        return together([engine.counters for engine in self._engines])

    def write(
        self, jobs: list[Job], sampler: Sampler, on_news: Callable[[], None]
    ) -> Iterator[Written]:
        """Yield what was written, each as soon as it is finished.

        Args:
            jobs: jobs with equal prompts should follow each other.
            sampler: how tokens are chosen.
            on_news: called some three times per second, and when a lane has come to its end.

        Raises:
            EngineError: llama.cpp failed. What was finished before was yielded.
        """
        said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        shares = shared_out(jobs, len(self._engines))
        for lane, share in enumerate(shares):
            work = partial(self._run, lane, share, sampler, said.put)
            threading.Thread(target=work, daemon=True).start()
        running = len(shares)
        self.busy_threads = sum(self._threads)
        news_at = time.monotonic() + SECONDS_BETWEEN_NEWS
        while running:
            try:
                message = said.get(timeout=max(0.0, news_at - time.monotonic()))
            except queue.Empty:
                on_news()
                news_at = time.monotonic() + SECONDS_BETWEEN_NEWS
                continue
            if isinstance(message, int):
                running -= 1
                self.busy_threads -= message
                on_news()
            elif isinstance(message, Written):
                yield message
            else:
                raise message

    def close(self) -> None:
        """Free the contexts."""
        for engine in self._engines:
            engine.close()

    def _run(
        self, lane: int, jobs: list[Job], sampler: Sampler, say: Callable[[Message], None]
    ) -> None:
        def on_step(active: int) -> None:
            self.active[lane] = active

        try:
            for written in self._engines[lane].write(jobs, sampler, on_step):
                say(written)
            say(self._threads[lane])
        except BaseException as error:
            say(error)


def together(lanes: list[Counters]) -> Counters:
    """Return what lanes did that worked side by side.

    It took as long as the slowest; reading and decoding share that as they share all seconds.
    """
    total = Counters(
        **{each.name: sum(getattr(lane, each.name) for lane in lanes) for each in fields(Counters)}
    )
    seconds = total.prefill_seconds + total.decode_seconds
    longest = max(lane.prefill_seconds + lane.decode_seconds for lane in lanes)
    if seconds:
        total.prefill_seconds *= longest / seconds
        total.decode_seconds *= longest / seconds
    return total


def shared_out(jobs: list[Job], lanes: int) -> list[list[Job]]:
    """Return the jobs of each lane: samples of a prompt together, but for the last prompts.

    Those that do not come out even are shared out sample by sample. Problems often come
    sorted by difficulty, so neighbours go to different lanes.
    """
    prompts = [list(group) for _, group in groupby(jobs, key=lambda job: job.text)]
    even = len(prompts) - len(prompts) % lanes
    parts = prompts[:even] + [[job] for prompt in prompts[even:] for job in prompt]
    return [[job for part in parts[lane::lanes] for job in part] for lane in range(lanes)]


def _part(whole: int, lanes: int, lane: int) -> int:
    """Return a lane's part of what is shared out as evenly as whole numbers allow."""
    return whole // lanes + (lane < whole % lanes)
