"""A JSON Lines file of somebody's own problems -> a data set.

Each line is one problem: `task_id`, `prompt`, `entry_point`, and its tests in one of four forms.

    "canonical_solution", "test"                      as HumanEval has it
    "inputs", "outputs"                               explicit, and perhaps a solution
    "canonical_solution", "base_input", "plus_input"  as HumanEval+ has it
    "canonical_solution", "inputs"                    what is expected comes from the solution; each
                                                      input may be the source text of the arguments,
                                                      as EvoEval has it

Verdicts cannot be forged because a program under test gets inputs and gives outputs, and the
assertions of a file would have to run beside it. So assertions are turned into inputs: the
`check` of a problem is run once with its own solution, in the sandbox, and the arguments of each
call are recorded. What is expected is what the solution gives, which the assertions have just
confirmed. That holds only where each assertion says that one call gives one value, so every
assertion is held against a few forms:

    assert candidate(…) == value        also the other way round, and `is`
    assert candidate(…)                 also `not candidate(…)`, if the outputs are true or false
    assert abs(candidate(…) - value) < tolerance        also `math.isclose(candidate(…), value)`
    assert set(candidate(…)) == set(value)              if all assertions of the problem do
    assertion(candidate(…), value, tolerance)           a function of the tests that asserts that
    output = candidate(…); assert output == value       each of these, with a variable between

A problem with another assertion is left out, and the reason is told.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError
from experiments.judge.compare import FLOAT_ATOL
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

MOST_RELATIVE = 1e-6
"""A larger relative tolerance is one that our comparison of floats does not have."""

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
        file: `.jsonl` or `.jsonl.gz`.
        name: of the data set; None: the file's name.

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
        for where, line in _lines(file):
            task = _task(where, line)
            if task["task_id"] in turned:
                raise DatasetError(f"{where}: the task_id '{task['task_id']}' is there twice")
            try:
                _refuse_several_right(file, task["task_id"])
                problems.append(_problem(task, sandbox))
                turned.add(task["task_id"])
            except _CannotBeTurnedError as error:
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


class _CannotBeTurnedError(Exception):
    """Says why the tests of a problem are no inputs and outputs."""


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each line that is not empty, with where it stands."""
    try:
        yield from json_lines(file)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{file} cannot be read: {reason}", "Name a .jsonl file.") from None


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
        _CannotBeTurnedError: its tests are no inputs and outputs.
    """
    if "outputs" in task:
        return _explicit(task, sandbox)
    if not isinstance(task.get("canonical_solution"), str):
        raise _CannotBeTurnedError("it has no 'canonical_solution', and no inputs and outputs")
    reference = _program(task)
    if "base_input" in task:
        if task["task_id"].startswith("Mbpp/"):
            raise _CannotBeTurnedError("MBPP+ keeps inputs that JSON has not: dataset=mbpp_plus")
        base = _calls(task["base_input"])
        extra = _calls(task["plus_input"]) if task.get("plus_input") else ()
        return _made(task, reference, base, _tolerance(task), comparison_of(task), extra)
    if "inputs" in task:
        if all(isinstance(each, str) for each in _listed(task["inputs"])):
            inputs = _evaluated(reference, task["inputs"], sandbox)
            return _made(task, reference, inputs, _tolerance(task) or FLOAT_ATOL)
        return _made(task, reference, _calls(task["inputs"]), _tolerance(task))
    if not isinstance(task.get("test"), str):
        raise _CannotBeTurnedError("it has no 'test', and no inputs and outputs")
    tests = _Tests(task["test"], task["entry_point"])
    inputs = _recorded(reference, tests, task["entry_point"], sandbox)
    return _made(task, reference, inputs, tests.tolerance, tests.comparison)


def _explicit(task: dict[str, Any], sandbox: Sandbox) -> Problem:
    """Return a problem that names its inputs and outputs."""
    calls, outputs, tolerance = _calls(task.get("inputs")), task["outputs"], _tolerance(task)
    if not isinstance(outputs, list) or len(calls) != len(outputs):
        count = len(outputs) if isinstance(outputs, list) else "no list of"
        raise _CannotBeTurnedError(f"it has {len(calls)} inputs and {count} outputs")
    if "canonical_solution" not in task:
        return _made(task, _lookup(task["entry_point"], calls, outputs), calls, tolerance)
    program = _program(task)
    given = program + _HELD_AGAINST.format(entry_point=task["entry_point"])
    wrong = _result(given, "_held_against", (calls, outputs, tolerance), sandbox)
    if wrong:
        raise _CannotBeTurnedError(f"its solution does not give its outputs: {wrong}")
    return _made(task, program, calls, tolerance)


def _refuse_several_right(file: Path, task_id: str) -> None:
    for name, tasks in SEVERAL_RIGHT.items():
        if file.name.startswith(name) and task_id in tasks:
            raise _CannotBeTurnedError("several outputs are right, and the file does not say which")


def _listed(inputs: Any) -> list[Any]:
    if not isinstance(inputs, list) or not inputs:
        raise _CannotBeTurnedError("its inputs are no list, or an empty one")
    return inputs


def _calls(inputs: Any) -> Inputs:
    """Return inputs as the arguments of calls."""
    if not all(isinstance(arguments, list) for arguments in _listed(inputs)):
        raise _CannotBeTurnedError("each input is to be the list of a call's arguments")
    return tuple(tuple(arguments) for arguments in inputs)


def _tolerance(task: dict[str, Any]) -> float:
    tolerance = task.get("atol", 0.0)
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise _CannotBeTurnedError(f"atol is {tolerance!r}")
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
        _CannotBeTurnedError: it does not define the entry point.
    """
    prompt, solution = task["prompt"], task["canonical_solution"]
    if not isinstance(solution, str):
        raise _CannotBeTurnedError("its 'canonical_solution' is no text")
    for program in (solution, prompt + solution, f"{prompt}\n{solution}"):
        try:
            tree = parse(program)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        names = (ast.FunctionDef, ast.AsyncFunctionDef)
        if any(isinstance(s, names) and s.name == task["entry_point"] for s in tree.body):
            return str(program)
    raise _CannotBeTurnedError(f"its solution does not define {task['entry_point']}")


