"""What of a problem file has to run, run in the sandbox: its generator and its examples."""

from __future__ import annotations

from typing import Any

from experiments.errors import DatasetError
from experiments.problems.form import EXTRA_INPUTS, Form, check_arguments
from experiments.records import Inputs
from experiments.sandbox import Kind, Reply, Sandbox, decode, describe
from experiments.sandbox.wire import Array, Items, Special, WireError

LEAST_EXTRA_INPUTS = 100
GENERATOR_SECONDS = 20.0
EXAMPLES_SECONDS = 10.0

_GENERATOR = f"""

def _all_extra_inputs():
    from random import Random

    return list({EXTRA_INPUTS}(Random(0)))
"""

_EXAMPLES = """

def _check_examples(examples):
    def alike(one, other):
        if type(one) is not type(other):
            return False
        if isinstance(one, (list, tuple)):
            return len(one) == len(other) and all(map(alike, one, other))
        if isinstance(one, dict):
            return one == other and all(alike(one[key], other[key]) for key in one)
        return one == other or repr(one) == repr(other)

    outcomes = []
    scope = globals()
    for call, expected in examples:
        raises = expected.startswith("Traceback (most recent call last):")
        try:
            try:
                value = eval(call, scope)
            except SyntaxError:
                exec(call, scope)
                value = None
        except Exception as error:
            name = type(error).__name__
            wanted = expected.strip().splitlines()[-1].partition(":")[0] if raises else ""
            outcomes.append("" if name == wanted else f"{name} is raised ({error})")
            continue
        if raises:
            outcomes.append(f"nothing is raised, the value is {value!r}")
            continue
        shown = "" if value is None else repr(value)
        if shown == expected:
            outcomes.append("")
            continue
        try:
            right = alike(value, eval(expected, {}))
        except Exception:
            right = False
        outcomes.append("" if right else f"the value is {value!r}"[:300])
    return outcomes
"""


def extra_inputs(form: Form, sandbox: Sandbox) -> Inputs:
    """Return what the generator of a problem file yields.

    Raises:
        DatasetError: it raises, takes too long, or yields what is no input.
    """
    reply = called(sandbox, form.source + _GENERATOR, "_all_extra_inputs", (), GENERATOR_SECONDS)
    where = f"{form.path}, {EXTRA_INPUTS}()"
    if reply.kind is not Kind.VALUE:
        raise DatasetError(f"{where} {_ending(reply)}", "Correct the generator.")
    try:
        found = decode(reply.payload)
    except WireError as error:
        raise DatasetError(f"{where}: {error}", "Yield smaller inputs.") from None
    assert isinstance(found, list)
    inputs = []
    for place, item in enumerate(found):
        if not isinstance(item, tuple):
            raise DatasetError(
                f"{where}: input {place} is no tuple of arguments: {describe(item, 60)}",
                "Yield one tuple per call: `yield (argument,)`, with the comma.",
            )
        try:
            arguments = plain(item)
        except ValueError as error:
            raise DatasetError(
                f"{where}: input {place} is not plain data: {error}",
                "Inputs are made of None, bool, int, float, str, bytes, list, tuple, dict, set.",
            ) from None
        problem = check_arguments(form.function, len(item))
        if problem:
            raise DatasetError(
                f"{where}: input {place} {problem}", "Yield one value per parameter."
            )
        inputs.append(arguments)
    if len(inputs) < LEAST_EXTRA_INPUTS:
        raise DatasetError(
            f"{where} yields {len(inputs)} inputs, fewer than {LEAST_EXTRA_INPUTS}",
            "Yield more: edge cases first, then random ones of growing size.",
        )
    return tuple(inputs)


def check_examples(form: Form, sandbox: Sandbox) -> None:
    """Run the examples of the statement against the reference.

    Raises:
        DatasetError: the reference cannot be loaded, or an example shows something else.
    """
    pairs = [(example.call, example.expected) for example in form.examples]
    program = form.reference + _EXAMPLES
    reply = called(sandbox, program, "_check_examples", (pairs,), EXAMPLES_SECONDS)
    if reply.kind is not Kind.VALUE:
        raise DatasetError(
            f"{form.path}: the reference {_ending(reply)} when its examples are run",
            "A reference needs nothing but the standard library and this file.",
        )
    outcomes = decode(reply.payload)
    for (call, expected), outcome in zip(pairs, outcomes, strict=True):
        if outcome:
            raise DatasetError(
                f"{form.path}, line {_line_of(form, call)}: the reference fails its example "
                f"{call}: expected {expected or 'nothing'}, but {outcome}",
                "Correct the example or the reference.",
            )


def plain(value: Any) -> Any:
    """Return a decoded value as Python's own data.

    Raises:
        ValueError: there is something else in it.
    """
    match value:
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
        case Items(kind="dict", items=pairs):
            return {plain(key): plain(item) for key, item in pairs}
        case Items(kind=kind, items=items):
            return (set if kind == "set" else frozenset)(map(plain, items))
        case Array() | Special():
            raise ValueError(describe(value, 60))
    return value


def called(
    sandbox: Sandbox, program: str, entry_point: str, arguments: tuple[Any, ...], seconds: float
) -> Reply:
    """Return what became of one call of a program in the sandbox."""
    return next(iter(list(sandbox.run(program, entry_point, [arguments], [seconds]))))


def _ending(reply: Reply) -> str:
    """Return how a call ended that gave no value."""
    match reply.kind:
        case Kind.TIMED_OUT:
            return "takes too long"
        case Kind.OUT_OF_MEMORY:
            return "needs too much memory"
        case Kind.RAISED if reply.exception:
            return f"raises {reply.exception}: {reply.text}"
    return f"cannot be run: {reply.exception} {reply.text}".rstrip()


def _line_of(form: Form, call: str) -> int:
    """Return the line of an example."""
    first = call.splitlines()[0]
    for number, line in enumerate(form.source.split("\n"), 1):
        if line.strip().startswith(">>>") and line.strip()[3:].strip() == first:
            return number
    return form.function.lineno
