"""What the reference solutions return and how long they take: the expected side of a verdict."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError
from experiments.judge import compare
from experiments.records import Problem
from experiments.sandbox import Calls, Kind, Reply, Sandbox, decode, describe
from experiments.schema import SandboxConfig
from experiments.store import computed

VERSION = 5
"""To be raised when what is computed, or the form in which it is kept, changes."""

REFERENCE_SECONDS = 300.0
"""CPU time that a reference may take for one input."""

_LONGEST = 10 * REFERENCE_SECONDS
"""No limit comes from a longer time, wherever that was read."""

SLOW_SECONDS = 0.1
"""From here on a reference's time decides a limit, and is taken again."""

AGREEMENT = 1.25
REPETITIONS = 5

Outputs = tuple[tuple[bytes, str, float], ...]
"""Per input: the output in wire form, or the builtin exception type, and CPU seconds."""


@dataclass(frozen=True)
class Reference:
    """A problem, with what its reference solution returns.

    Attributes:
        problem: the problem.
        calls: the inputs, base first, as a sandbox takes them.
        expected: the expected output, per input.
    """

    problem: Problem
    calls: Calls
    expected: tuple[compare.Expected, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """CPU time of the reference for all inputs."""
        return sum(each.seconds for each in self.expected)


class References:
    """The references of some problems: their outputs are computed once and kept.

    Args:
        problems: by their ids.
        cache_folder: where outputs are kept; None: nowhere.
    """

    def __init__(self, problems: Mapping[str, Problem], cache_folder: Path | None) -> None:
        self._problems = problems
        self._memory = _Memory(cache_folder)
        self._calls: dict[str, Calls] = {}
        self._keys: dict[str, str] = {}
        self._known: dict[str, Reference] = {}

    def __getitem__(self, name: str) -> Reference:
        """Return the reference of a problem, which was loaded or computed before."""
        return self._known[name]

    def key(self, name: str) -> str:
        """Return a digest of all that decides what the reference of a problem returns.

        Raises:
            DatasetError: an input is not plain data.
        """
        if name not in self._keys:
            problem = self._problems[name]
            self._calls[name] = _calls(problem)
            self._keys[name] = _key(problem, self._calls[name])
        return self._keys[name]

    def load(self, name: str) -> bool:
        """Load what was computed before, in this run or another; return whether it was there.

        Raises:
            DatasetError: an input is not plain data.
        """
        if name in self._known:
            return True
        outputs = self._memory.load(self.key(name))
        if outputs is None or len(outputs) != len(self._calls[name]):
            return False
        self._take(name, outputs)
        return True

    def compute(self, sandbox: Sandbox, name: str) -> None:
        """Run the reference of a problem, and keep what it returns.

        Args:
            sandbox: with the limits of `reference_limits`.
            name: the problem's id.

        Raises:
            DatasetError: a reference does not do what a reference must.
        """
        outputs = _compute(sandbox, self._problems[name], self._calls[name])
        self._memory.keep(self.key(name), outputs)
        self._take(name, outputs)

    def _take(self, name: str, outputs: Outputs) -> None:
        problem = self._problems[name]
        expected = [compare.Expected(*each) for each in outputs]
        base = len(problem.base_inputs)
        for part in (expected[:base], expected[base:]):
            compare.with_tolerances(part, problem.atol)
        self._known[name] = Reference(problem, self._calls[name], tuple(expected))


def reference_limits(limits: SandboxConfig) -> SandboxConfig:
    """Return the limits of references, where programs under test have these limits."""
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


def _compute(sandbox: Sandbox, problem: Problem, calls: Calls) -> Outputs:
    """Run the reference; run again what decides a limit, until two times agree."""
    replies = _replies(sandbox, problem, calls)
    outputs = [_output(problem, reply, calls.blobs[reply.index]) for reply in replies]
    for index, (payload, raises, seconds) in enumerate(outputs):
        if seconds < SLOW_SECONDS:
            continue
        one = Calls.of_blobs([calls.blobs[index]])
        times = [seconds]
        while len(times) < REPETITIONS:
            times.append(_replies(sandbox, problem, one)[0].cpu_seconds)
            times.sort()
            if times[1] <= times[0] * AGREEMENT:
                break
        outputs[index] = (payload, raises, times[0])
    return tuple(outputs)


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


def _output(problem: Problem, reply: Reply, arguments: bytes) -> tuple[bytes, str, float]:
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


class _Memory:
    """Reference outputs on disk, found again by key; nothing is kept if there is no folder.

    A file holds a line of JSON (per input: the length of the output, the exception, CPU seconds),
    and then the outputs, one behind the other.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, key: str) -> Outputs | None:
        """Return what is kept under the key; None if there is nothing or it is damaged."""
        if self._folder is None:
            return None
        body = computed.find(self._file(key), _digest(key))
        try:
            return _outputs(body) if body else None
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None

    def keep(self, key: str, outputs: Outputs) -> None:
        """Keep outputs, in place of damaged ones if there are any."""
        if self._folder is not None:
            head = json.dumps([(len(payload), *rest) for payload, *rest in outputs])
            body = b"".join([head.encode(), b"\n", *(payload for payload, *_ in outputs)])
            computed.keep(self._file(key), _digest(key), body)

    def _file(self, key: str) -> Path:
        return Path(self._folder or "", "references", key)


def _digest(key: str) -> bytes:
    """Return what opens the file of a key."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return hashlib.sha256(f"{VERSION} {python} {key}".encode()).digest()


def _outputs(body: bytes) -> Outputs:
    """Return the outputs that a file holds.

    Raises:
        ValueError, TypeError, OverflowError, RecursionError: it holds something else.
    """
    head, _, payloads = body.partition(b"\n")
    outputs, at = [], 0
    for length, raises, seconds in json.loads(head):
        payload = payloads[at : at + length]
        if len(payload) != length or not isinstance(raises, str) or not 0 <= seconds <= _LONGEST:
            raise ValueError("this is no output")
        outputs.append((payload, raises, float(seconds)))
        at += length
    return tuple(outputs)
