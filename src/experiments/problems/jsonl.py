"""A JSON Lines file of somebody's own problems -> a data set.

Each line is one problem: `task_id`, `prompt`, `entry_point`, and its tests in one of four forms.

    "canonical_solution", "test"                      as HumanEval has it
    "inputs", "outputs"                               explicit, and perhaps a solution
    "canonical_solution", "base_input", "plus_input"  as HumanEval+ has it
    "canonical_solution", "inputs"                    what is expected comes from the solution; each
                                                      input may be the source text of the arguments,
                                                      as EvoEval has it

Assertions are turned into inputs (see `assertions`): the `check` of a problem is run once with its
own solution, in the sandbox, and the arguments of each call are recorded. What is expected is what
the solution gives, which the assertions have just confirmed.

A problem whose tests cannot be turned into inputs and outputs is left out, and the reason is told.
"""

from __future__ import annotations

import ast
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError
from experiments.judge.compare import FLOAT_ATOL
from experiments.problems.assertions import CannotBeTurnedError, Tests
from experiments.problems.evalplus_sets import comparison_of
from experiments.problems.own import canonical, imports_of
from experiments.problems.run import called, plain
from experiments.problems.source import parse
from experiments.records import Dataset, Inputs, Problem
from experiments.sandbox import Kind, Reply, Sandbox, decode
from experiments.sandbox.wire import WireError
from experiments.store.files import json_lines

log = logging.getLogger(__name__)

JSON_LINES = (".jsonl", ".jsonl.gz")
"""How the name of such a file ends."""

RECORDING_SECONDS = 20.0
"""CPU time for running the tests of one problem with its own solution."""

REASONS_SHOWN = 5

SEVERAL_RIGHT = {
    "EvoEval_difficult": ("EvoEval/10", "EvoEval/32"),
    "EvoEval_creative": ("EvoEval/26", "EvoEval/30", "EvoEval/69"),
    "EvoEval_subtle": ("EvoEval/32",),
}
"""Problems of EvoEval's files that have several right outputs, which its own program knows."""

_FORM = (
    'Each line is {"task_id", "prompt", "entry_point"} with {"canonical_solution", "test"} or '
    'with {"inputs", "outputs"}.'
)


@dataclass(frozen=True)
class LeftOut:
    """A problem whose tests cannot be turned into inputs and outputs, and why."""

    task_id: str
    reason: str


def load_jsonl(file: str | Path | None, name: str | None = None) -> Dataset:
    """Return the problems of a JSON Lines file, and warn of those that are left out.

    Args:
        file: path of the file, `.jsonl` or `.jsonl.gz`.
        name: name of the data set; null: the file's name.

    Raises:
        DatasetError: the file cannot be read, a line is broken, or no problem is left.
    """
    if file is None:
        raise DatasetError(
            "dataset=jsonl reads a file, and none is named", "Set dataset.file=PATH.jsonl"
        )
    dataset, left_out = read_jsonl(Path(file), name)
    if left_out:
        reasons = "\n".join(f"  {each.task_id}: {each.reason}" for each in left_out[:REASONS_SHOWN])
        more = len(left_out) - REASONS_SHOWN
        log.warning(
            "%d of %d problems of %s are left out, since their tests cannot be turned into inputs "
            "and outputs:\n%s%s",
            len(left_out),
            len(left_out) + len(dataset.problems),
            file,
            reasons,
            f"\n  and {more} more: experiments validate {file}" if more > 0 else "",
        )
    return dataset


def read_jsonl(file: Path, name: str | None = None) -> tuple[Dataset, list[LeftOut]]:
    """Return the problems of a JSON Lines file, and those that are left out.

    Raises:
        DatasetError: the file cannot be read, a line is broken, or no problem is left.
    """
    problems: list[Problem] = []
    left_out: list[LeftOut] = []
    turned: set[str] = set()
    with Sandbox() as sandbox:
        for where, line in json_lines(file, DatasetError):
            task = _task(where, line)
            if task["task_id"] in turned:
                raise DatasetError(f"{where}: the task_id '{task['task_id']}' is there twice")
            try:
                _refuse_several_right(file, task["task_id"])
                problems.append(_problem(task, sandbox))
                turned.add(task["task_id"])
            except CannotBeTurnedError as error:
                left_out.append(LeftOut(task["task_id"], str(error)))
    if not problems:
        reason = f": {left_out[0].task_id}: {left_out[0].reason}" if left_out else ""
        raise DatasetError(f"{file} has no problem that can be judged{reason}", _FORM)
    contents = (tuple(vars(problem).items()) for problem in problems)
    text = "".join(canonical(content) for content in contents)
    dataset = Dataset(
        name=name or file.name.removesuffix(".gz").removesuffix(".jsonl"),
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        problems=tuple(problems),
        preload=imports_of(problem.reference for problem in problems),
    )
    return dataset, left_out


