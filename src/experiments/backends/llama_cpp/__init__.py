"""Runs a GGUF of this disk with llama.cpp, many prompts at once, in a process of its own.

The parent renders and keys (no model needed), `host` keeps the process, `worker` is its main
program, and `engine` does the work there.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.backends import Memory, Progress
from experiments.backends.keys import requests_for
from experiments.backends.llama_cpp import host, memory
from experiments.backends.llama_cpp.build import build
from experiments.backends.llama_cpp.template import TODAY, ChatTemplate
from experiments.environment import machine
from experiments.errors import ConfigError, WeightsError, did_you_mean
from experiments.extract import thoughts
from experiments.records import FinishReason, Generation, Prompt, Request, Thinking, Weights
from experiments.schema import Sampling

if TYPE_CHECKING:
    from experiments.stats.divergence import Scores

KV_TYPES = ("f16", "q8_0", "q4_0", "f32", "bf16")

DIFFUSION = ("dream", "llada", "llada-moe", "rnd1")
ENCODERS = (
    *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert"),
    *("jina-bert-v2", "jina-bert-v3", "gemma-embedding", "llama-embed", "t5", "t5encoder", "clip"),
)
"""Architectures of llama.cpp that cannot be decoded token by token."""

AUTOMATIC = ("parallel", "threads", "context_tokens")
"""Settings that may be `auto`."""

USUAL_CONTEXT, USUAL_PROMPT = 4096, 2048
"""Tokens of a context by default, and those that an automatic one leaves for the prompt."""

log = logging.getLogger(__name__)


class LlamaCpp:
    """A backend that runs a GGUF.

    Args:
        weights: the file, and what its header says.
        thinking: how the model is asked to think before it answers.
        parallel: sequences decoded at once; `auto` by cores, memory and the model's KV size.
        threads: threads of llama.cpp; `auto` is one per core.
        context_tokens: most tokens of one prompt and its answer; `auto` has room for the longest
            answer and a prompt of usual length. The model's own limit caps it.
        batch_tokens: most tokens in one call of llama.cpp.
        micro_batch_tokens: most tokens in one pass through the model.
        flash_attention: use llama.cpp's fused attention.
        kv_type: type of the numbers in the KV cache: f16, q8_0, q4_0, f32 or bf16.
        stop: texts that end a generation.
        stop_when_complete: end where the asked answer is complete.
        memory_map: map the file instead of reading it.

    Raises:
        ConfigError: a setting makes no sense.
        BackendError: llama.cpp is not installed.
    """

    needs_weights: ClassVar[bool] = True

    def __init__(
        self,
        weights: Weights,
        thinking: Thinking | None = None,
        parallel: int | str = "auto",
        threads: int | str = "auto",
        context_tokens: int | str = "auto",
        batch_tokens: int = 512,
        micro_batch_tokens: int = 512,
        flash_attention: bool = False,
        kv_type: str = "f16",
        stop: Sequence[str] = (),
        stop_when_complete: bool = True,
        memory_map: bool = True,
    ) -> None:
        if kv_type not in KV_TYPES:
            raise ConfigError(
                f"There is no backend.kv_type '{kv_type}'", did_you_mean(kv_type, KV_TYPES)
            )
        if kv_type in ("q8_0", "q4_0") and not flash_attention:
            raise ConfigError(
                f"backend.kv_type={kv_type} works with flash attention only",
                "Add backend.flash_attention=true.",
            )
        batch_tokens = _positive("batch_tokens", batch_tokens)
        micro_batch_tokens = _positive("micro_batch_tokens", micro_batch_tokens)
        self._weights = weights
        self._thinking = thinking or Thinking()
        self._asked_parallel = parallel if parallel == "auto" else _positive("parallel", parallel)
        self._asked_context = (
            context_tokens
            if context_tokens == "auto"
            else _positive("context_tokens", context_tokens)
        )
        self._settings: dict[str, Any] = {
            "threads": machine.cores() if threads == "auto" else _positive("threads", threads),
            "batch_tokens": batch_tokens,
            "micro_batch_tokens": micro_batch_tokens,
            "flash_attention": bool(flash_attention),
            "kv_type": kv_type,
            "stop": [str(text) for text in stop if text],
            "stop_when_complete": bool(stop_when_complete),
            "memory_map": bool(memory_map),
        }
        self._size_up(Sampling())
        self._build = build()
        self._totals: defaultdict[str, float] = defaultdict(float)

    def _size_up(self, sampling: Sampling) -> None:
        """Settle what depends on how long answers may be: context, sequences at once, batches."""
        settings, weights = self._settings, self._weights
        context_tokens = self._asked_context
        if context_tokens == "auto":
            context_tokens = max(USUAL_CONTEXT, sampling.max_tokens + USUAL_PROMPT)
        assert isinstance(context_tokens, int)
        if weights.context_tokens:
            context_tokens = min(context_tokens, weights.context_tokens)
        parallel = self._asked_parallel
        if parallel == "auto":
            parallel = memory.parallel(weights, context_tokens, settings["kv_type"])
        assert isinstance(parallel, int)
        batch_tokens = max(settings["batch_tokens"], parallel)
        self._settings = settings | {
            "parallel": parallel,
            "context_tokens": context_tokens,
            "batch_tokens": batch_tokens,
            "micro_batch_tokens": min(settings["micro_batch_tokens"], batch_tokens),
        }

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[Request]:
        """Return requests in the model's own chat template, keyed; see `Backend`.

        Raises:
            WeightsError: there is no chat template for chat prompts, or it fails; or no model of
                this architecture can be decoded.
        """
        self._refuse_architecture()
        self._size_up(sampling)
        if sampling.max_tokens >= self._settings["context_tokens"]:
            log.warning(
                "Answers may have %d tokens, and the context has room for %d with the prompt: "
                "longer ones are cut off there (sampling.max_tokens, backend.context_tokens).",
                sampling.max_tokens,
                self._settings["context_tokens"],
            )
        is_chat = any(prompt.messages for prompt in prompts)
        texts = [prompt.completion for prompt in prompts]
        if is_chat:
            template = ChatTemplate(self._weights, self._thinking)
            texts = template.render([prompt.messages for prompt in prompts])
        decides = self._deciding(is_chat)
        return requests_for(zip(prompts, texts, strict=True), sampling, seed, decides)

    def memory(self, requests: Sequence[Request], sampling: Sampling) -> Memory:
        """Return what the weights and the sequences decoded at once take; see `Backend`."""
        longest = max(len(one.text.encode()) for one in requests)  # no token is under a byte
        return self._need(longest + sampling.max_tokens, self._settings["parallel"])

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_progress: Progress | None = None,
    ) -> Iterator[Generation]:
        """Yield generations as they are finished; see `Backend`.

        Raises:
            BackendError: not enough memory, or llama.cpp failed or died.
        """
        if not requests:
            return
        settings, identity = self._identity()
        if not host.is_loaded(identity):
            host.close_worker()  # whose memory counts as free in what follows
            if refusal := self.memory(requests, sampling).refusal:
                raise refusal
        energy = machine.energy_joules()
        began = time.perf_counter()
        worker, is_fresh = host.worker_for(identity, str(self._weights.path), settings)
        loaded = time.perf_counter()
        wanted = {one.key: one for one in requests}
        jobs = [
            {
                "key": one.key,
                "text": one.text,
                "seed": one.seed,
                "is_chat": bool(one.prompt.messages),
                "entry_point": one.prompt.entry_point,
            }
            for one in wanted.values()
        ]
        made = new_tokens = 0
        try:
            for kind, reply in worker.complete(jobs, asdict(sampling)):
                if kind == "completion":
                    made += 1
                    new_tokens += reply["new_tokens"]
                    reply["peak_megabytes"] = worker.peak_bytes / 1e6
                    yield _generation(wanted[reply.pop("key")], reply)
                elif on_progress is not None:
                    on_progress(_in_words(reply))
            if on_progress is not None:
                on_progress(f"{new_tokens / (time.perf_counter() - loaded):.0f} tokens/s")
        finally:
            totals = self._totals
            totals["load_seconds"] += worker.load_seconds if is_fresh else 0.0
            totals["generation_seconds"] += time.perf_counter() - began
            totals["generations_made"] += made
            joules = machine.energy_between(energy, machine.energy_joules())
            if joules is not None:
                totals["energy_joules"] += joules
            totals["peak_memory_bytes"] = max(totals["peak_memory_bytes"], worker.peak_bytes)
            for name, value in worker.counters.items():
                totals[name] += value

    def evaluate(
        self,
        texts: Sequence[tuple[Request, str]],
        rows: Path,
        is_reference: bool,
        on_size: Callable[[Mapping[str, Any]], None],
        on_text: Callable[[], None],
    ) -> tuple[dict[str, Scores], int]:
        """Return how likely each token of some answers is, by problem, and the most memory held.

        The model only reads. It is loaded in the place of the one before, so that two are never
        in memory.

        Args:
            texts: requests, each with an answer to it.
            rows: file that holds the reference's distributions.
            is_reference: this model is the reference, and the file is written.
            on_size: is called before the work begins, with the problems whose text does not fit
                into the context (`unfit`), and the `tokens` and `bytes` of the file.
            on_text: is called after each text.

        Returns:
            The scores, and the bytes of memory of the model's process.

        Raises:
            BackendError: not enough memory, or llama.cpp failed or died.
        """
        from experiments.stats.divergence import Scores

        settings, identity = self._identity()
        writable = [rows.parent] if is_reference else []
        identity = (*identity, *map(str, writable))
        if not host.is_loaded(identity):
            host.close_worker()
            longest = max(len(one.text.encode()) + len(answer.encode()) for one, answer in texts)
            if refusal := self._need(longest, 1).refusal:
                raise refusal
        worker, _ = host.worker_for(identity, str(self._weights.path), settings, writable)
        work = [
            {
                "key": one.problem_id,
                "prompt": one.text,
                "answer": answer,
                "is_chat": bool(one.prompt.messages),
            }
            for one, answer in texts
        ]
        found = {}
        with closing(worker.evaluate(work, str(rows), is_reference)) as replies:
            for kind, reply in replies:
                if kind == "size":
                    on_size(reply)
                else:
                    problem = reply.pop("key")
                    found[problem] = Scores(**reply)
                    on_text()
        return found, worker.peak_bytes

    def describe(self) -> dict[str, Any]:
        """Return the build, the settings and the weights' digest."""
        return {
            "name": "llama_cpp",
            "build": self._build,
            **self._settings,
            "thinking": asdict(self._thinking),
            "today": TODAY,
            "weights_sha256": self._weights.sha256,
        }

    def statistics(self) -> dict[str, float]:
        """Return speeds, times and memory of what was generated since construction.

        Generations from the store are not in it. Where prompts were prefilled while others were
        decoded, the time is split between the two by their tokens. Energy is the whole
        processor's: what else ran meanwhile is in it.
        """
        totals = self._totals
        if not totals:
            return {}
        numbers = {
            "load_seconds": totals["load_seconds"],
            "generation_seconds": totals["generation_seconds"],
            "peak_memory_megabytes": totals["peak_memory_bytes"] / 1e6,
        }
        for name, tokens, seconds in (
            ("prefill_tokens_per_second", "prefill_tokens", "prefill_seconds"),
            ("decode_tokens_per_second", "decode_tokens", "decode_seconds"),
        ):
            if totals.get(seconds):
                numbers[name] = totals[tokens] / totals[seconds]
        for name in ("prefill_tokens", "shared_tokens", "decode_tokens"):
            if name in totals:
                numbers[name] = totals[name]
        if "energy_joules" in totals:
            numbers["energy_joules"] = totals["energy_joules"]
        return numbers

    def _identity(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the settings of the model's process, and what it is known by."""
        settings = self._settings | {
            "thought_open": self._thinking.open,
            "thought_close": self._thinking.close,
            "thought_tokens": self._thinking.budget,
        }
        return settings, (self._weights.sha256, str(self._weights.path), repr(settings))

    def _refuse_architecture(self) -> None:
        name = self._weights.architecture
        kind = (
            "a diffusion model" if name in DIFFUSION else "an encoder" if name in ENCODERS else ""
        )
        if kind:
            raise WeightsError(
                f"{self._weights.path} is {kind} ({name}), which does not write from left to right",
                "Choose a model that does: type experiments models for a list.",
            )

    def _deciding(self, is_chat: bool) -> dict[str, Any]:
        """Return the settings that decide a text, its weights and llama.cpp's build."""
        without = {"threads", "memory_map"}  # no number depends on them
        if self._settings["flash_attention"]:
            without.discard("threads")  # which split the sums
        decides = {
            "backend": "llama_cpp",
            "weights": self._weights.sha256,
            "build": self._build,
            **{name: value for name, value in self._settings.items() if name not in without},
        }
        thinking = self._thinking
        may_think = thoughts.in_template(self._weights.chat_template or "")
        if is_chat and (may_think or thinking.close or thinking.budget):
            decides["thoughts"] = [thinking.open, thinking.close, thinking.budget]
        return decides

    def _need(self, longest: int, sequences: int) -> Memory:
        """Return what sequences of so many tokens, or fewer, take beside each other."""
        settings = self._settings
        tokens = min(settings["context_tokens"], longest)
        at_once = 0 if settings["flash_attention"] else settings["micro_batch_tokens"]
        return memory.need(self._weights, tokens, sequences, settings["kv_type"], at_once)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        choices = "auto or a number from 1" if name in AUTOMATIC else "1 or more"
        raise ConfigError(f"backend.{name} is {value!r}", f"Set it to {choices}.")
    return value


def _generation(wanted: Request, reply: dict[str, Any]) -> Generation:
    reason = FinishReason(reply.pop("finish_reason"))
    known = (wanted.key, wanted.problem_id, wanted.sample)
    return Generation(*known, finish_reason=reason, is_split=True, **reply)


def _in_words(progress: dict[str, Any]) -> str:
    parts = [
        f"{progress[name]:.0f} tokens/s {what}"
        for name, what in (("decode_per_second", "decoded"), ("prefill_per_second", "prefilled"))
        if progress[name]
    ]
    return " · ".join([*parts, f"{progress['active']} at once"])