def _lookup(entry_point: str, inputs: Inputs, outputs: list[Any]) -> str:
    """Return a program that gives the outputs for the inputs, where there is no solution."""
    return (
        f"_CASES = {list(zip(inputs, outputs, strict=True))!r}\n\n\n"
        f"def {entry_point}(*arguments):\n"
        "    for given, output in _CASES:\n"
        "        if given == arguments:\n"
        "            return output\n"
        "    raise LookupError('there is no output for these arguments')\n"
    )


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


def _recorded(reference: str, tests: _Tests, entry_point: str, sandbox: Sandbox) -> Inputs:
    """Return the arguments of the calls that the tests make, each once.

    Raises:
        _CannotBeTurnedError: the solution fails its tests, or an argument is no plain data.
    """
    program = f"{reference}\n{tests.source}\n{_RECORDER.format(entry_point=entry_point)}"
    calls, are_booleans = _result(program, "_recorded", (), sandbox)
    if not calls:
        raise _CannotBeTurnedError(f"its tests do not call {entry_point}")
    if tests.has_bare_calls and not are_booleans:
        raise _CannotBeTurnedError("an assertion wants an output that counts as true, not a value")
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
        raise _CannotBeTurnedError(f"{failed} ({_ending(reply)})")
    try:
        return plain(decode(reply.payload))
    except (WireError, ValueError) as error:
        raise _CannotBeTurnedError(f"its inputs are no plain data: {error}") from None


def _ending(reply: Reply) -> str:
    """Return how a call ended that gave no value, in a few words."""
    what = reply.exception or reply.kind.value.replace("_", " ")
    return f"{what}: {reply.text}" if reply.text else what


