"""What the references give and how long they take: the expected side of every verdict."""

import hashlib
import pickle
import platform
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError
from experiments.judge import compare
from experiments.records import Problem
from experiments.sandbox import Calls, Kind, Reply, Sandbox, decode, describe
from experiments.schema import SandboxConfig

VERSION = 3
"""To be raised when what is measured, or the form in which it is kept, changes."""

REFERENCE_SECONDS = 300.0
"""CPU time that a reference may take for one input."""

SLOW_SECONDS = 0.1
"""From here on a reference's time decides a limit, and is measured again."""

AGREEMENT = 1.25
MEASUREMENTS = 5

Measured = tuple[tuple[bytes, str, float], ...]
"""Per input: the output in wire form, or the builtin exception type, and CPU seconds."""


@dataclass(frozen=True)
class Truth:
    """A problem, ready to judge solutions of it.

    Attributes:
        problem: the problem.
        calls: the inputs, base first, as a sandbox takes them.
        expected: per input.
    """

    problem: Problem
    calls: Calls
    expected: tuple[compare.Expected, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """CPU time of the reference for all inputs."""
        return sum(each.seconds for each in self.expected)


class Truths:
    """What is expected of solutions to some problems, measured once and kept.

    Args:
        problems: by their ids.
        cache_folder: where what the references give is kept; None: nowhere.
    """

    def __init__(self, problems: Mapping[str, Problem], cache_folder: Path | None) -> None:
        self._problems = problems
        self._memory = _Memory(cache_folder)
        self._calls: dict[str, Calls] = {}
        self._known: dict[str, Truth] = {}

    def __getitem__(self, name: str) -> Truth:
        """Return the truth of a problem that was recalled or measured."""
        return self._known[name]

    def recall(self, name: str) -> Truth | None:
        """Return the truth of a problem if it was measured before, in this run or another.

        Raises:
            DatasetError: an input is not plain data.
        """
        if name in self._known:
            return self._known[name]
        calls = self._calls[name] = _calls(self._problems[name])
        measured = self._memory.find(_key(self._problems[name], calls))
        return self._learn(name, measured) if _is_whole(measured, len(calls)) else None

    def measure(self, sandbox: Sandbox, name: str) -> Truth:
        """Run the reference of a problem that could not be recalled.

        Args:
            sandbox: with the limits of `generous`.
            name: the problem's id.

        Raises:
            DatasetError: a reference does not do what a reference must.
        """
        problem, calls = self._problems[name], self._calls[name]
        return self._learn(
            name, self._memory.keep(_key(problem, calls), _measure(sandbox, problem, calls))
        )

    def _learn(self, name: str, measured: Measured) -> Truth:
        problem = self._problems[name]
        expected = [compare.Expected(*each) for each in measured]
        base = len(problem.base_inputs)
        for part in (expected[:base], expected[base:]):
            compare.with_tolerances(part, problem.atol)
        self._known[name] = Truth(problem, self._calls[name], tuple(expected))
        return self._known[name]


def generous(limits: SandboxConfig) -> SandboxConfig:
    """Return what references may use, where programs have these limits."""
    return replace(
        limits,
        file_megabytes=SandboxConfig.file_megabytes,
        processes=SandboxConfig.processes,
        load_cpu_seconds=REFERENCE_SECONDS,
        total_cpu_seconds=10 * REFERENCE_SECONDS,
    )


def _calls(problem: Problem) -> Calls:
    if problem.comparison not in compare.COMPARISONS:
        known = ", ".join(compare.COMPARISONS)
        raise DatasetError(
            f"{problem.id}: unknown comparison '{problem.comparison}'", f"Known: {known}."
        )
    try:
        return Calls([*problem.base_inputs, *problem.extra_inputs])
    except ValueError as error:
        raise DatasetError(
            f"{problem.id}: an input is not plain data ({error})",
            "Inputs are made of None, bool, int, float, complex, str, bytes, list, tuple, "
            "dict, set and frozenset.",
        ) from None


def _measure(sandbox: Sandbox, problem: Problem, calls: Calls) -> Measured:
    """Run the reference; measure again what decides a limit, until two times agree."""
    replies = _replies(sandbox, problem, calls)
    measured = [_outcome(problem, reply, calls.blobs[reply.index]) for reply in replies]
    for index, (payload, raises, seconds) in enumerate(measured):
        if seconds < SLOW_SECONDS:
            continue
        one = Calls.of_blobs([calls.blobs[index]])
        times = [seconds]
        while len(times) < MEASUREMENTS:
            times.append(_replies(sandbox, problem, one)[0].cpu_seconds)
            times.sort()
            if times[1] <= times[0] * AGREEMENT:
                break
        measured[index] = (payload, raises, times[0])
    return tuple(measured)


def _replies(sandbox: Sandbox, problem: Problem, calls: Calls) -> list[Reply]:
    replies = list(
        sandbox.run(
            problem.reference,
            problem.entry_point,
            calls,
            [REFERENCE_SECONDS] * len(calls),
            as_set=problem.comparison == "set",
        )
    )
    if replies and replies[0].index < 0:
        reply = replies[0]
        what = reply.exception or reply.kind.value
        raise DatasetError(f"{problem.id}: the reference cannot be loaded: {what}: {reply.text}")
    if len(replies) != len(calls):
        raise DatasetError(f"{problem.id}: the reference does not answer all inputs")
    return replies


def _outcome(problem: Problem, reply: Reply, arguments: bytes) -> tuple[bytes, str, float]:
    if reply.kind is Kind.VALUE:
        plain = problem.comparison in ("not_none", "anything") or _is_plain(decode(reply.payload))
        if plain:
            return reply.payload, "", reply.cpu_seconds
        what = f"gives no plain data: {describe(decode(reply.payload))}"
    elif reply.kind is Kind.RAISED and reply.builtin_types[:1] == (reply.exception,):
        return b"", reply.exception, reply.cpu_seconds
    else:
        what = f"{reply.kind.value} {reply.exception} {reply.text}".strip()
    raise DatasetError(
        f"{problem.id}: the reference fails on {call_text(problem.entry_point, arguments)}: {what}"
    )


def _is_plain(value: Any) -> bool:
    from experiments.sandbox import wire

    match value:
        case list() | tuple():
            return all(map(_is_plain, value))
        case wire.Items(kind="dict", items=pairs):
            return all(_is_plain(key) and _is_plain(item) for key, item in pairs)
        case wire.Items(items=items):
            return all(map(_is_plain, items))
        case wire.Special(kind="other"):
            return False
    return True


def call_text(entry_point: str, arguments: bytes, length: int = 200) -> str:
    """Return a call as a short text for a person."""
    values = decode(arguments)
    text = ", ".join(describe(value, length) for value in values)
    text = text if len(text) <= length else text[: length - 3] + "..."
    return f"{entry_point}({text})"


def _key(problem: Problem, calls: Calls) -> str:
    """Return a digest of all that decides what the reference gives."""
    digest = hashlib.sha256()
    parts = [problem.reference.encode("utf-8", "surrogatepass"), problem.entry_point.encode()]
    parts += [b"set" if problem.comparison == "set" else b"", *calls.blobs]
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _is_whole(measured: Any, count: int) -> bool:
    if not isinstance(measured, tuple) or len(measured) != count:
        return False
    for each in measured:
        match each:
            case (bytes(), str(), float()):
                continue
        return False
    return True


class _Nothing(Exception):
    """What was looked for is not in the cache."""


def _remember(key: str, version: int, python: str, result: Any) -> Any:
    """What `joblib.Memory` wraps: the result is given by the caller (and ignored as key)."""
    if result is None:
        raise _Nothing(key, version, python)
    return result


class _Memory:
    """Measured truths on disk, found again by key; nothing is kept if there is no folder.

    joblib keeps them as bytes: what it reads by itself it reads ten times slower.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rest = (VERSION, platform.python_implementation() + platform.python_version())
        self._lock = threading.Lock()
        # joblib warns of much that is no matter here; filters belong to all threads
        warnings.filterwarnings("ignore", module=r"joblib\b|experiments\.judge\b")

    def find(self, key: str) -> Any:
        """Return what is kept under the key; None if there is nothing or it is damaged."""
        with self._lock:
            if self._cached is None or not self._is_kept(key):
                return None
            try:
                return pickle.loads(self._cached(key, *self._rest, None))
            except Exception:  # what damaged bytes raise may be anything
                return None

    def keep(self, key: str, result: Measured) -> Measured:
        """Keep a result and return it."""
        with self._lock:
            if self._cached is not None:
                if self._is_kept(key):  # and damaged, or it would have been found
                    self._cached.call_and_shelve(key, *self._rest, None).clear()
                self._cached(key, *self._rest, pickle.dumps(result))
        return result

    @cached_property
    def _cached(self) -> Any:
        if self._folder is None:
            return None
        import joblib  # which takes a while, and not in every run

        return joblib.Memory(self._folder, verbose=0).cache(_remember, ignore=["result"])

    def _is_kept(self, key: str) -> bool:
        return bool(self._cached.check_call_in_cache(key, *self._rest, None))
