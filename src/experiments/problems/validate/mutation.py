"""Programs with one small mistake each, made from a correct one: do the tests notice?

Tests are as strong as the mistakes that they find. A mutant is the reference with a single
change of the kind that programmers make; a test set kills it if some test fails on it. The
share of killed mutants measures the tests, without any model.

Comparison
    `<` to `<=` and to `>=`, `<=` to `<` and to `>`, and so on; `==` and `!=`, `in` and
    `not in`, `is` and `is not` for each other.
Arithmetic
    `+` and `-`, `/` and `//`, `<<` and `>>`, `&` and `|` for each other; `*` to `+`, `%` to
    `//`, `**` to `*`, `^` to `&`; a sign or a `~` left out.
Boolean operator
    `and` and `or` for each other; one operand left out; `not` left out.
Condition (of `if`, `elif`, `while`, `case`, a conditional expression, a comprehension)
    negated; False; True, but for `while`.
Constant
    a number one more and one less; True and False for each other; None to 0; a text without
    its last character, an empty one to `'X'`; a format specification left out.
Bound
    of a slice left out; of a slice or a `range` one more and one less; `range(n)` to
    `range(1, n)`.
Returned value
    of `return`, `yield` and `lambda`: None.
Statement
    left out: assignment, call, `return`, `raise`, `del`, `for` loop, `break`, `continue`;
    `continue` to `break`.

Only what the entry point needs is changed. Docstrings, annotations, decorators, assertions,
`strict=` of `zip`, and what is given to an exception that is raised are not: outputs do not
show them. What would be the same change twice (a negated `a < b` is `a >= b`) is made once.
What this module does not do: run anything, or tell which mutants behave as the original.
"""

from __future__ import annotations

import ast
import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType

from experiments.problems.source import needed, parse


@dataclass(frozen=True)
class Mutant:
    """A program with one change.

    Attributes:
        source: the changed program, without comments.
        line: of the change, in the original program.
        change: what was changed (`` `a < b` -> `a <= b` ``). It names the change within its
            program: where the same text is changed in several places, the later ones end in
            `#2`, `#3`, ... It holds no line number, so that it outlives other edits.
    """

    source: str
    line: int
    change: str

    def __str__(self) -> str:
        """Return the change with its line."""
        return f"line {self.line}: {self.change}"


def mutants(source: str, entry_point: str) -> Iterator[Mutant]:
    """Yield every mutant of a program, in the order of its lines.

    No two have the same source, none has that of the original, and each compiles.

    Args:
        source: a complete Python program.
        entry_point: the function that is called; what it does not need stays as it is.

    Raises:
        SyntaxError: the program is no Python.
        ValueError: the program does not define the entry point.
    """
    tree = parse(source)
    if not needed(tree, [entry_point]):
        raise ValueError(f"the program does not define {entry_point}")
    seen = {ast.unparse(tree)}
    names: Counter[str] = Counter()
    parts = [(part, tree.body.index(part)) for part in needed(tree, [entry_point])]
    places = [place for part, index in parts for place in _places(part, tree, "body", index)]
    places.sort(key=lambda place: (place.node.lineno, place.node.col_offset))
    for place in places:
        for change in place.changes:
            changed = _applied(tree, place, change.node)
            if changed is None or changed in seen or not _compiles(changed):
                continue
            seen.add(changed)
            names[change.text] += 1
            number = names[change.text]
            text = change.text if number == 1 else f"{change.text} #{number}"
            yield Mutant(changed, place.node.lineno, text)


# --- where something can be changed ---------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """What stands in place of a node, and how that is told."""

    node: ast.AST
    text: str


@dataclass(frozen=True)
class _Place:
    """A node, where it hangs in the tree, and what can be put there.

    `index` is the position within the parent's field if that is a list.
    """

    node: ast.expr | ast.stmt
    parent: ast.AST
    field: str
    index: int | None
    changes: Iterator[_Change]

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _applied(tree: ast.Module, place: _Place, node: ast.AST) -> str | None:
    """Return the program with `node` in that place; None if it cannot be written down."""
    place.put(node)
    try:
        return ast.unparse(tree)
    except ValueError:  # before Python 3.12, f-strings cannot hold every quote and backslash
        return None
    finally:
        place.put(place.node)


def _compiles(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "mutant", "exec", dont_inherit=True)
        except SyntaxError:  # such as `nonlocal` without the assignment that was left out
            return False
    return True


_UNTOUCHED = {
    *("annotation", "returns", "decorator_list", "bases", "type_params"),
    "format_spec",  # left out as a whole
}