class _Tests:
    """The tests of a problem: a function `check(candidate)`, and what its assertions say.

    Attributes:
        source: a program that defines `check`.
        tolerance: the largest that an assertion allows; 0 if all want equal values.
        has_bare_calls: some assertions are a call alone, which only fixes an output that is true
            or false.
        comparison: `equal`, or `set` where only the set of the items counts.

    Raises:
        _CannotBeTurnedError: an assertion has none of the known forms.
    """

    def __init__(self, source: str, entry_point: str) -> None:
        try:
            tree = parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _CannotBeTurnedError(f"its tests are no Python: {error}") from None
        self.tolerance = 0.0
        self.has_bare_calls = False
        self._helpers = {
            part.name
            for part in ast.walk(tree)
            if isinstance(part, ast.FunctionDef) and _asserts_equality(part)
        }
        self._sets = self._others = 0
        check = _check_of(tree)
        if check is None:
            self._name = entry_point
            body = [part for part in tree.body if not isinstance(part, ast.Import | ast.ImportFrom)]
            imports = [part for part in tree.body if part not in body]
            function = parse("def check(candidate): pass").body[0]
            assert isinstance(function, ast.FunctionDef)
            renamed = [_Renamed(entry_point).visit(part) for part in body]
            function.body = renamed or function.body
            tree = ast.Module([*imports, function], [])
            self._name, check = "candidate", function
        else:
            self._name = check.args.args[0].arg
        self._inspect(_with_outputs_in_place(check, self._is_call))
        self.comparison = "set" if self._sets else "equal"
        if self._sets and self._others:
            raise _CannotBeTurnedError("some assertions compare sets of items, and some do not")
        self.source = ast.unparse(ast.fix_missing_locations(tree))

    def _inspect(self, check: ast.FunctionDef) -> None:
        """Hold each use of the candidate against the forms."""
        seen: set[ast.AST] = set()
        for node in ast.walk(check):
            if isinstance(node, ast.Assert) and self._uses(node.test):
                call = self._call_in(node.test)
                if call is None:
                    raise _CannotBeTurnedError(
                        f"an assertion is not of a known form: {_short(node.test)}"
                    )
                seen.update(ast.walk(call.func))
            if isinstance(node, ast.Assert) and node.msg is not None:
                seen.update(ast.walk(node.msg))  # which is for a person
            if isinstance(node, ast.Expr) and (helped := self._helped_call(node.value)):
                seen.update(ast.walk(helped.func))
        for node in ast.walk(check):
            if isinstance(node, ast.Name) and node.id == self._name and node not in seen:
                raise _CannotBeTurnedError(f"{self._name} is used outside of an assertion's call")
            if isinstance(node, ast.Try | ast.With) and self._uses(node):
                raise _CannotBeTurnedError("it is tested within try or with")

    def _uses(self, node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id == self._name for n in ast.walk(node))

    def _call_in(self, test: ast.expr) -> ast.Call | None:
        """Return the call whose output an assertion fixes; None if its form is not known."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
        if self._is_call(test):
            self.has_bare_calls = True
            self._others += 1
            return test  # type: ignore[return-value]
        if isinstance(test, ast.Call):
            return self._close_call(test)
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        left, right, operator = test.left, test.comparators[0], test.ops[0]
        if isinstance(operator, ast.Eq | ast.Is):
            for one, other in ((left, right), (right, left)):
                if self._is_call(one) and not self._uses(other):
                    self._others += 1
                    return one  # type: ignore[return-value]
                inner = _argument_of(one, "set")
                if inner is not None and self._is_call(inner) and not self._uses(other):
                    self._sets += 1
                    return inner  # type: ignore[return-value]
            return None
        if isinstance(operator, ast.Lt | ast.LtE):
            difference = _argument_of(left, "abs")
            tolerance = _number(right)
            if isinstance(difference, ast.BinOp) and isinstance(difference.op, ast.Sub):
                return self._within(difference.left, difference.right, tolerance)
        return None

    def _close_call(self, test: ast.Call) -> ast.Call | None:
        """Return the call in `math.isclose(candidate(…), value, abs_tol=…)`."""
        name = test.func.attr if isinstance(test.func, ast.Attribute) else ""
        if not (name == "isclose" or _named(test.func, "isclose")) or len(test.args) != 2:
            return None
        options = {word.arg: _number(word.value) for word in test.keywords}
        if set(options) - {"abs_tol", "rel_tol"} or None in options.values():
            return None
        if (options.get("rel_tol") or 0.0) > MOST_RELATIVE:
            return None
        return self._within(test.args[0], test.args[1], options.get("abs_tol", 0.0))

    def _helped_call(self, node: ast.expr) -> ast.Call | None:
        """Return the call in `assertion(candidate(…), value, atol)`, for a known `assertion`."""
        if not isinstance(node, ast.Call) or node.keywords or len(node.args) not in (2, 3):
            return None
        if not any(_named(node.func, helper) for helper in self._helpers):
            return None
        tolerance = _number(node.args[2]) if len(node.args) == 3 else 0.0
        return self._within(node.args[0], node.args[1], tolerance)

    def _within(self, one: ast.expr, other: ast.expr, tolerance: float | None) -> ast.Call | None:
        if tolerance is None:
            return None
        for call, value in ((one, other), (other, one)):
            if self._is_call(call) and not self._uses(value):
                self._others += 1
                self.tolerance = max(self.tolerance, tolerance)
                return call  # type: ignore[return-value]
        return None

    def _is_call(self, node: ast.expr) -> bool:
        """Whether this is `candidate(…)` with arguments that do not use the candidate."""
        return (
            isinstance(node, ast.Call)
            and _named(node.func, self._name)
            and not any(map(self._uses, [*node.args, *(word.value for word in node.keywords)]))
        )


def _with_outputs_in_place(
    check: ast.FunctionDef, is_call: Callable[[ast.expr], bool]
) -> ast.FunctionDef:
    """Return a copy in which assertions hold the call whose output the line before them kept.

    As it is, where such a variable is used elsewhere, too.
    """
    changed, kept = copy.deepcopy(check), set()
    for node in ast.walk(changed):
        for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if not isinstance(block, list):
                continue
            for place, statement in enumerate(block):
                if not isinstance(statement, ast.Assign) or not is_call(statement.value):
                    continue
                (target, *others) = statement.targets
                if others or not isinstance(target, ast.Name):
                    continue
                kept.add(target.id)
                block[place] = ast.Pass()
                put = _Put(target.id, statement.value)
                for following in range(place + 1, len(block)):
                    if not isinstance(block[following], ast.Assert):
                        break
                    block[following] = put.visit(block[following])
    left = {node.id for node in ast.walk(changed) if isinstance(node, ast.Name)}
    return check if left & kept else changed


class _Put(ast.NodeTransformer):
    """Puts an expression in the place of a variable."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name, self._value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the name, or the expression."""
        return copy.deepcopy(self._value) if node.id == self._name else node


