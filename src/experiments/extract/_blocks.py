"""Fenced blocks of Markdown, as models write them.

As in CommonMark, a fence is three or more backticks or tildes, and a block is closed by a
bare fence of the same kind that is at least as long. Beyond CommonMark:

- A fence may follow prose on its line (`The code: ```python`), the closing one may follow
  code (`return x````) or have prose behind it, and code may begin behind the opening one.
- A fence with an info string ends a block that was left open, and begins the next.
- Fences within a docstring belong to it: while triple quotes are open, fences are text.
  If they never close, the quotes are the mistake, and fences count again.
- `[PYTHON]` and `[/PYTHON]` (Code Llama) are fences as well, but not the asked ones.
"""

import re
from dataclasses import dataclass

from experiments.extract._source import dedented

_FENCE = re.compile(r"(?P<before>.*?)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)")
_TAG = re.compile(r"[ \t]*\[(?P<end>/?)PYTHON\][ \t]*", re.IGNORECASE)
_QUOTED = re.compile(r"^[ \t]*>[ ]?")
_PYTHON = re.compile(r"i?py(?:thon)?[\d.]*", re.IGNORECASE)
_WORD = re.compile(r"[ \t{.]*(?P<word>[\w+#.-]*)[^\w\n]*(?P<rest>.*)")
_CODE = re.compile(r"(?:async[ \t]+)?(?:def|class|import|from)[ \t]+\w")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        source: its content, without the indentation of the block.
        python: it is tagged as Python or not at all.
        closed: it has a closing fence.
    """

    source: str
    python: bool
    closed: bool


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

    def closes(self, opening: "_Fence") -> bool:
        """Tell whether this fence ends the block that the other one began."""
        return self.mark.startswith(opening.mark) and not self.tagged

    def interrupts(self, opening: "_Fence") -> bool:
        """Tell whether this fence begins a block although the other one is still open."""
        return self.tagged and not self.before.strip() and self.mark[0] == opening.mark[0]


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text in their order."""
    if "```" not in text and "~~~" not in text and "[PYTHON]" not in text.upper():
        return []
    lines = text.split("\n")
    fences = [fence for number, line in enumerate(lines) if (fence := _fence(number, line))]
    quotes = _open_quotes(lines)
    found: list[Block] = []
    position = 0
    heed_quotes = True  # until quotes turn out never to close
    while position < len(fences):
        opening = fences[position]
        if opening.remarked or (opening.before.strip() and not _language(opening.info)[0]):
            position += 1  # prose with a fence in it
            continue
        ending = _ending(fences, position, quotes if heed_quotes else None)
        if ending is None and heed_quotes:
            strict = _ending(fences, position, None)
            heed_quotes = strict is None
            ending = strict
        found.append(_block(lines, opening, None if ending is None else fences[ending]))
        if ending is None:
            break
        position = ending + fences[ending].closes(opening)
    return found


def _fence(number: int, line: str) -> _Fence | None:
    """Return the fence on a line; None if there is none, or one that closes on its line."""
    if "```" in line or "~~~" in line:
        match = _FENCE.fullmatch(line)
        return _Fence(number, *match.group("before", "fence", "info")) if match else None
    match = _TAG.fullmatch(line)
    if match is None:
        return None
    return _Fence(number, "", "[PYTHON]", "" if match["end"] else "[PYTHON]")


def _open_quotes(lines: list[str]) -> list[int]:
    """Return, for each line, how many triple quotes stand before it."""
    counts = [0]
    for line in lines:
        counts.append(counts[-1] + line.count('"""') + line.count("'''"))
    return counts


def _ending(fences: list[_Fence], position: int, quotes: list[int] | None) -> int | None:
    """Return the number of the fence that ends a block, by closing it or opening the next.

    Args:
        fences: all fences.
        position: number of the fence that opens the block.
        quotes: triple quotes before each line; None if they do not matter.
    """
    opening = fences[position]
    for number in range(position + 1, len(fences)):
        fence = fences[number]
        if quotes is not None and (quotes[fence.line] - quotes[opening.line]) % 2:
            continue
        if fence.closes(opening) or fence.interrupts(opening):
            return number
    return None


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
    return Block(dedented("\n".join(inside)), python, closed and asked)
