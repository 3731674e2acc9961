"""From the answer's source to the program that is judged.

Two things are put right, and the text is otherwise left as the model wrote it:

- A definition that the program uses and lacks is brought in where the answer (another
  block, or code between prose) or the problem's statement has it.
- Statements that show the function off do not run when the program is loaded: the main
  block, asserts, and what prints, reads input, exits or calls the entry point. A wrong
  example would fail a right program, and `input()` would wait for nobody. A statement
  that binds or fills something that the function needs is always kept.
"""

import ast
import builtins
import re
import symtable
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.extract.grammar import DEFINING, defines, parse

# Beyond this a program is taken as it is: nobody writes so many statements by hand, and
# each is looked at by itself.
_MOST_STATEMENTS = 3000
# Definitions brought in, and places tried for each.
_MOST_DEFINITIONS = 64
_MOST_PLACES = 8

_BUILTINS = frozenset(dir(builtins))
_SHOWING = frozenset(
    {
        *("print", "input", "open", "exit", "quit", "breakpoint", "help", "stdin", "__name__"),
        *("unittest", "doctest", "pytest", "timeit", "argparse", "pprint"),
    }
)
_SHOWING_ATTRIBUTE = re.compile(r"\b(?:sys\s*\.\s*(?:exit|stdin|argv|stdout)|os\s*\.\s*_exit)\b")
_BINDING = re.compile(
    r"(?:async[ \t]+)?(?:def|class)[ \t]+(?P<definition>\w+)"
    r"|(?P<import>from|import)[ \t]"
    r"|(?P<value>[A-Z_][A-Z0-9_]*)[ \t]*(?::[^=\n]+)?=(?!=)"  # constants: others are examples
)


@dataclass(frozen=True)
class Extraction:
    """A program, and what the answer was like.

    Attributes:
        program: Python source; empty if the text has none.
        format_kept: the answer was exactly one closed Python block that parses and
            defines the entry point; for completions: the function was whole as written.
        syntax_valid: Python accepts the program, and it is not empty.
    """

    program: str
    format_kept: bool = False
    syntax_valid: bool = False


def finished(
    source: str, answer: str, statement: str, entry_point: str, format_kept: bool
) -> Extraction:
    """Return the program made of the chosen source.

    Args:
        source: the chosen part of the answer.
        answer: all of it (or its rest), where definitions are found that the part lacks.
        statement: the problem's statement, where imports and helpers are found.
        entry_point: what the program is there to define.
        format_kept: passed on.
    """
    if not source.strip():
        return Extraction("")
    tree = parse(source)
    if tree is None:
        return Extraction(source.rstrip() + "\n")
    units = _units(source, tree) if defines(tree, entry_point) else None
    if units is not None:
        kept = _without_showing(units, entry_point)
        source = _assembled(source, kept, units, _lacking(kept, [answer, statement], entry_point))
    program = source.strip("\n").rstrip() + "\n"
    return Extraction(program, format_kept, syntax_valid=parse(program) is not None)


@dataclass(frozen=True)
class _Unit:
    """Top-level statements that share their lines: usually one.

    Attributes:
        start, end: first line, and the line after the last; from 0.
        binds: names given a value, those whose attributes or items are set included.
        uses: global names that it reads, inside functions too.
        imports: it consists of imports.
        defines: it consists of functions, classes and imports: loading it shows nothing.
        shows: it prints, reads, exits or tests, by itself or when what it defines is called.
        idle: it can have no effect, except to fail (a name alone on its line).
        checks: it consists of asserts.
        text: its source.
    """

    start: int
    end: int
    binds: frozenset[str]
    uses: frozenset[str]
    imports: bool
    defines: bool
    shows: bool
    idle: bool
    checks: bool
    text: str


def _units(source: str, tree: ast.Module) -> list[_Unit] | None:
    """Return the top-level statements of a program; None if there are too many."""
    if len(tree.body) > _MOST_STATEMENTS:
        return None
    groups: list[list[ast.stmt]] = []
    end = 0
    for node in tree.body:
        if groups and node.lineno <= end:
            groups[-1].append(node)
        else:
            groups.append([node])
        end = max(end, node.end_lineno or node.lineno)
    lines = source.split("\n")
    units = [unit for nodes in groups if (unit := _unit(lines, nodes))]
    return units if len(units) == len(groups) else None