class _Renamed(ast.NodeTransformer):
    """Calls the candidate where tests at the top of a file call the entry point."""

    def __init__(self, entry_point: str) -> None:
        self._entry_point = entry_point

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Return the name, or the candidate's."""
        return ast.Name("candidate", node.ctx) if node.id == self._entry_point else node


def _check_of(tree: ast.Module) -> ast.FunctionDef | None:
    """Return the function `check(candidate)` of a program, if it has one."""
    for statement in tree.body:
        if not isinstance(statement, ast.FunctionDef) or statement.name != "check":
            continue
        if len(statement.args.args) == 1:
            return statement
    return None


def _asserts_equality(function: ast.FunctionDef) -> bool:
    """Tell whether a function of the tests asserts that its first two arguments are equal.

    Or close, by numpy's `assert_allclose`. Each way through it has to end in such an assertion, and
    before it may stand conditions and assignments alone: the form in which EvalPlus publishes its
    data sets.
    """
    names = [argument.arg for argument in function.args.args]
    if len(names) < 2:
        return False
    one, other = names[:2]

    def is_equality(node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Compare)
            and [type(operator) for operator in node.ops] == [ast.Eq]
            and _named(node.left, one)
            and _named(node.comparators[0], other)
        )

    nodes = [node for statement in function.body for node in ast.walk(statement)]
    equal = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and is_equality(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def is_closeness(node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "assert_allclose"
            and len(node.args) == 2
            and _named(node.args[0], one)
            and _named(node.args[1], other)
            and all(
                word.arg == "atol"
                or (word.arg == "rtol" and (_number(word.value) or 1.0) <= MOST_RELATIVE)
                for word in node.keywords
            )
        )

    def ends_well(block: list[ast.stmt]) -> bool:
        match block:
            case [*_, ast.Assert(test=test)]:
                return is_equality(test) or (isinstance(test, ast.Name) and test.id in equal)
            case [*_, ast.Expr(value=value)]:
                return is_closeness(value)
            case [*_, ast.If(body=body, orelse=orelse)]:
                return ends_well(body) and ends_well(orelse)
        return False

    statements = [node for node in nodes if isinstance(node, ast.stmt)]
    known = (ast.Assign, ast.If, ast.Assert, ast.Expr)
    stored = [node.id for node in nodes if isinstance(node, ast.Name) and _is_stored(node)]
    once = all(stored.count(name) == 1 for name in equal) and not {one, other} & set(stored)
    return once and all(isinstance(each, known) for each in statements) and ends_well(function.body)


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _argument_of(node: ast.expr, function: str) -> ast.expr | None:
    """Return what `function(…)` is given, if that is what a node is."""
    if isinstance(node, ast.Call) and _named(node.func, function) and len(node.args) == 1:
        return node.args[0]
    return None


def _named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _number(node: ast.expr) -> float | None:
    """Return a number that is written out; also `10 ** -6`."""
    try:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return float(ast.literal_eval(node.left) ** ast.literal_eval(node.right))
        return float(ast.literal_eval(node))
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        return None


def _short(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 80 else f"{text[:77]}..."