def _task(where: str, line: bytes) -> dict[str, Any]:
    """Return the object on a line, with the texts that every problem has.

    Raises:
        DatasetError: it is no JSON, or one of them is missing.
    """
    try:
        task = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is no JSON: {error}", _FORM) from None
    if not isinstance(task, dict):
        raise DatasetError(f"{where} is no JSON object", _FORM)
    for key in ("task_id", "prompt", "entry_point"):
        if not isinstance(task.get(key), str) or not task[key].strip():
            raise DatasetError(f"{where} has no text '{key}'", _FORM)
    if not task["entry_point"].isidentifier():
        raise DatasetError(f"{where}: entry_point is '{task['entry_point']}', which is no name")
    return task


def _problem(task: dict[str, Any], sandbox: Sandbox) -> Problem:
    """Return the problem of a line.

    Raises:
        CannotBeTurnedError: its tests are no inputs and outputs.
    """
    if "outputs" in task:
        return _explicit(task, sandbox)
    if not isinstance(task.get("canonical_solution"), str):
        raise CannotBeTurnedError("it has no 'canonical_solution', and no inputs and outputs")
    reference = _program(task)
    if "base_input" in task:
        if task["task_id"].startswith("Mbpp/"):
            raise CannotBeTurnedError("MBPP+ keeps inputs that JSON has not: dataset=mbpp_plus")
        base = _calls(task["base_input"])
        extra = _calls(task["plus_input"]) if task.get("plus_input") else ()
        return _made(task, reference, base, _tolerance(task), comparison_of(task), extra)
    if "inputs" in task:
        if all(isinstance(each, str) for each in _listed(task["inputs"])):
            inputs = _evaluated(reference, task["inputs"], sandbox)
            return _made(task, reference, inputs, _tolerance(task) or FLOAT_ATOL)
        return _made(task, reference, _calls(task["inputs"]), _tolerance(task))
    if not isinstance(task.get("test"), str):
        raise CannotBeTurnedError("it has no 'test', and no inputs and outputs")
    tests = Tests(task["test"], task["entry_point"])
    inputs = _recorded(reference, tests, task["entry_point"], sandbox)
    return _made(task, reference, inputs, tests.tolerance, tests.comparison)


def _explicit(task: dict[str, Any], sandbox: Sandbox) -> Problem:
    """Return a problem that names its inputs and outputs."""
    calls, outputs, tolerance = _calls(task.get("inputs")), task["outputs"], _tolerance(task)
    if not isinstance(outputs, list) or len(calls) != len(outputs):
        count = len(outputs) if isinstance(outputs, list) else "no list of"
        raise CannotBeTurnedError(f"it has {len(calls)} inputs and {count} outputs")
    if "canonical_solution" not in task:
        return _made(task, _lookup(task["entry_point"], calls, outputs), calls, tolerance)
    program = _program(task)
    given = program + _HELD_AGAINST.format(entry_point=task["entry_point"])
    wrong = _result(given, "_held_against", (calls, outputs, tolerance), sandbox)
    if wrong:
        raise CannotBeTurnedError(f"its solution does not give its outputs: {wrong}")
    return _made(task, program, calls, tolerance)


def _refuse_several_right(file: Path, task_id: str) -> None:
    for name, tasks in SEVERAL_RIGHT.items():
        if file.name.startswith(name) and task_id in tasks:
            raise CannotBeTurnedError("several outputs are right, and the file does not say which")


def _listed(inputs: Any) -> list[Any]:
    if not isinstance(inputs, list) or not inputs:
        raise CannotBeTurnedError("its inputs are no list, or an empty one")
    return inputs


def _calls(inputs: Any) -> Inputs:
    """Return inputs as the arguments of calls."""
    if not all(isinstance(arguments, list) for arguments in _listed(inputs)):
        raise CannotBeTurnedError("each input is to be the list of a call's arguments")
    return tuple(tuple(arguments) for arguments in inputs)


def _tolerance(task: dict[str, Any]) -> float:
    tolerance = task.get("atol", 0.0)
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise CannotBeTurnedError(f"atol is {tolerance!r}")
    return float(tolerance)


def _evaluated(reference: str, sources: list[str], sandbox: Sandbox) -> Inputs:
    """Return the arguments that are written as source text, each between the parentheses of a call.

    They may be anything that Python evaluates, so that is done in the sandbox.
    """
    given = "\n\ndef _arguments(sources):\n    return [eval(f'[{each}]') for each in sources]\n"
    failed = "its inputs cannot be evaluated"
    found = _result(reference + given, "_arguments", (sources,), sandbox, failed)
    return tuple(tuple(arguments) for arguments in found)


