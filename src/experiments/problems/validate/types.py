"""Do inputs and outputs have the types that a signature promises?"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.problems import Form
from experiments.problems.run import plain
from experiments.problems.source import parse
from experiments.problems.validate.report import Finding
from experiments.records import Problem
from experiments.sandbox import Kind, Sandbox, decode

_PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),  # as Python's type checkers have it
    "complex": (complex, float, int),
    "str": (str,),
    "bytes": (bytes,),
    "bool": (bool,),
    "None": (type(None),),
    "list": (list,),
    "tuple": (tuple,),
    "dict": (dict,),
    "set": (set,),
    "frozenset": (frozenset,),
}
_SEQUENCES = {"Sequence", "Iterable", "Collection"}
_SECONDS = 10.0


def badly_typed_inputs(problem: Problem, form: Form) -> Iterator[Finding]:
    """Tell the first input of each test set that is not as the signature says."""
    aliases = _aliases(form)
    parameters = [*form.function.args.posonlyargs, *form.function.args.args]
    for kind, inputs in (("base", problem.base_inputs), ("extra", problem.extra_inputs)):
        wrong = (
            f"{kind} input {place}, {parameter.arg}: {text}"
            for place, arguments in enumerate(inputs)
            for parameter, value in zip(parameters, arguments, strict=False)
            if parameter.annotation and (text := mismatch(value, parameter.annotation, aliases))
        )
        first = next(wrong, None)
        if first:
            yield Finding(str(form.path), f"{first}. Correct the input or the signature.")


def badly_typed_outputs(
    problems: Sequence[tuple[Problem, Form]], preload: Sequence[str]
) -> Iterator[Finding]:
    """Tell the first output of each reference that is not as its signature says."""
    with Sandbox(preload=preload) as sandbox:
        for problem, form in problems:
            returns = form.function.returns
            assert returns is not None
            aliases = _aliases(form)
            inputs = [*problem.base_inputs, *problem.extra_inputs]
            seconds = [_SECONDS] * len(inputs)
            for reply in sandbox.run(problem.reference, problem.entry_point, inputs, seconds):
                if reply.kind is not Kind.VALUE:
                    continue
                try:
                    text = mismatch(plain(decode(reply.payload)), returns, aliases)
                except ValueError as error:  # not plain data
                    text = str(error)
                if text:
                    yield Finding(
                        str(form.path),
                        f"the output for input {reply.index} is not as the signature says: "
                        f"{text}. Correct the reference or the signature.",
                    )
                    break


def _aliases(form: Form) -> dict[str, ast.expr]:
    """Return the names of a module that may stand for types."""
    return {
        node.targets[0].id: node.value
        for node in parse(form.source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def mismatch(value: Any, annotation: ast.expr, aliases: Mapping[str, ast.expr]) -> str:
    """Return what in a value is not as annotated (`'x' is no int`); empty if all is.

    An annotation that is not understood (a type variable, a protocol) fits everything.

    Args:
        value: plain data.
        annotation: a type as it stands in a signature.
        aliases: names of the module that stand for types.
    """
    match annotation:
        case ast.Constant(value=None):
            return "" if value is None else _no(value, "None")
        case ast.Constant(value=str(text)):
            return mismatch(value, ast.parse(text, mode="eval").body, aliases)
        case ast.Name(id=name) if name in aliases:
            return mismatch(value, aliases[name], aliases)
        case ast.Name(id=name) if name in _PLAIN:
            # True is an int to Python, but hardly to someone who reads `int`
            fits = isinstance(value, _PLAIN[name]) and (
                not isinstance(value, bool) or name == "bool"
            )
            return "" if fits else _no(value, name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _none_fits(value, [left, right], aliases, ast.unparse(annotation))
        case ast.Subscript(value=ast.Name(id=name), slice=inside):
            return _generic(value, name, inside, annotation, aliases)
    return ""


def _generic(
    value: Any, name: str, inside: ast.expr, whole: ast.expr, aliases: Mapping[str, ast.expr]
) -> str:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    match name:
        case "Optional":
            return "" if value is None else mismatch(value, inside, aliases)
        case "Union":
            return _none_fits(value, parts, aliases, ast.unparse(whole))
        case "Literal":
            choices = [ast.literal_eval(part) for part in parts]
            return "" if value in choices else _no(value, ast.unparse(whole))
        case "list" | "set" | "frozenset":
            if type(value).__name__ != name:
                return _no(value, name)
            return _first(mismatch(item, inside, aliases) for item in value)
        case "tuple":
            if not isinstance(value, tuple):
                return _no(value, "tuple")
            if len(parts) == 2 and _is_ellipsis(parts[1]):
                return _first(mismatch(item, parts[0], aliases) for item in value)
            if len(parts) != len(value):
                return _no(value, ast.unparse(whole))
            return _first(
                mismatch(item, part, aliases) for item, part in zip(value, parts, strict=True)
            )
        case "dict" | "Mapping":
            if not isinstance(value, dict):
                return _no(value, "dict")
            return _first(
                mismatch(item, part, aliases)
                for pair in value.items()
                for item, part in zip(pair, parts, strict=False)
            )
        case _ if name in _SEQUENCES:
            if isinstance(value, dict) or not hasattr(value, "__iter__"):
                return _no(value, name)
            return _first(mismatch(item, inside, aliases) for item in value)
    return ""


def _none_fits(
    value: Any, types: list[ast.expr], aliases: Mapping[str, ast.expr], whole: str
) -> str:
    wrong = [mismatch(value, each, aliases) for each in types]
    return _no(value, whole) if all(wrong) else ""


def _first(texts: Any) -> str:
    return next((text for text in texts if text), "")


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _no(value: Any, name: str) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} is no {name}"