def _unit(lines: list[str], nodes: list[ast.stmt]) -> _Unit | None:
    """Return what statements on the same lines bind and use; None if it cannot be told."""
    first = nodes[0]
    decorators = getattr(first, "decorator_list", [])
    start = min([first.lineno, *(decorator.lineno for decorator in decorators)]) - 1
    end = max(node.end_lineno or node.lineno for node in nodes)
    text = "\n".join(lines[start:end])
    try:
        table = symtable.symtable(text + "\n", "<program>", "exec")
        binds, uses = _names(table)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return None
    changed = {name for node in nodes for name in _changed(node)}
    return _Unit(
        start,
        end,
        binds=frozenset(binds | changed),
        uses=frozenset(uses),
        imports=all(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes),
        defines=all(isinstance(node, DEFINING) for node in nodes),
        shows=bool(uses & _SHOWING or _SHOWING_ATTRIBUTE.search(text)),
        idle=all(_is_idle(node) for node in nodes),
        checks=all(isinstance(node, ast.Assert) for node in nodes),
        text=text,
    )


def _names(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the global names that a piece of source binds, and those that it reads."""
    binds: set[str] = set()
    uses: set[str] = set()
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            uses.add(symbol.get_name())
    waiting = list(table.get_children())
    while waiting:
        scope = waiting.pop()
        waiting.extend(scope.get_children())
        for symbol in scope.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                uses.add(symbol.get_name())
    return binds, uses


def _changed(node: ast.stmt) -> Iterator[str]:
    """Yield names whose attributes or items a statement sets (`fib.memo = {}`)."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        inner: ast.expr = target
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name) and inner is not target:
            yield inner.id


def _is_idle(node: ast.stmt) -> bool:
    """Tell whether a statement can only fail: prose that happens to parse, such as `Done`.

    Docstrings are not idle but welcome.
    """
    if isinstance(node, ast.AnnAssign):
        return node.value is None  # Output: 5
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Constant):
        return False
    acting = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    return not any(isinstance(inner, acting) for inner in ast.walk(node.value))


def _without_showing(units: list[_Unit], entry_point: str) -> list[_Unit]:
    """Return the statements without those that only show the entry point off."""
    needed = _needed(entry_point, units)
    showing = _showing_names(entry_point, units)
    kept = []
    for unit in units:
        shows = unit.idle or unit.checks or unit.shows or unit.uses & showing
        if unit.defines or unit.binds & needed or not shows:
            kept.append(unit)
        else:
            showing |= unit.binds  # what uses this result goes with it
    return kept


def _needed(entry_point: str, units: list[_Unit]) -> set[str]:
    """Return the names that the entry point uses, directly or through what it uses."""
    binding = defaultdict(list)
    for unit in units:
        for name in unit.binds:
            binding[name].append(unit)
    needed = {entry_point}
    waiting = [entry_point]
    while waiting:
        for unit in binding[waiting.pop()]:
            new = unit.uses - needed
            needed |= new
            waiting.extend(new)
    return needed


def _showing_names(entry_point: str, units: list[_Unit]) -> set[str]:
    """Return the names that show something off when called, directly or through others."""
    users = defaultdict(list)
    showing = {entry_point}
    for unit in units:
        if unit.defines:
            for name in unit.uses:
                users[name].append(unit)
            if unit.shows:
                showing |= unit.binds
    waiting = list(showing)
    while waiting:
        for unit in users[waiting.pop()]:
            new = unit.binds - showing
            showing |= new
            waiting.extend(new)
    return showing


@dataclass(frozen=True)
class _Lacking:
    """What a program uses and does not have, as source texts."""

    future: list[str]
    imports: list[str]
    definitions: list[str]


