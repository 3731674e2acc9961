"""One of our own problem files -> what stands in it, read by `ast` alone.

The form is described in `problems/README.md`. Everything that can be told without running
the file is told here, each mistake as a `DatasetError` that names the file and the line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from experiments.environment.terminal import counted
from experiments.errors import DatasetError, did_you_mean
from experiments.problems.source import bound_by, needed, parse
from experiments.prompts import Example, examples
from experiments.records import Inputs

DIFFICULTIES = ("easy", "medium", "hard")
BASE_INPUTS = range(5, 16)
"""How many base inputs a problem may have: what a person would try."""

EXTRA_INPUTS = "extra_inputs"
_REQUIRED = ("ID", "TITLE", "DIFFICULTY", "TOPICS", "ENTRY_POINT", "BASE_INPUTS")
_OPTIONAL = ("ATOL", "EQUIVALENT_MUTANTS")
_COPY = "Copy the form from another file in that folder; problems/README.md explains it."


@dataclass(frozen=True)
class Form:
    """What stands in a problem file.

    Attributes:
        path: of the file, as it was named.
        source: the whole file.
        prompt: what the signature needs, the signature and the docstring.
        reference: the entry point and all that it needs of the file.
        reference_lines: for each line of the reference, its line in the file.
        examples: calls of the docstring with what they show.
        base_inputs: positional arguments per call.
        equivalent_mutants: change to the reason why it changes nothing.
        function: the entry point.
    """

    path: Path
    source: str
    id: str
    title: str
    difficulty: str
    topics: tuple[str, ...]
    entry_point: str
    atol: float
    prompt: str
    reference: str
    reference_lines: tuple[int, ...]
    examples: tuple[Example, ...]
    base_inputs: Inputs
    equivalent_mutants: dict[str, str]
    function: ast.FunctionDef


def read_form(path: Path) -> Form:
    """Return what stands in a problem file.

    Raises:
        DatasetError: the first mistake in it.
    """
    return _Reader(path).form()


def check_arguments(function: ast.FunctionDef, count: int) -> str:
    """Return why a function cannot be called with so many positional arguments, or nothing."""
    arguments = function.args
    takes = [*arguments.posonlyargs, *arguments.args]
    least = len(takes) - len(arguments.defaults)
    if count < least or (count > len(takes) and not arguments.vararg):
        named = ", ".join(argument.arg for argument in takes)
        return f"has {counted(count, 'argument')}, but {function.name}({named}) is called"
    return ""


class _Reader:
    """Reads one file; each method looks at one part of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.source = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise DatasetError(f"{path} is not UTF-8 text", "Save it as UTF-8.") from None
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read: {error.strerror}", "Check the name and its permissions."
            ) from None
        try:
            self.tree = parse(self.source)
        except SyntaxError as error:
            self.fail(error.lineno or 1, f"this is no Python: {error.msg}", "Correct that line.")
        except (ValueError, RecursionError, MemoryError) as error:
            self.fail(1, f"this is no Python: {error}", "Write it as plain source.")
        self.lines = self.source.split("\n")  # as Python counts them; not at U+2028
        self.fields = self._constants()

    def fail(self, line: int, what: str, hint: str) -> NoReturn:
        raise DatasetError(f"{self.path}, line {line}: {what}", hint)

    def form(self) -> Form:
        for name in _REQUIRED:
            if name not in self.fields:
                self._missing(name)
        problem_id = self._text("ID")
        expected = f"{self.path.parent.name}/{self.path.stem}"
        if problem_id != expected:
            self.fail(
                self._line("ID"),
                f"ID is '{problem_id}', but the file is {expected}.py",
                f'Write ID = "{expected}" or move the file.',
            )
        difficulty = self._text("DIFFICULTY")
        if difficulty not in DIFFICULTIES:
            self.fail(
                self._line("DIFFICULTY"),
                f"unknown difficulty '{difficulty}'",
                did_you_mean(difficulty, DIFFICULTIES),
            )
        if difficulty != self.path.parent.name:
            self.fail(
                self._line("DIFFICULTY"),
                f"DIFFICULTY is '{difficulty}', but the file is in {self.path.parent.name}/",
                f"Move the file to {difficulty}/ or correct the difficulty.",
            )
        function = self._function()
        statement = self._statement(function)
        base_inputs = self._base_inputs(function)
        self._generator()
        reference, lines = self._reference(function.name)
        prompt = self._prompt(function)
        self._check_all_is_read()
        return Form(
            path=self.path,
            source=self.source,
            id=problem_id,
            title=self._text("TITLE"),
            difficulty=difficulty,
            topics=self._topics(),
            entry_point=function.name,
            atol=self._atol(),
            prompt=prompt,
            reference=reference,
            reference_lines=lines,
            examples=statement,
            base_inputs=base_inputs,
            equivalent_mutants=self._equivalent_mutants(),
            function=function,
        )

    # --- constants

    def _constants(self) -> dict[str, tuple[ast.expr, int]]:
        found: dict[str, tuple[ast.expr, int]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target, value = node.targets[0], node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                target, value = node.target, node.value
            else:
                continue
            if isinstance(target, ast.Name):
                if target.id in found and target.id in (*_REQUIRED, *_OPTIONAL):
                    self.fail(node.lineno, f"{target.id} is set twice", "Keep one of them.")
                found[target.id] = (value, node.lineno)
        return found

    def _check_all_is_read(self) -> None:
        """A constant that nothing reads is most often a misspelt field."""
        read = {
            node.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        quoted = {
            word
            for node in ast.walk(self.tree)
            if isinstance(node, ast.arg | ast.FunctionDef)
            for word in re.findall(r"\w+", _annotation(node))
        }
        for name, (_, line) in self.fields.items():
            if not name.startswith("_") and name not in read | quoted | {*_REQUIRED, *_OPTIONAL}:
                close = did_you_mean(name, _OPTIONAL)
                hint = close if close.startswith("Did you mean") else "Use it, or take it out."
                self.fail(line, f"nothing reads {name}", hint)

    def _missing(self, name: str) -> NoReturn:
        known = [field for field in self.fields if field not in (*_REQUIRED, *_OPTIONAL)]
        close = did_you_mean(name, known)
        hint = f"{close} {_COPY}" if close.startswith("Did you mean") else _COPY
        raise DatasetError(f"{self.path} has no {name}", hint)

    def _line(self, name: str) -> int:
        return self.fields[name][1]

    def _literal(self, name: str) -> Any:
        value, _ = self.fields[name]
        try:
            return ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            self.fail(
                _first_not_literal(value).lineno,
                f"{name} is not made of literals",
                "The file is read and never run: write the values out"
                + (
                    f", or move computed inputs to {EXTRA_INPUTS}()." * (name == "BASE_INPUTS")
                    or "."
                ),
            )

    def _text(self, name: str) -> str:
        value = self._literal(name)
        if not isinstance(value, str) or not value.strip():
            self.fail(self._line(name), f"{name} is not a text", f'Write {name} = "...".')
        return value

    def _topics(self) -> tuple[str, ...]:
        value = self._literal("TOPICS")
        if (
            not isinstance(value, tuple | list)
            or not value
            or not all(isinstance(topic, str) and topic for topic in value)
        ):
            self.fail(
                self._line("TOPICS"),
                "TOPICS is not a tuple of texts",
                'Write TOPICS = ("sorting",): one topic needs the comma, too.',
            )
        return tuple(value)

    def _atol(self) -> float:
        if "ATOL" not in self.fields:
            return 0.0
        value = self._literal("ATOL")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            self.fail(
                self._line("ATOL"),
                f"ATOL is {value!r}, which is no tolerance",
                "Write a small number such as ATOL = 1e-6.",
            )
        return float(value)

    def _equivalent_mutants(self) -> dict[str, str]:
        if "EQUIVALENT_MUTANTS" not in self.fields:
            return {}
        value = self._literal("EQUIVALENT_MUTANTS")
        if not isinstance(value, dict) or not all(
            isinstance(text, str) and text.strip() for item in value.items() for text in item
        ):
            self.fail(
                self._line("EQUIVALENT_MUTANTS"),
                "EQUIVALENT_MUTANTS does not map changes to reasons",
                'Write EQUIVALENT_MUTANTS = {"`a < b` -> `a <= b`": "why it changes nothing"}.',
            )
        return value

    # --- the entry point

    def _function(self) -> ast.FunctionDef:
        name = self._text("ENTRY_POINT")
        functions = {
            node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)
        }
        if name not in functions:
            others = [other for other in functions if other != EXTRA_INPUTS]
            self.fail(
                self._line("ENTRY_POINT"),
                f"ENTRY_POINT is '{name}', but the file has no such function",
                did_you_mean(name, others) or f"Define it: def {name}(...).",
            )
        return functions[name]

    def _statement(self, function: ast.FunctionDef) -> tuple[Example, ...]:
        text = ast.get_docstring(function)
        if not text or not text.strip():
            self.fail(
                function.lineno,
                f"{function.name} has no docstring",
                "Its docstring is the statement of the problem: write it.",
            )
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        bare = [argument.arg for argument in arguments if argument.annotation is None]
        if bare or function.returns is None:
            what = f"the type of {bare[0]}" if bare else "the type that it returns"
            self.fail(
                function.lineno,
                f"the signature of {function.name} does not tell {what}",
                f"Annotate it: def {function.name}(name: type) -> type.",
            )
        found = examples(text)
        if not found:
            self.fail(
                function.lineno,
                f"the docstring of {function.name} has no examples",
                f"Add 2 to 4: a line `>>> {function.name}(...)`, below it the value.",
            )
        return found

    def _base_inputs(self, function: ast.FunctionDef) -> Inputs:
        value = self._literal("BASE_INPUTS")
        if not isinstance(value, list | tuple):
            self.fail(
                self._line("BASE_INPUTS"),
                "BASE_INPUTS is not a list",
                "Write BASE_INPUTS = [(first, second), ...]: one tuple of arguments per call.",
            )
        node = self.fields["BASE_INPUTS"][0]
        assert isinstance(node, ast.List | ast.Tuple)
        for place, (item, item_node) in enumerate(zip(value, node.elts, strict=True)):
            if not isinstance(item, tuple):
                self.fail(
                    item_node.lineno,
                    f"base input {place} is no tuple of arguments",
                    "A call with one argument is written (argument,), with the comma.",
                )
            problem = check_arguments(function, len(item))
            if problem:
                self.fail(
                    item_node.lineno,
                    f"base input {place} {problem}",
                    "Write one value per parameter.",
                )
        if len(value) not in BASE_INPUTS:
            few = len(value) < BASE_INPUTS.start
            self.fail(
                self._line("BASE_INPUTS"),
                f"there are {len(value)} base inputs, {'fewer' if few else 'more'} than "
                f"{BASE_INPUTS.start if few else BASE_INPUTS.stop - 1}",
                "Add what a person would try." if few else f"Move some to {EXTRA_INPUTS}().",
            )
        return tuple(value)

    def _generator(self) -> None:
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == EXTRA_INPUTS:
                if check_arguments(node, 1):
                    self.fail(
                        node.lineno,
                        f"{EXTRA_INPUTS} does not take one argument",
                        f"Write def {EXTRA_INPUTS}(random: Random) -> Iterator[tuple]:",
                    )
                return
        raise DatasetError(
            f"{self.path} has no function {EXTRA_INPUTS}",
            f"Write def {EXTRA_INPUTS}(random: Random) -> Iterator[tuple]: {_COPY}",
        )

    # --- programs made of the file

    def _prompt(self, function: ast.FunctionDef) -> str:
        signature = ast.FunctionDef(
            function.name, function.args, [ast.Pass()], [], function.returns, lineno=0
        )
        bare = ast.Module([*self.tree.body, signature], [])
        bare.body.remove(function)
        parts = [part for part in needed(bare, [function.name]) if part is not signature]
        text, _ = self._program(parts, {function.name})
        last = function.body[0].end_lineno
        assert last is not None
        own = "\n".join(self.lines[function.lineno - 1 : last])
        return f"{text}\n\n{own}\n" if text else f"{own}\n"

    def _reference(self, entry_point: str) -> tuple[str, tuple[int, ...]]:
        text, lines = self._program(needed(self.tree, [entry_point]), {entry_point})
        return text, tuple(lines)

    def _program(self, parts: Sequence[ast.stmt], known: set[str]) -> tuple[str, list[int]]:
        """Return statements as source with their comments, and the line of each line."""
        used = {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
        if known:  # names in the signature and in quoted annotations of the entry point
            used |= {
                word
                for node in self.tree.body
                if isinstance(node, ast.FunctionDef) and node.name in known
                for word in re.findall(r"\w+", f"{ast.unparse(node.args)} {_annotation(node)}")
            }
        text: list[str] = []
        numbers: list[int] = []
        for part in parts:
            last = part.end_lineno
            assert last is not None
            if isinstance(part, ast.Import | ast.ImportFrom):
                names = [alias for alias in part.names if bound_by(alias) in used]
                if not names:
                    continue
                first = part.lineno
                if len(names) == len(part.names):
                    lines = self.lines[first - 1 : last]
                else:
                    part.names, kept = names, part.names
                    lines = [ast.unparse(part)]
                    part.names = kept
            else:
                first = _first_line(part, self.lines)
                lines = self.lines[first - 1 : last]
            if text:
                blank = _blank_lines_above(first, self.lines)
                text += [""] * blank
                numbers += [first - 1] * blank
            text += lines
            numbers += list(range(first, first + len(lines)))
        return "".join(f"{line}\n" for line in text), numbers


def _annotation(node: ast.arg | ast.FunctionDef) -> str:
    annotation = node.annotation if isinstance(node, ast.arg) else node.returns
    return ast.unparse(annotation) if annotation else ""


def _first_line(node: ast.stmt, lines: list[str]) -> int:
    """Return the first line of a definition with its decorators and the comments above it."""
    decorators = getattr(node, "decorator_list", [])
    first: int = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return first


def _blank_lines_above(line: int, lines: list[str]) -> int:
    blank = 0
    while blank < 2 and line - 2 - blank >= 0 and not lines[line - 2 - blank].strip():
        blank += 1
    return blank


def _first_not_literal(node: ast.expr) -> ast.expr:
    """Return the innermost part that is not a literal."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            try:
                ast.literal_eval(child)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                return _first_not_literal(child)
    return node
