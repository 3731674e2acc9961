"""Python source that may be broken: does it parse, what does it define, what can be kept.

Each function parses a bounded number of times, whatever the length of the text.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.extract.grammar import (
    BodyScanner,
    Mistake,
    checked,
    dedented,
    defines,
    implements,
    margin,
    parse,
)

# Times that a broken end is cut back. Each cut goes to the line that Python complains
# about, so that two or three are usual; open blocks around that line add one each.
_CUTS = 24

_ON_LINE = re.compile(r" on line (\d+)$")
_CODE_LINE = re.compile(
    r"""@\w | (?:async\s+)?def\s+\w+\s*[\[(] | class\s+\w+\s*[\[(:] | \#
    | from\s+[\w.]+\s+import\s | import\s+[\w.]+\s*(?:$|,|;|\#|\sas\s)
    | [A-Za-z_]\w*\s*(?:=[^=]|:\s*[\w.\[\], |]+=[^=]) | \w+(?:\.\w+)+\(.*\)\s*$
    | [)\]}] | (?:if|elif|for|while|with|try|else|except|finally)\b.*:\s*(?:\#.*)?$""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Continuation:
    """A statement with the text that goes on from it.

    Attributes:
        program: the statement and the body, up to the end of the function.
        rest: what follows the end of the function.
        whole: nothing had to be cut off or put right.
    """

    program: str
    rest: str
    whole: bool


def tolerated(source: str) -> str:
    r"""Return source with habits of models undone that Python does not forgive.

    Prompts of the interactive interpreter, lines for a notebook (`!pip`, `%time`),
    Markdown's `\_`, no-break spaces, tabs mixed with spaces.
    """
    if parse(source) is not None:
        return source
    lines = source.replace("\\_", "_").replace("\u00a0", " ").replace("\u200b", "").split("\n")
    if next(filter(str.strip, lines), "").startswith(">>>"):
        lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    lines = [line for line in lines if not line.startswith(("!", "%"))]
    return dedented("\n".join(_spaced(line) for line in lines))


def longest_valid_start(source: str, name: str = "") -> str:
    """Return the longest start of a source that Python accepts and that defines a name.

    Whole lines are cut off the end, at least down to where Python says the mistake is.
    Returns an empty string if nothing is left, or the name is not defined in it.
    """
    lines = source.rstrip().split("\n")
    for _ in range(_CUTS):
        while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("@")):
            lines.pop()  # decorators of nothing
        part = "\n".join(lines)
        tree, mistake = checked(part)
        if tree is not None:
            kept = implements(tree, name) if name else bool(tree.body)
            return part + "\n" if kept else ""
        lines = lines[: _cut(lines, mistake)]
        if not lines or (name and not any(name in line for line in lines)):
            return ""
    return ""


def program_in(source: str, name: str) -> str:
    """Return the program with a definition of a name that a block holds; empty if it has none.

    It is the whole block, or else the longest part that Python accepts.
    """
    if implements(parse(source), name):
        return source
    return longest_valid_start(tolerated(source), name) if name in source else ""


def around_definition(text: str, name: str, most: int) -> Iterator[str]:
    """Yield pieces of a text that begin with code and hold a definition, the last first.

    A piece begins where the run of lines that look like code begins, and goes on to the
    end of the text; the mistake that follows the code says where it ends.
    """
    lines = text.split("\n")
    heading = re.compile(rf"[ \t`]*(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b")
    for number in [n for n, line in enumerate(lines) if heading.match(line)][: -most - 1 : -1]:
        start = _start_of_code(lines, number)
        if start is not None:
            piece = "\n".join(lines[start:])
            # `def f(x): ...` in backticks; elsewhere they cannot be in code.
            yield dedented(piece.replace("`", "") if lines[number].lstrip()[0] == "`" else piece)


def with_body(statement: str, body: str, name: str) -> str:
    """Return the statement with a bare body, empty if the text is no body with a result."""
    tree = parse(f"def _():\n{_indented(dedented(body), '    ')}\n")
    if tree is None or not tree.body or not isinstance(tree.body[0], ast.FunctionDef):
        return ""
    if not any(isinstance(node, ast.Return | ast.Yield) for node in _own_nodes(tree.body[0])):
        return ""
    program = f"{statement.rstrip()}\n{_indented(dedented(body), _body_indentation(statement))}\n"
    whole = parse(program)
    return program if whole is not None and defines(whole, name) else ""


def continued(statement: str, text: str, name: str) -> Continuation | None:
    """Return the statement with the text after it, up to the end of the function.

    The function ends where a line at its own indentation begins something new. A text that
    begins there itself has lost its first indentation, or is no body. Returns None if there
    is no function in the result.
    """
    head = statement.rstrip() + "\n"
    opened = parse(head + _body_indentation(statement) + "pass\n")
    within = opened is not None and defines(opened, name)
    indentation = _body_indentation(statement) if within else ""
    for number, body in enumerate(_bodies(text, indentation)):
        lines = body.split("\n")
        end = _end_of_function(lines, "" if within else name)
        kept, rest = "\n".join(lines[:end]), "\n".join(lines[end:])
        if not kept.strip():
            continue
        program = head + kept.rstrip() + "\n"
        part = longest_valid_start(program, name)
        if part:
            return Continuation(part, rest, whole=part == program and number == 0)
    return None


def _cut(lines: list[str], mistake: Mistake) -> int:
    """Return how many lines to keep before a mistake: fewer than there are."""
    if mistake.line is None:
        return len(lines) // 2
    line = mistake.line
    if match := _ON_LINE.search(mistake.message):
        line = int(match[1])  # expected an indented block after 'if' statement on line 3
    elif "expected 'except'" in mistake.message:
        # The whole unfinished `try` has to go, and the complaint is about its end.
        starts = [n for n, text in enumerate(lines[:line], 1) if text.lstrip().startswith("try:")]
        line = starts[-1] if starts else line
    return max(0, min(line, len(lines)) - 1)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _start_of_code(lines: list[str], number: int) -> int | None:
    """Return where the lines of code around a definition begin; None if it is nested."""
    indentation = _width(lines[number])
    start = number
    for above in range(number - 1, -1, -1):
        line = lines[above]
        if not line.strip() or _width(line) > indentation:
            continue
        looks_like_code = _CODE_LINE.match(line.lstrip(" \t")) is not None
        if _width(line) < indentation:
            return None if looks_like_code else start
        if not looks_like_code:
            return start
        start = above
    return start


def _width(line: str) -> int:
    """Return the width of a line's indentation."""
    return len(margin(line))


def _spaced(line: str) -> str:
    """Return a line indented with spaces only; tabs reach to the next multiple of eight."""
    return margin(line).expandtabs() + line.lstrip(" \t")


def _indented(source: str, indentation: str) -> str:
    """Return source with each line that is not blank indented further."""
    return "\n".join(indentation + line if line.strip() else line for line in source.split("\n"))


def _body_indentation(statement: str) -> str:
    """Return the indentation of the last line: of the docstring's end, usually."""
    return margin(statement.rstrip().rsplit("\n", 1)[-1]) or "    "


def _bodies(text: str, indentation: str) -> Iterator[str]:
    """Yield the text as a body: as it is, its first line put right, all of it indented."""
    yield text
    lines = text.strip("\n").split("\n")
    first, *others = lines
    if not indentation or not first.strip() or _starts_anew(first.lstrip()):
        return
    second = next(filter(str.strip, others), "")
    only_first = indentation + first.lstrip() + "\n" + "\n".join(others)
    all_lines = _indented(dedented("\n".join(lines)), indentation)
    opens = first.rstrip().endswith(":")
    in_body = _width(second) > len(indentation) if opens else _width(second) >= len(indentation)
    yield from (only_first, all_lines) if in_body else (all_lines, only_first)


def _starts_anew(line: str) -> bool:
    """Tell whether a line begins something other than the body of a function."""
    return re.match(r"(?:async\s+def|def|class|import|from|@|```|~~~)", line) is not None


def _end_of_function(lines: list[str], name: str) -> int:
    """Return the number of the line with which something new begins at the left margin.

    Args:
        lines: the body, or with a name the source that holds the function.
        name: of a function that is still to begin; empty if the body begins at once.
    """
    heading = re.compile(rf"(?:async\s+)?def\s+{re.escape(name)}\b") if name else None
    body = BodyScanner()
    for number, line in enumerate(lines):
        if body.begins_anew(line):
            if heading is None:
                return number
            if heading.match(line):
                heading = None  # from here on, the next line at the margin ends it
        body.take(line)
    return len(lines)