def _lacking(units: list[_Unit], places: list[str], entry_point: str) -> _Lacking:
    """Return definitions that a program uses and lacks, from the first place that has them.

    Args:
        units: the program.
        places: the rest of the answer, and last the problem's statement.
        entry_point: never brought in: the statement has it without a body.
    """
    own = {name for unit in units for name in unit.binds} | _BUILTINS | {entry_point}
    waiting = sorted({name for unit in units for name in unit.uses} - own)
    pools = [_Pool(place) for place in places]
    text = "\n".join(unit.text for unit in units)
    stars = [line for line in pools[-1].stars if waiting and line not in text]
    found: dict[tuple[int, int], _Unit] = {}
    asked = set(waiting)
    while waiting and len(found) < _MOST_DEFINITIONS:
        name = waiting.pop()
        for distance, pool in enumerate(pools):
            unit = pool.find(name)
            if unit is not None and entry_point not in unit.binds:
                found[-distance, unit.start] = unit
                new = unit.uses - own - asked
                asked |= new
                waiting.extend(sorted(new))
                break
    ordered = [found[place] for place in sorted(found)]
    return _Lacking(
        future=[line for line in pools[-1].future if line not in text],
        imports=[*stars, *(unit.text for unit in ordered if unit.imports)],
        definitions=[unit.text for unit in ordered if not unit.imports],
    )


def _assembled(source: str, kept: list[_Unit], units: list[_Unit], lacking: _Lacking) -> str:
    """Return the program: the kept statements, and what it lacks after its own imports."""
    lines = source.split("\n")
    starts = {unit.start for unit in kept}
    gone = {n for unit in units if unit.start not in starts for n in range(unit.start, unit.end)}
    after_future = after_imports = 0
    for unit in units:
        if unit.text.startswith("from __future__"):
            after_future = unit.end
        if unit.imports:
            after_imports = unit.end
        elif not unit.text.startswith(("'", '"')):
            break  # a docstring may stand before the imports
    middle = ["", ""] if lacking.definitions else []
    result = list(lacking.future)
    for number, line in enumerate([*lines, ""]):
        if number == after_future:
            result += lacking.imports
        if number == after_imports:
            for text in lacking.definitions:
                result += [*middle, text]
            result += middle
        if number not in gone:
            result.append(line)
    return "\n".join(result)


class _Pool:
    """Definitions in a text that need not be Python as a whole.

    A definition begins at the left margin with a line that looks like one, and goes on over
    the lines that are indented. It is parsed only when its name is asked for.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._starts: dict[str, list[int]] = defaultdict(list)
        self.stars: list[str] = []
        self.future: list[str] = []
        for number, line in enumerate(self._lines):
            match = _BINDING.match(line)
            if match is None:
                continue
            if match["import"]:
                self._add_import(number, line)
            else:
                self._starts[match["definition"] or match["value"]].append(number)

    def find(self, name: str) -> _Unit | None:
        """Return the last statement of the text that binds a name at the top level."""
        for start in self._starts[name][: -_MOST_PLACES - 1 : -1]:
            source = self._statement(start)
            tree = parse(source)
            if tree is None or len(tree.body) != 1:
                continue
            unit = _unit(source.split("\n"), tree.body)
            if unit is not None and name in unit.binds and (unit.defines or not unit.shows):
                return replace(unit, start=start, end=start + unit.end)
        return None

    def _add_import(self, number: int, line: str) -> None:
        """Note the names in an import; whether it binds them is seen when one is asked for."""
        if line.startswith("from __future__"):
            self.future.append(line.strip())
        elif line.rstrip().endswith("import *"):
            self.stars.append(line.strip())
        else:
            text = self._statement(number) if "(" in line else line
            for name in set(re.findall(r"\w+", text)):
                self._starts[name].append(number)

    def _statement(self, start: int) -> str:
        """Return the statement that begins on a line, its decorators included."""
        end = start + 1
        while end < len(self._lines) and self._lines[end][:1] in {"", " ", "\t", ")", "]", "}"}:
            end += 1
        while start and self._lines[start - 1].startswith("@"):
            start -= 1
        return "\n".join(self._lines[start:end]).rstrip()
