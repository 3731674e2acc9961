"""Python source of problems: its tree, and which statements a name needs."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator


def parse(source: str) -> ast.Module:
    r"""Return the tree of a program of someone else: `"\d"` is not worth a warning here.

    Raises:
        SyntaxError: the program is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def needed(tree: ast.Module, names: Iterable[str]) -> list[ast.stmt]:
    """Return the statements of a module that make some names, and all that these need.

    Imports are among them. The order is that of the module.
    """
    makers: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _bound(statement):
            makers.setdefault(name, []).append(statement)
    todo, found = list(names), set()
    while todo:
        for statement in makers.pop(todo.pop(), ()):
            if statement not in found:
                found.add(statement)
                todo += _used(statement)
    return [statement for statement in tree.body if statement in found]


def bound_by(alias: ast.alias) -> str:
    """Return the name that an import makes."""
    return alias.asname or alias.name.partition(".")[0]


def _used(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement uses, those in quoted annotations included."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            yield node.id
        for field in ("annotation", "returns"):
            for part in ast.walk(getattr(node, field, None) or ast.Pass()):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from _WORD.findall(part.value)


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module makes or changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {bound_by(alias) for alias in statement.names}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif _changes_in_place(node):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names


def _changes_in_place(node: ast.AST) -> bool:
    """Tell whether a node changes what a name stands for (`table[key] = 1`, `names.sort()`)."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        return isinstance(node.ctx, ast.Store | ast.Del)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


_WORD = re.compile(r"[^\W\d]\w*")
