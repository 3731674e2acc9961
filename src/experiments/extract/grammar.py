"""What a fence, a block, a definition and a stub are in the text of a model.

Extraction and the watchers that end a generation both ask here, so that they cannot disagree.

As in CommonMark, a fence is three or more backticks or tildes, and a block is closed by a
bare fence of the same kind that is at least as long. Beyond CommonMark:

- A fence may follow prose on its line (`The code: ```python`), the closing one may follow
  code (`return x````) or have prose behind it, and code may begin behind the opening one.
- A fence with an info string ends a block that was left open, and begins the next.
- Fences within a docstring belong to it: while triple quotes are open, fences are text.
  If they never close, the quotes are the mistake, and fences count again.
- `[PYTHON]` and `[/PYTHON]` (Code Llama) are fences as well, but not the asked ones.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_FENCE = re.compile(r"(?P<before>.*?)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)")
_TAG = re.compile(r"[ \t]*\[(?P<end>/?)PYTHON\][ \t]*", re.IGNORECASE)
_QUOTED = re.compile(r"^[ \t]*>[ ]?")
_PYTHON = re.compile(r"i?py(?:thon)?[\d.]*", re.IGNORECASE)
_WORD = re.compile(r"[ \t{.]*(?P<word>[\w+#.-]*)[^\w\n]*(?P<rest>.*)")
_CODE = re.compile(r"(?:async[ \t]+)?(?:def|class|import|from)[ \t]+\w")

_STRING = re.compile(r"""(?P<triple>\"{3}|'{3})|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\#.*|\\.""")
_STRING_END = {quote: re.compile(rf"(?:\\.|(?!{quote}).)*{quote}") for quote in ('"""', "'''")}
DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
"""Statements that bind names and, by themselves, show nothing."""

_ONLY_A_STATEMENT = re.compile(r"(?:def|class|import|assert|return|print)\b|@|```")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        source: its content, without the indentation of the block.
        python: it is tagged as Python or not at all.
        closed: it has a closing fence.
        line: number of the line that opens it, from 0.
    """

    source: str
    python: bool
    closed: bool
    line: int


@dataclass(frozen=True)
class Mistake:
    """Where Python stopped reading; the line is None where it gave up without saying."""

    line: int | None = None
    message: str = ""


class BodyScanner:
    """Follows a function's body line by line, and sees where something new begins after it."""

    def __init__(self) -> None:
        self._quote = ""
        self._depth = 0

    def begins_anew(self, line: str) -> bool:
        """Tell whether a line at the left margin is no part of the body before it.

        Args:
            line: the next line, or its beginning.
        """
        if self._quote or not line.strip() or line[0] in " \t\r)]}#":
            return False
        # A bracket that was forgotten does not hold up a line that cannot be inside one.
        return not self._depth or _ONLY_A_STATEMENT.match(line) is not None

    def take(self, line: str) -> None:
        """Go on behind a whole line of the body."""
        code, self._quote = _without_strings(line, self._quote)
        opened = sum(code.count(bracket) for bracket in "([{")
        closed = sum(code.count(bracket) for bracket in ")]}")
        self._depth = max(0, self._depth + opened - closed)


def blocks(text: str, grows: bool = False) -> list[Block]:
    """Return the fenced blocks of a text in their order.

    Args:
        text: of a model.
        grows: more will follow, so quotes that are open may still close.
    """
    if "```" not in text and "~~~" not in text and "[PYTHON]" not in text.upper():
        return []
    lines = text.split("\n")
    fences = [fence for number, line in enumerate(lines) if (fence := _fence(number, line))]
    found: list[Block] = []
    position = 0
    heed_quotes = True  # until quotes turn out never to close
    while position < len(fences):
        opening = fences[position]
        if opening.remarked or (opening.before.strip() and not _language(opening.info)[0]):
            position += 1  # prose with a fence in it
            continue
        ending = _ending(lines, fences, position, heed_quotes)
        if ending is None and heed_quotes and not grows:
            strict = _ending(lines, fences, position, heed_quotes=False)
            heed_quotes = strict is None
            ending = strict
        found.append(_block(lines, opening, None if ending is None else fences[ending]))
        if ending is None:
            break
        position = ending + fences[ending].closes(opening)
    return found


def parse(source: str) -> ast.Module | None:
    """Return the tree of a program that Python accepts, None for any other text."""
    return checked(source)[0]


@lru_cache(maxsize=8)  # the same source is looked at several times in a row
def checked(source: str) -> tuple[ast.Module | None, Mistake]:
    """Return the tree of a program, or else Python's complaint."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the model's program: not for our user
            tree = ast.parse(source)
            # Parsing alone accepts `return` outside a function.
            compile(tree, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return None, Mistake(error.lineno, error.msg or "")
    except (ValueError, RecursionError, MemoryError, OverflowError, SystemError):
        return None, Mistake()  # nested too deeply for this interpreter
    return tree, Mistake()


def defines(tree: ast.Module, name: str) -> bool:
    """Tell whether a program binds a name to a function, a class or a value."""
    return any(True for _ in _definitions(tree, name))


def is_stub(tree: ast.Module, name: str) -> bool:
    """Tell whether a program's last definition of a function has no body to speak of."""
    found = list(_definitions(tree, name))
    return bool(found) and _is_empty(found[-1])


def implements(tree: ast.Module | None, name: str) -> bool:
    """Tell whether a program defines a name, and not by a mere stub."""
    return tree is not None and defines(tree, name) and not is_stub(tree, name)


def is_program(tree: ast.Module | None) -> bool:
    """Tell source from prose that happens to parse, such as `Yes`."""
    return tree is not None and any(isinstance(node, DEFINING) for node in tree.body)