def _made(
    task: dict[str, Any],
    reference: str,
    inputs: Inputs,
    tolerance: float,
    comparison: str = "equal",
    extra: Inputs = (),
) -> Problem:
    title, difficulty = task.get("title"), task.get("difficulty")
    return Problem(
        id=task["task_id"],
        entry_point=task["entry_point"],
        prompt=task["prompt"],
        reference=reference,
        base_inputs=inputs,
        extra_inputs=extra,
        atol=tolerance,
        comparison=comparison,
        title=title if isinstance(title, str) else "",
        difficulty=difficulty if isinstance(difficulty, str) else "",
    )


def _program(task: dict[str, Any]) -> str:
    """Return the complete solution: as it is, or as what goes on from the prompt.

    Raises:
        CannotBeTurnedError: it does not define the entry point.
    """
    prompt, solution = task["prompt"], task["canonical_solution"]
    if not isinstance(solution, str):
        raise CannotBeTurnedError("its 'canonical_solution' is no text")
    for program in (solution, prompt + solution, f"{prompt}\n{solution}"):
        try:
            tree = parse(program)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        names = (ast.FunctionDef, ast.AsyncFunctionDef)
        if any(isinstance(s, names) and s.name == task["entry_point"] for s in tree.body):
            return str(program)
    raise CannotBeTurnedError(f"its solution does not define {task['entry_point']}")


def is_lookup(problem: Problem) -> bool:
    """Return whether a problem has no solution, so that a program looks its outputs up."""
    return problem.reference.endswith(_LOOKUP.format(entry_point=problem.entry_point))


def _lookup(entry_point: str, inputs: Inputs, outputs: list[Any]) -> str:
    """Return a program that gives the outputs for the inputs, where there is no solution."""
    cases = list(zip(inputs, outputs, strict=True))
    return f"_CASES = {cases!r}\n{_LOOKUP.format(entry_point=entry_point)}"


_LOOKUP = """

def {entry_point}(*arguments):
    for given, output in _CASES:
        if given == arguments:
            return output
    raise LookupError('there is no output for these arguments')
"""


_HELD_AGAINST = """

def _held_against(inputs, outputs, tolerance):
    import copy
    for arguments, expected in zip(inputs, outputs):
        output = {entry_point}(*copy.deepcopy(arguments))
        if output == expected:
            continue
        try:
            if abs(output - expected) <= tolerance:
                continue
        except TypeError:
            pass
        return f"{{arguments!r}} gives {{output!r}}, and not {{expected!r}}"[:300]
    return ""
"""

_RECORDER = """

def _recorded():
    import copy, inspect, random
    random.seed(0)
    calls, outputs = [], []
    function = {entry_point}
    signature = inspect.signature(function)

    def candidate(*arguments, **named):
        bound = signature.bind(*arguments, **named)
        if bound.kwargs:
            raise TypeError("the tests name arguments that cannot be given by place")
        calls.append(copy.deepcopy(bound.args))
        outputs.append(function(*arguments, **named))
        return outputs[-1]

    check(candidate)
    return calls, all(type(output) is bool for output in outputs)
"""


def _recorded(reference: str, tests: Tests, entry_point: str, sandbox: Sandbox) -> Inputs:
    """Return the arguments of the calls that the tests make, each once.

    Raises:
        CannotBeTurnedError: the solution fails its tests, or an argument is no plain data.
    """
    program = f"{reference}\n{tests.source}\n{_RECORDER.format(entry_point=entry_point)}"
    calls, are_booleans = _result(program, "_recorded", (), sandbox)
    if not calls:
        raise CannotBeTurnedError(f"its tests do not call {entry_point}")
    if tests.has_bare_calls and not are_booleans:
        raise CannotBeTurnedError("an assertion wants an output that counts as true, not a value")
    unique = {canonical(arguments): arguments for arguments in calls}
    return tuple(unique.values())


def _result(
    program: str,
    entry_point: str,
    arguments: tuple[Any, ...],
    sandbox: Sandbox,
    failed: str = "its solution fails its tests",
) -> Any:
    """Return what a call gives in the sandbox, as plain data."""
    reply = called(sandbox, program, entry_point, arguments, RECORDING_SECONDS)
    if reply.kind is not Kind.VALUE:
        raise CannotBeTurnedError(f"{failed} ({_ending(reply)})")
    try:
        return plain(decode(reply.payload))
    except (WireError, ValueError) as error:
        raise CannotBeTurnedError(f"its inputs are no plain data: {error}") from None


def _ending(reply: Reply) -> str:
    """Return how a call ended that gave no value, in a few words."""
    what = reply.exception or reply.kind.value.replace("_", " ")
    return f"{what}: {reply.text}" if reply.text else what
