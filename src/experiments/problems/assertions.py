"""The tests of a HumanEval problem -> what each of their assertions says of the solution.

Verdicts cannot be forged because a program under test gets inputs and gives outputs, and the
assertions of a file would have to run beside it. So assertions are turned into inputs. That holds
only where each assertion says that one call gives one value, so every assertion is held against a
few forms:

    assert candidate(…) == value        also the other way round, and `is`
    assert candidate(…)                 also `not candidate(…)`, if the outputs are true or false
    assert abs(candidate(…) - value) < tolerance        also `math.isclose(candidate(…), value)`
    assert set(candidate(…)) == set(value)              if all assertions of the problem do
    assertion(candidate(…), value, tolerance)           a function of the tests that asserts that
    output = candidate(…); assert output == value       each of these, with a variable between

A problem with another assertion cannot be turned.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable

from experiments.problems.source import parse

MOST_RELATIVE = 1e-6
"""A larger relative tolerance is one that our comparison of floats does not have."""


class CannotBeTurnedError(Exception):
    """Says why the tests of a problem are no inputs and outputs."""


class Tests:
    """The tests of a problem: a function `check(candidate)`, and what its assertions say.

    Attributes:
        source: a program that defines `check`.
        tolerance: the largest that an assertion allows; 0 if all want equal values.
        has_bare_calls: some assertions are a call alone, which only fixes an output that is true
            or false.
        comparison: `equal`, or `set` where only the set of the items counts.

    Raises:
        CannotBeTurnedError: an assertion has none of the known forms.
    """

    def __init__(self, source: str, entry_point: str) -> None:
        try:
            tree = parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotBeTurnedError(f"its tests are no Python: {error}") from None
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
            tree, check = _as_check(tree, entry_point)
        self._name = check.args.args[0].arg
        self._inspect(_with_outputs_in_place(check, self._is_call))
        self.comparison = "set" if self._sets else "equal"
        if self._sets and self._others:
            raise CannotBeTurnedError("some assertions compare sets of items, and some do not")
        self.source = ast.unparse(ast.fix_missing_locations(tree))

    def _inspect(self, check: ast.FunctionDef) -> None:
        """Hold each use of the candidate against the forms."""
        seen: set[ast.AST] = set()
        for node in ast.walk(check):
            if isinstance(node, ast.Assert) and self._uses(node.test):
                call = self._call_in(node.test)
                if call is None:
                    raise CannotBeTurnedError(
                        f"an assertion is not of a known form: {_short(node.test)}"
                    )
                seen.update(ast.walk(call.func))
            if isinstance(node, ast.Assert) and node.msg is not None:
                seen.update(ast.walk(node.msg))  # which is for a person
            if isinstance(node, ast.Expr) and (helped := self._helped_call(node.value)):
                seen.update(ast.walk(helped.func))
        for node in ast.walk(check):
            if isinstance(node, ast.Name) and node.id == self._name and node not in seen:
                raise CannotBeTurnedError(f"{self._name} is used outside of an assertion's call")
            if isinstance(node, ast.Try | ast.With) and self._uses(node):
                raise CannotBeTurnedError("it is tested within try or with")

    def _uses(self, node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id == self._name for n in ast.walk(node))

    def _call_in(self, test: ast.expr) -> ast.Call | None:
        """Return the call whose output an assertion fixes; None if its form is not known."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
            if not self._is_call(test):
                return None  # it is only said what the output is not
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
            if call := self._within(left, right, 0.0):
                return call
            for one, other in ((left, right), (right, left)):
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


def _check_of(tree: ast.Module) -> ast.FunctionDef | None:
    """Return the function `check(candidate)` of a program, if it has one."""
    functions = (each for each in tree.body if isinstance(each, ast.FunctionDef))
    named = (each for each in functions if each.name == "check" and len(each.args.args) == 1)
    return next(named, None)


def _as_check(tree: ast.Module, entry_point: str) -> tuple[ast.Module, ast.FunctionDef]:
    """Return tests that call the entry point at the top of a file as a program with `check`."""
    body = [part for part in tree.body if not isinstance(part, ast.Import | ast.ImportFrom)]
    imports = [part for part in tree.body if part not in body]
    check = parse("def check(candidate): pass").body[0]
    assert isinstance(check, ast.FunctionDef)
    put = _Put(entry_point, ast.Name("candidate"))
    check.body = [put.visit(part) for part in body] or check.body
    return ast.Module([*imports, check], []), check


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
    names_used = [node for node in nodes if isinstance(node, ast.Name)]
    stored = [name.id for name in names_used if isinstance(name.ctx, ast.Store)]
    once = all(stored.count(name) == 1 for name in equal) and not {one, other} & set(stored)
    return once and all(isinstance(each, known) for each in statements) and ends_well(function.body)


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
