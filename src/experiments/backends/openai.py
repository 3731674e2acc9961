"""Asks a model behind an OpenAI-compatible server: a service, or a server of your own.

Requests have the same keys, go through the same store and give the same records as those of
`llama_cpp`. What a server is known for (its name, its address) is part of the key, so that
answers of two servers are never taken for each other.

The key is read from the environment when the first request is made. It is in no setting, and
it is cut out of every message that is passed on.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from experiments.backends import Memory, Progress
from experiments.backends.keys import requests_for
from experiments.backends.post import ServerError, Trouble, post
from experiments.environment.machine import is_here
from experiments.errors import BackendError, ConfigError
from experiments.extract import thoughts
from experiments.extract.completeness import watcher_for
from experiments.records import FinishReason, Generation, Prompt, Request, Thinking, Weights
from experiments.schema import Sampling

UNREACHED_SECONDS = 10.0
"""A server that was never reached is given up after so long."""

MOST_TOKENS = 1 << 40
"""Of one answer, as a server counts them; no count is larger."""

EFFORT = "reasoning_effort"
"""The variable of thinking that services take as a field of the request."""

OPTIONAL = ("temperature", "top_p", "seed")
"""Fields of a request that some servers refuse, and that can be left out then."""

log = logging.getLogger(__name__)

T = TypeVar("T", str, int, list, dict)  # type: ignore[type-arg]


class OpenAI:
    """A backend that asks a server.

    Args:
        weights: ignored; the server has its own.
        thinking: how the model is asked to think: `reasoning_effort` is a field of the request,
            other variables go to the server's chat template (`chat_template_kwargs`).
        model: the model's name at the server.
        base_url: address of the server, up to `/v1`.
        key_variable: environment variable with the key. A server of this machine needs none.
        usd_per_million_input, usd_per_million_output: prices of tokens; null: not known.
        omit: fields of the request that the server refuses, and that are not sent.
        name: the model's name in the configuration, for errors.
        concurrency: requests at once.
        timeout_seconds: the longest that one request may take.
        retries: how often one request is sent again, after 429, 5xx, a timeout or a broken
            connection.
        first_delay_seconds: wait before the first retry; doubled each time, up to a minute. What
            the server asks for (`Retry-After`) comes first.
        stop: texts that end a generation.
        stop_when_complete: cut the text where the asked answer is complete, as `llama_cpp`
            stops there. All tokens are paid for all the same.
        extra: further fields of the request.

    Raises:
        ConfigError: no model, no server, or a setting that makes no sense.
    """

    needs_weights: ClassVar[bool] = False

    def __init__(
        self,
        weights: Weights | None = None,
        thinking: Thinking | None = None,
        model: str | None = None,
        base_url: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        usd_per_million_input: float | None = None,
        usd_per_million_output: float | None = None,
        omit: Sequence[str] = (),
        name: str = "",
        concurrency: int = 4,
        timeout_seconds: float = 300.0,
        retries: int = 8,
        first_delay_seconds: float = 1.0,
        stop: Sequence[str] = (),
        stop_when_complete: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if not model or not base_url:
            missing = "model.api.base_url" if model else "model.api.model"
            raise ConfigError(
                f"backend=openai asks a server, and {missing} of the model '{name}' is not set",
                "For a server of your own: model.api.model=NAME model.api.base_url="
                "http://127.0.0.1:8080/v1. To run it here: backend=llama_cpp.",
            )
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError(
                f"model.api.base_url is '{address.scheme}:…', which is no web address",
                "Write it like http://127.0.0.1:8080/v1",
            )
        if address.username or address.password or address.query:
            raise ConfigError(
                "model.api.base_url holds a user, a password or a query, which would be logged",
                f"Put the key into the environment variable {key_variable}.",
            )
        if not key_variable.isidentifier():
            raise ConfigError(
                f"model.api.key_variable is {key_variable!r}, which names no variable",
                "It is the name of an environment variable, such as OPENAI_API_KEY.",
            )
        for key, value, least in (
            ("concurrency", concurrency, 1),
            ("timeout_seconds", timeout_seconds, 0.1),
            ("retries", retries, 0),
            ("first_delay_seconds", first_delay_seconds, 0),
        ):
            if value < least:
                raise ConfigError(f"backend.{key}={value} is too small", f"The least is {least}.")
        self._thinking = thinking or Thinking()
        if self._thinking.budget is not None:
            raise ConfigError(
                "thinking_budget works with backend=llama_cpp, which closes the thought itself",
                "Leave it out. A server that has such a limit takes it as a field of its own: "
                "backend.extra={FIELD: TOKENS}.",
            )
        self._model = model
        self._base_url = base_url
        self._is_here = is_here(address.hostname)
        self._key_variable = key_variable
        self._prices = (usd_per_million_input, usd_per_million_output)
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._first_delay_seconds = first_delay_seconds
        self._stop = [str(text) for text in stop if text]
        self._stop_when_complete = bool(stop_when_complete)
        self._extra = dict(extra or {})
        self._omit = set(map(str, omit))
        self._reached = False
        self._began = 0.0
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[Request]:
        """Return requests; the text of a chat is its messages, in the server's template later."""
        _warn_of_unsent(sampling)
        decides: dict[str, Any] = {
            "backend": "openai",
            "base_url": self._base_url,
            "model": self._model,
            "stop": self._stop,
            "stop_when_complete": self._stop_when_complete,
            "extra": self._extra,
        }
        if self._thinking.arguments:
            decides["thinking"] = dict(self._thinking.arguments)
        if self._omit:
            decides["omit"] = sorted(self._omit)
        texts = [(prompt, self._text(prompt)) for prompt in prompts]
        return requests_for(texts, sampling, seed, decides)

    def memory(self, requests: Sequence[Request], sampling: Sampling) -> Memory | None:
        """Return None: the model is elsewhere.

        Raises:
            BackendError: the key is not in the environment.
        """
        self._key()
        return None

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_progress: Progress | None = None,
    ) -> Iterator[Generation]:
        """Yield generations as they come; see `Backend`.

        Raises:
            BackendError: the server cannot be reached, refuses, or fails for too long.
        """
        if not requests:
            return
        key = self._key()
        began = time.perf_counter()
        self._given_up.clear()
        self._began = began
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="openai")
        try:
            waiting = iter(requests)
            running: set[Future[Generation]] = set()
            while True:
                # Only as many as run: after a failure nothing more is asked or paid for.
                for wanted in waiting:
                    running.add(pool.submit(self._answer, key, wanted, sampling, began))
                    if len(running) >= self._concurrency:
                        break
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                failed = [future for future in done if future.exception()]
                for future in done:
                    if future not in failed:
                        yield self._counted(future.result())
                if failed:
                    self._given_up.set()  # what runs may end, and is not lost
                    for future in running:
                        if future.exception() is None:
                            yield self._counted(future.result())
                    failed[0].result()
                if on_progress is not None:
                    on_progress(self._in_words(time.perf_counter() - began))
        finally:
            self._given_up.set()  # no further retries
            pool.shutdown(wait=True, cancel_futures=True)
            self._add("generation_seconds", time.perf_counter() - began)

    def describe(self) -> dict[str, Any]:
        """Return the server and the settings; never the key."""
        return {
            "name": "openai",
            "model": self._model,
            "base_url": self._base_url,
            "key_variable": self._key_variable,
            "usd_per_million_input": self._prices[0],
            "usd_per_million_output": self._prices[1],
            "concurrency": self._concurrency,
            "timeout_seconds": self._timeout_seconds,
            "stop": self._stop,
            "stop_when_complete": self._stop_when_complete,
            "extra": self._extra,
            "thinking": asdict(self._thinking),
            "omit": sorted(self._omit),
        }

    def statistics(self) -> dict[str, float]:
        """Return tokens, money and retries of what was asked since construction."""
        numbers = dict(self._totals)
        if numbers and None not in self._prices and "answers_without_usage" not in numbers:
            numbers["cost_usd"] = self._usd()
        return numbers

    def _usd(self) -> float:
        read, written = self._prices
        totals = self._totals
        return (totals["prompt_tokens"] * (read or 0) + totals["new_tokens"] * (written or 0)) / 1e6

    def _key(self) -> str:
        key = os.environ.get(self._key_variable, "").strip()
        if not key and not self._is_here:
            raise BackendError(
                f"{self._base_url} needs a key, and the environment variable "
                f"{self._key_variable} is not set",
                f"Type: export {self._key_variable}=...",
            )
        if not key.isascii() or any(character.isspace() for character in key):
            raise BackendError(
                f"The environment variable {self._key_variable} holds no key: there are letters or "
                "blanks in it that no key has",
                "Copy the key once more.",
            )
        return key

    def _answer(self, key: str, wanted: Request, sampling: Sampling, began: float) -> Generation:
        """Return the answer to one request, asked again where that may help."""
        attempt = 0
        while True:
            asked, omitted = time.perf_counter(), frozenset(self._omit)
            try:
                return self._asked(key, wanted, sampling, asked - began)
            except ServerError as error:
                if error.status == 400:
                    if error.is_too_long:
                        return _too_long(wanted, error.told(key))
                    if self._learned_from(error, omitted):
                        continue
                attempt += 1
                delay = error.delay(attempt, self._first_delay_seconds)
                if attempt > self._retries or not error.may_pass or self._is_lost(error, delay):
                    raise self._refusal(error, key) from None
                self._add("retries", 1)
                told = f"{self._base_url}: {error.told(key)}"
                log.info("%s: asked again in %.0f s.", told, delay)
            if self._given_up.wait(delay):
                raise BackendError("Another request failed")

    def _is_lost(self, error: ServerError, delay: float) -> bool:
        """Tell whether a server was never reached, and not for want of patience."""
        if self._reached or error.trouble is not Trouble.UNREACHED:
            return False
        return time.perf_counter() - self._began + delay > UNREACHED_SECONDS

    def _asked(self, key: str, wanted: Request, sampling: Sampling, waited: float) -> Generation:
        """Ask once."""
        began = time.perf_counter()
        fields = self._fields(wanted, sampling)
        if wanted.prompt.messages:
            fields["messages"] = self._messages(wanted.prompt)
        else:
            fields["prompt"] = wanted.prompt.completion
        path = "/chat/completions" if wanted.prompt.messages else "/completions"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = self._base_url.rstrip("/") + path
        reply = post(url, fields, headers, self._timeout_seconds)
        self._reached = True
        return self._generation(wanted, reply, waited, time.perf_counter() - began)

    def _fields(self, wanted: Request, sampling: Sampling) -> dict[str, Any]:
        """Return the fields of a request, beside what is asked."""
        limit = "max_completion_tokens" if "max_tokens" in self._omit else "max_tokens"
        fields: dict[str, Any] = {
            "model": self._model,
            limit: sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if not sampling.is_greedy:
            # Services take seeds of 63 bits at most, some of 31.
            fields |= {"top_p": sampling.top_p, "seed": wanted.seed & 0x7FFFFFFF}
        if self._stop:
            fields["stop"] = self._stop
        variables = dict(self._thinking.arguments)
        if EFFORT in variables:
            fields[EFFORT] = variables.pop(EFFORT)
        extra = self._extra
        if variables:
            extra = {"chat_template_kwargs": variables, **extra}
        fields |= extra
        return {name: value for name, value in fields.items() if name not in self._omit}

    def _learned_from(self, error: ServerError, omitted: Set[str]) -> bool:
        """Leave out what a refusal names from now on; tell whether that is something new.

        Args:
            error: what the server said.
            omitted: fields that the request lacked already.
        """
        words = str(error)
        if "support" not in words.lower() and "max_completion_tokens" not in words:
            return False
        for field in ("max_tokens", *OPTIONAL):
            if field in omitted or (error.field != field and f"'{field}'" not in words):
                continue
            with self._lock:
                is_new = field not in self._omit
                self._omit.add(field)
            if is_new and field in OPTIONAL:
                log.warning(
                    "%s takes no %s: it is left out, and the model's own holds. "
                    "model.api.omit=[%s] says so from the start.",
                    self._base_url,
                    field,
                    field,
                )
            return True
        return False

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        """Return the turns of a chat, the last with the words that switch thinking on or off."""
        turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
        if self._thinking.switch:
            turns[-1]["content"] += f" {self._thinking.switch}"
        return turns

    def _text(self, prompt: Prompt) -> str:
        """Return what decides a prompt, in a form that a person can read."""
        if not prompt.messages:
            return prompt.completion
        return json.dumps(self._messages(prompt), ensure_ascii=False, indent=1)

    def _generation(self, wanted: Request, reply: Any, waited: float, seconds: float) -> Generation:
        """Return the record of a reply."""
        choices = _of(reply, "choices", list)
        if not choices or not isinstance(choices[0], dict):
            raise BackendError(
                f"{self._base_url} answered without a choice", "Is it an OpenAI-compatible server?"
            )
        choice = choices[0]
        ended = _of(choice, "finish_reason", str)
        reason = FinishReason.TOKEN_LIMIT if ended == "length" else None
        is_usual = ended in ("stop", "length", "")
        note = "" if is_usual else f"The server ended the answer: {ended[:100]}."
        parts = self._parts(choice, ended, bool(wanted.prompt.messages))
        text = parts.answer
        if self._stop_when_complete:
            text, complete = _complete(text, wanted.prompt)
            reason = FinishReason.ANSWER_COMPLETE if complete else reason
        usage = _of(reply, "usage", dict)
        if not usage:  # what it cost is then not known
            self._add("answers_without_usage", 1)
        return Generation(
            key=wanted.key,
            problem_id=wanted.problem_id,
            sample=wanted.sample,
            text=text,
            finish_reason=reason or FinishReason.END_TOKEN,
            prompt_tokens=_of(usage, "prompt_tokens", int),
            new_tokens=_of(usage, "completion_tokens", int),
            queue_seconds=waited,
            decode_seconds=seconds,
            note=note,
            thought=parts.thought,
            thought_tokens=_of(
                _of(usage, "completion_tokens_details", dict), "reasoning_tokens", int
            ),
            thought_finished=parts.is_finished,
            is_split=True,
        )

    def _parts(self, choice: dict[str, Any], ended: str, is_chat: bool) -> thoughts.Parts:
        """Return the thought and the answer, which a server may send apart or in one text."""
        if not is_chat:
            return thoughts.Parts("", _of(choice, "text", str))
        message = _of(choice, "message", dict)
        text = _of(message, "content", str)
        for field in ("reasoning_content", "reasoning"):  # llama-server and vLLM; newer vLLM
            if thought := _of(message, field, str).strip():
                return thoughts.Parts(thought, text, bool(text.strip()) or ended != "length")
        return thoughts.split(text, thoughts.known(self._thinking.open, self._thinking.close))

    def _refusal(self, error: ServerError, key: str) -> BackendError:
        """Return what a server said, in one line, with something to do."""
        kept = "what is done is kept."
        if error.trouble is Trouble.UNUSABLE or 300 <= error.status < 400:
            what = "is no OpenAI-compatible server"
            advice = "Correct model.api.base_url: it ends in /v1 for most."
        elif error.status in (401, 403):
            what = "refuses the key"
            advice = f"Check the environment variable {self._key_variable}."
        elif error.status == 404:
            what = f"has no model '{self._model}'"
            advice = "Correct model.api.model or model.api.base_url."
        elif error.is_out_of_money:
            what = "has no more credit for this key"
            advice = f"Top it up, and type the same command again: {kept}"
        elif error.is_of_the_way:
            what = "cannot be reached"
            advice = "Start the server, or correct model.api.base_url. What is done is kept."
        else:
            what, advice = "failed", f"Type the same command again later: {kept}"
        return BackendError(f"{self._base_url} {what}: {error.told(key)}", advice)

    def _counted(self, generation: Generation) -> Generation:
        self._add("prompt_tokens", generation.prompt_tokens)
        self._add("new_tokens", generation.new_tokens)
        self._add("generations_made", 1)
        return generation

    def _add(self, name: str, value: float) -> None:
        with self._lock:
            self._totals[name] += value

    def _in_words(self, seconds: float) -> str:
        speed = f"{self._totals['new_tokens'] / max(seconds, 1e-9):.0f} tokens/s"
        money = "" if None in self._prices else f" · {self._usd():.4f} USD"
        return speed + money


def _warn_of_unsent(sampling: Sampling) -> None:
    """Warn of settings that somebody changed and that no server is told."""
    names = ["repeat_penalty"] if sampling.is_greedy else ["top_k", "min_p", "repeat_penalty"]
    usual = Sampling()
    unsent = [name for name in names if getattr(sampling, name) != getattr(usual, name)]
    if unsent:
        log.warning(
            "%s: not sent, since not every server knows it. backend.extra sends any field.",
            ", ".join(f"sampling.{name}" for name in unsent),
        )


def _complete(text: str, prompt: Prompt) -> tuple[str, bool]:
    """Return the text up to where the asked answer is complete, and whether it is."""
    content = bytearray(text.encode(errors="replace"))
    watcher = watcher_for(prompt.entry_point, bool(prompt.messages))
    end = watcher.complete_at(content)
    if end is None:
        return text, False
    return bytes(content[:end]).decode(errors="replace"), True


def _of(reply: Any, name: str, kind: type[T]) -> T:
    """Return a part of a reply, and an empty one where it is missing, of another kind or absurd."""
    value = reply.get(name) if isinstance(reply, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        return kind()
    return value if not isinstance(value, int) or 0 <= value <= MOST_TOKENS else kind()


def _too_long(wanted: Request, said: str) -> Generation:
    return Generation(
        wanted.key,
        wanted.problem_id,
        wanted.sample,
        "",
        FinishReason.PROMPT_TOO_LONG,
        note=said,
    )