def _places(
    node: ast.AST, parent: ast.AST, field: str, index: int | None, depth: int = 0
) -> Iterator[_Place]:
    """Yield all places in a part of a program where something can be changed.

    Args:
        node: the part.
        parent: the node that it hangs on; likewise `field` and `index` of `_Place`.
        field: of the parent.
        index: in the field.
        depth: number of functions around it: outside of them no statement is left out.
    """
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal):
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    if isinstance(node, ast.stmt) and depth:
        yield _Place(node, parent, field, index, _of_statement(node, parent, field))
    if isinstance(node, ast.expr):
        yield _Place(node, parent, field, index, _of_expression(node, parent, field))
    if isinstance(node, ast.Raise):
        return  # the statement can be left out; what it gives the exception is not shown
    depth += isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST) and name not in _UNTOUCHED:
            yield from _places(value, node, name, None, depth)
        elif isinstance(value, list) and name not in _UNTOUCHED:
            for position, item in enumerate(value):
                is_docstring = position == 0 and name == "body" and _has_docstring(node)
                if isinstance(item, ast.AST) and not is_docstring:
                    yield from _places(item, node, name, position, depth)


def _has_docstring(node: ast.AST) -> bool:
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(node, definitions) and ast.get_docstring(node, clean=False) is not None


# --- changes of statements ------------------------------------------------------------------

_DROPPED = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Delete,
    ast.For, ast.AsyncFor, ast.Break, ast.Continue,
)  # fmt: skip


def _of_statement(node: ast.stmt, parent: ast.AST, field: str) -> Iterator[_Change]:
    if isinstance(node, ast.AugAssign):
        for operator in _ARITHMETIC.get(type(node.op), ()):
            new = copy.copy(node)
            new.op = operator()
            yield _told(node, new)
    if isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | None):
        yield _told(node, ast.Return(ast.Constant(None)))
    if isinstance(node, ast.Continue):
        yield _told(node, ast.Break())
    if isinstance(node, _DROPPED) and not _is_nothing(node, parent, field):
        yield _Change(ast.Pass(), f"{_quoted(node)} left out")


def _is_nothing(node: ast.stmt, parent: ast.AST, field: str) -> bool:
    """Tell whether a statement has no effect, or its absence is another mutant."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    if isinstance(node, ast.Return) and isinstance(parent, ast.FunctionDef) and field == "body":
        return parent.body[-1] is node  # as good as `return None`
    return False


# --- changes of expressions -----------------------------------------------------------------

_COMPARISON: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}

_ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitAnd,),
}


def _of_expression(node: ast.expr, parent: ast.AST, field: str) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        yield from _of_comparison(node)
    elif isinstance(node, ast.BinOp):
        for operator in _ARITHMETIC.get(type(node.op), ()):
            yield _told(node, ast.BinOp(node.left, operator(), node.right))
    elif isinstance(node, ast.BoolOp):
        yield from _of_bool_op(node)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield _told(node, node.operand)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node, parent, field)
    elif isinstance(node, ast.Slice):
        yield from _of_slice(node, parent)
    elif isinstance(node, ast.Call) and _is_range(node):
        yield from _of_range(node)
    elif isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        new = ast.FormattedValue(node.value, node.conversion, None)
        yield _Change(new, f"{_format_quoted(node)} -> {_format_quoted(new)}")
    elif isinstance(node, ast.Lambda) and not isinstance(node.body, ast.Constant):
        yield _told(node, ast.Lambda(node.args, ast.Constant(None)))
    elif isinstance(node, ast.Yield) and not isinstance(node.value, ast.Constant | None):
        yield _told(node, ast.Yield(ast.Constant(None)))
    if _is_condition(parent, field):
        yield from _of_condition(node, parent)


def _is_condition(parent: ast.AST, field: str) -> bool:
    return (
        (isinstance(parent, ast.If | ast.While | ast.IfExp) and field == "test")
        or (isinstance(parent, ast.comprehension) and field == "ifs")
        or (isinstance(parent, ast.match_case) and field == "guard")
    )


def _of_condition(node: ast.expr, parent: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Constant):
        return
    negated_elsewhere = isinstance(node, ast.Compare) and len(node.ops) == 1
    negated_elsewhere |= isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    if not negated_elsewhere:
        yield _told(node, ast.UnaryOp(ast.Not(), node))
    if not isinstance(parent, ast.While):  # would be an endless loop, found by any test
        yield _told(node, ast.Constant(True))
    yield _told(node, ast.Constant(False))


def _of_comparison(node: ast.Compare) -> Iterator[_Change]:
    for place, operator in enumerate(node.ops):
        for other in _COMPARISON[type(operator)]:
            operators = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield _told(node, ast.Compare(node.left, operators, node.comparators))


def _of_bool_op(node: ast.BoolOp) -> Iterator[_Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield _told(node, ast.BoolOp(other, node.values))
    for place in range(len(node.values)):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        yield _told(node, rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))


def _of_constant(node: ast.Constant, parent: ast.AST, field: str) -> Iterator[_Change]:
    if isinstance(parent, ast.Compare) and any(
        isinstance(operator, ast.Is | ast.IsNot) for operator in parent.ops
    ):
        return
    for value in _other_values(node.value):
        new = ast.Constant(value)
        if isinstance(parent, ast.JoinedStr):
            yield _told(node, new)
        else:
            yield _in_context(node, new, parent)


_Value = str | bytes | bool | int | float | complex | EllipsisType | None


def _other_values(value: _Value) -> tuple[_Value, ...]:
    """Return what a constant is replaced with."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int | float):
        return (value + 1, value - 1)
    if isinstance(value, str):
        return (value[:-1] if value else "X",)
    if isinstance(value, bytes):
        return (value[:-1] if value else b"X",)
    return (0,) if value is None else ()


