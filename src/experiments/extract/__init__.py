"""Model text → program, and whether it kept the asked format.

The asked format is one closed fenced Python block with the complete function. Small models
often write a right program in another form; `extract` finds it, so that "right program,
wrong format" and "wrong program" can be told apart. What it does, in order:

1. `thoughts` splits the answer from what the model thought before it, and `_text` drops what
   belongs to the chat: special tokens, a next turn that the model made up.
2. `grammar` finds fenced blocks. The last closed one that defines the entry point wins,
   then the last unclosed one, then one that can be mended, then code between prose, then
   the bare body of a function.
3. `_source` mends: a broken end is cut back to the longest part that Python accepts.
4. `_program` brings in definitions that the answer uses and leaves out, from the answer's
   other blocks and from the problem's statement (`from typing import List`), and drops
   what only shows the program off (`print(f(3))`, `input()`, asserts, a main block).

What it does not do: rename a function, guess imports that neither the statement nor the
answer has, or take a method (`class Solution`) for the function that was asked for.

The time is linear in the length of the text. Nothing of the answer is executed.
"""

from itertools import chain
from typing import Literal

from experiments.extract import thoughts
from experiments.extract._program import Extraction, finished
from experiments.extract._source import (
    around_definition,
    continued,
    longest_valid_start,
    tolerated,
    with_body,
)
from experiments.extract._text import normalised, own_turn
from experiments.extract.grammar import (
    Block,
    blocks,
    dedented,
    defines,
    implements,
    is_program,
    parse,
)

__all__ = ["Extraction", "extract"]

# Blocks and definitions that are looked at more than by a search for the name. Real
# answers have a handful; an answer that repeats itself without end has thousands.
_MOST = 16


def extract(
    text: str,
    problem_prompt: str,
    entry_point: str,
    kind: Literal["chat", "completion"] = "chat",
    is_answer: bool = False,
) -> Extraction:
    """Return the program in a model's text.

    Args:
        text: what the model wrote, without the prompt. Any string; nothing raises.
        problem_prompt: the problem's statement as Python source (`records.Problem.prompt`).
        entry_point: the name of the function that the program has to define.
        kind: `chat` for an answer; `completion` if the text goes on from the statement.
        is_answer: the text is the answer alone, already split from the model's thought.
    """
    statement = normalised(problem_prompt)
    if kind == "chat" and not is_answer:
        text = thoughts.split(text).answer
    answer, _ = own_turn(normalised(text))
    if kind == "completion":
        found = continued(statement, answer, entry_point)
        if found is not None:
            return finished(found.program, found.rest, statement, entry_point, found.whole)
    fenced = blocks(answer)
    source = _chosen(answer, fenced, statement, entry_point)
    kept = kind == "chat" and _keeps_format(fenced, entry_point)
    python = "\n\n".join(block.source for block in fenced if block.python)
    return finished(source, python or answer, statement, entry_point, kept)


def _keeps_format(fenced: list[Block], entry_point: str) -> bool:
    """Tell whether there is exactly one Python block, closed, whole and with the function."""
    python = [block for block in fenced if block.python]
    if len(python) != 1 or not python[0].closed:
        return False
    tree = parse(python[0].source)
    return tree is not None and defines(tree, entry_point)


def _chosen(answer: str, fenced: list[Block], statement: str, entry_point: str) -> str:
    """Return the source that is the answer's program; empty if there is none."""
    named = [block for block in fenced if entry_point in block.source][-_MOST:][::-1]
    stubs = []
    # Closed before unclosed, each from the last: an unclosed block was cut off.
    for block in sorted(named, key=lambda block: not block.closed):
        tree = parse(block.source)
        if implements(tree, entry_point):
            return block.source
        if tree is not None and defines(tree, entry_point):
            stubs.append(block.source)
    mended = [tolerated(block.source) for block in named]
    whole = [] if fenced else [answer]
    pieces = around_definition(answer, entry_point, _MOST)
    for source in chain(mended, whole, map(tolerated, whole), pieces):
        if part := longest_valid_start(source, entry_point):
            return part
    bodies = [block.source for block in fenced[-_MOST:] if block.python]
    for source in [*reversed(bodies), *whole]:
        if program := with_body(statement, source, entry_point):
            return program
    return stubs[0] if stubs else _anything(answer, fenced)


def _anything(answer: str, fenced: list[Block]) -> str:
    """Return what a person would call the program although it lacks the function."""
    python = [block.source for block in fenced[-_MOST:] if block.python and block.source.strip()]
    for source in reversed(python):
        if parse(source) is not None:
            return source
    if python:
        return python[-1]
    whole = dedented(answer)
    return whole if is_program(parse(whole)) else ""