def dedented(source: str) -> str:
    """Return source without the indentation of its first line of code.

    Lines that are indented less (text in a triple-quoted string) lose what they have.
    """
    lines = source.split("\n")
    width = len(margin(next(filter(str.strip, lines), "")))
    if not width:
        return source
    return "\n".join(
        line[width:] if line[:width].isspace() else line.lstrip(" \t") for line in lines
    )


def margin(line: str) -> str:
    """Return the blanks and tabs that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


@dataclass(frozen=True)
class _Fence:
    """A line with a fence: the line's number, and what stands around the fence."""

    line: int
    before: str
    mark: str
    info: str

    @property
    def tagged(self) -> bool:
        """Return whether a language follows the fence: it can only open a block."""
        return bool(self.info.strip()) and not self.remarked

    @property
    def remarked(self) -> bool:
        """Return whether prose follows the fence, as in "``` This works because"."""
        named = _language(self.info)[1] or self.info.lstrip().startswith("{")
        return len(self.info.split()) > 1 and not named and not _CODE.match(self.info.lstrip())

    def closes(self, opening: _Fence) -> bool:
        """Tell whether this fence ends the block that the other one began."""
        return self.mark.startswith(opening.mark) and not self.tagged

    def interrupts(self, opening: _Fence) -> bool:
        """Tell whether this fence begins a block although the other one is still open."""
        return self.tagged and not self.before.strip() and self.mark[0] == opening.mark[0]


def _fence(number: int, line: str) -> _Fence | None:
    """Return the fence on a line; None if there is none, or one that closes on its line."""
    if "```" in line or "~~~" in line:
        match = _FENCE.fullmatch(line)
        return _Fence(number, *match.group("before", "fence", "info")) if match else None
    match = _TAG.fullmatch(line)
    if match is None:
        return None
    return _Fence(number, "", "[PYTHON]", "" if match["end"] else "[PYTHON]")


def _ending(lines: list[str], fences: list[_Fence], position: int, heed_quotes: bool) -> int | None:
    """Return the number of the fence that ends a block, by closing it or opening the next.

    Args:
        lines: the text.
        fences: all fences.
        position: number of the fence that opens the block.
        heed_quotes: a fence within triple quotes ends nothing.
    """
    opening = fences[position]
    begin, quote = opening.line + 1, ""
    for number in range(position + 1, len(fences)):
        fence = fences[number]
        if heed_quotes:
            for line in lines[begin : fence.line]:
                quote = _without_strings(line, quote)[1]
            begin = fence.line
            if quote:
                continue
        if fence.closes(opening) or fence.interrupts(opening):
            return number
    return None


def _without_strings(line: str, quote: str) -> tuple[str, str]:
    """Return the code of a line, and the triple quote that is open at its end.

    Args:
        line: without its line end.
        quote: the triple quote that is open before it; empty if none is.
    """
    code: list[str] = []
    place = 0
    while True:
        if quote:
            closing = _STRING_END[quote].match(line, place)
            if closing is None:
                return "".join(code), quote
            place, quote = closing.end(), ""
        match = _STRING.search(line, place)
        code.append(line[place : match.start() if match else len(line)])
        if match is None:
            return "".join(code), ""
        place, quote = match.end(), match["triple"] or ""


def _language(info: str) -> tuple[bool, bool]:
    """Return whether an info string allows Python, and whether it names it."""
    if info == "[PYTHON]" or _CODE.match(info.strip()):
        return True, True
    match = _WORD.match(info)
    word = match["word"] if match else ""
    named = _PYTHON.fullmatch(word) is not None
    return named or not word, named


def _code_after(info: str) -> str:
    """Return code that begins on the line of its opening fence (```python def f(x):)."""
    if _CODE.match(info.strip()):
        return info.strip()
    match = _WORD.match(info)
    rest = match["rest"] if match else ""
    return rest if _PYTHON.fullmatch(match["word"] if match else "") and _CODE.match(rest) else ""


def _block(lines: list[str], opening: _Fence, ending: _Fence | None) -> Block:
    """Return the block between two fences; without the second, up to the end."""
    inside = lines[opening.line + 1 : len(lines) if ending is None else ending.line]
    python, _ = _language(opening.info)
    if opening.before.strip(" \t") == ">":  # a quoted block: each line has the mark
        inside = [_QUOTED.sub("", line, count=1) for line in inside]
    if first := _code_after(opening.info):
        inside.insert(0, first)
    closed = ending is not None and ending.closes(opening)
    if ending is not None and closed and ending.before.strip(" \t>"):
        inside.append(ending.before)  # return x```
    asked = opening.mark[0] in "`~"
    return Block(dedented("\n".join(inside)), python, closed and asked, opening.line)


def _definitions(tree: ast.Module, name: str) -> Iterator[ast.stmt]:
    """Yield the statements that bind a name at the top level, also under `if` and `try`."""
    for node in _top_level(tree.body):
        match node:
            case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound):
                names = [bound]
            case (
                ast.ClassDef(name=bound)
                | ast.AnnAssign(target=ast.Name(id=bound), value=ast.expr())
            ):
                names = [bound]
            case ast.Assign(targets=targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case _:
                continue
        if name in names:
            yield node


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements that run when the module runs, without those inside functions."""
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]
            for handler in getattr(node, "handlers", ()):
                inner.extend(handler.body)
            waiting.extend(reversed(inner))


def _is_empty(node: ast.stmt) -> bool:
    """Tell whether a function does nothing: a docstring, `pass`, `...`, not implemented."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    for statement in node.body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
                if not name.startswith("NotImplemented"):
                    return False
            case _:
                return False
    return True