def _of_slice(node: ast.Slice, parent: ast.AST) -> Iterator[_Change]:
    assert isinstance(parent, ast.Subscript | ast.Tuple)
    for name in ("lower", "upper", "step"):
        bound = getattr(node, name)
        if bound is None:
            continue
        others: list[ast.expr | None] = [None]
        if name != "step":
            others.extend(_neighbours(bound))
        for other in others:
            new = copy.copy(node)
            setattr(new, name, other)
            yield _in_context(node, new, parent)


def _is_range(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords


def _of_range(node: ast.Call) -> Iterator[_Change]:
    for place, bound in enumerate(node.args[:2]):
        for other in _neighbours(bound):
            arguments = [*node.args[:place], other, *node.args[place + 1 :]]
            yield _told(node, ast.Call(node.func, arguments, []))
    if len(node.args) == 1:
        yield _told(node, ast.Call(node.func, [ast.Constant(1), node.args[0]], []))


def _neighbours(bound: ast.expr) -> list[ast.expr]:
    """Return a bound one higher and one lower, unless a constant in it is changed so anyway."""
    parts: list[ast.expr] = [bound]
    if isinstance(bound, ast.BinOp) and isinstance(bound.op, ast.Add | ast.Sub):
        parts = [bound.left, bound.right]
    elif isinstance(bound, ast.UnaryOp):
        parts = [bound.operand]
    if any(isinstance(part, ast.Constant | ast.Starred) for part in parts):
        return []
    return [
        ast.BinOp(bound, ast.Add(), ast.Constant(1)),
        ast.BinOp(bound, ast.Sub(), ast.Constant(1)),
    ]


# --- how changes are told -------------------------------------------------------------------

_CONTEXT = (ast.expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)
_CONTEXT_LENGTH = 60


def _told(old: ast.AST, new: ast.AST) -> _Change:
    return _Change(new, f"{_quoted(old)} -> {_quoted(new)}")


def _in_context(old: ast.expr, new: ast.expr, parent: ast.AST) -> _Change:
    """Tell a small change with the expression around it, if that is short."""
    if isinstance(parent, ast.keyword):
        name = f"{parent.arg}=" if parent.arg else "**"
        return _Change(new, f"`{name}{_text(old)}` -> `{name}{_text(new)}`")
    if isinstance(parent, _CONTEXT) and len(_text(parent)) <= _CONTEXT_LENGTH:
        changed = copy.copy(parent)
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(changed, name, new)
            elif isinstance(value, list):
                setattr(changed, name, [new if item is old else item for item in value])
        return _Change(new, f"{_quoted(parent)} -> {_quoted(changed)}")
    return _told(old, new)


def _quoted(node: ast.AST) -> str:
    return f"`{_text(node)}`"


def _text(node: ast.AST) -> str:
    """Return a node as source; of a compound statement its first line."""
    text = ast.unparse(ast.fix_missing_locations(copy.copy(node)))
    return text.splitlines()[0] if isinstance(node, ast.stmt) and text else text


def _format_quoted(node: ast.FormattedValue) -> str:
    return _quoted(ast.JoinedStr([node]))
