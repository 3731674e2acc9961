"""Number the headings of a Markdown text."""

import re
from collections.abc import Iterator
from random import Random

ID = "medium/number_headings"
TITLE = "Number the headings of a document"
DIFFICULTY = "medium"
TOPICS = ("string processing", "stacks", "Markdown")
ENTRY_POINT = "number_headings"

_HEADING = re.compile(r"(#{1,4}) +([^ ].*)")


def number_headings(lines: list[str]) -> list[str]:
    """Return the lines of a Markdown document with its headings numbered.

    A heading is a line that begins with one to four "#" (its level), then one or more
    spaces, then a title that does not begin with a space. It becomes the same "#", a
    space, its number, a space, and the title as it is. All other lines stay as they are.

    The number of a heading of level n has n parts, joined by ".". The last part counts the
    headings of level n, from 1, since the latest heading of a smaller level (or since the
    beginning). The parts before it are those of the headings that it stands under; a level
    that was skipped has the part 0.

    Lines that begin with "~~~" open and close blocks of code in turn. Within a block there
    are no headings. A block that is not closed reaches to the end. Lines hold no line breaks.

    >>> number_headings(["# Tea", "## Green", "Mild.", "## Black", "# Coffee", "## Arabica"])
    ['# 1 Tea', '## 1.1 Green', 'Mild.', '## 1.2 Black', '# 2 Coffee', '## 2.1 Arabica']
    >>> number_headings(["### Deep", "~~~", "# comment", "~~~", "###  Next"])
    ['### 0.0.1 Deep', '~~~', '# comment', '~~~', '### 0.0.2 Next']
    """
    numbered = []
    counters: list[int] = []  # of the levels from 1 down to the latest heading's
    in_code = False
    for line in lines:
        if line.startswith("~~~"):
            in_code = not in_code
        heading = _HEADING.fullmatch(line)
        if heading and not in_code:
            marks, title = heading.groups()
            level = len(marks)
            counters = (counters + [0] * level)[:level]
            counters[-1] += 1
            line = f"{marks} {'.'.join(map(str, counters))} {title}"
        numbered.append(line)
    return numbered


BASE_INPUTS = [
    (["# Tea", "## Green", "Mild.", "## Black", "# Coffee", "## Arabica"],),
    (["### Deep", "~~~", "# comment", "~~~", "###  Next"],),
    ([],),
    (["", "no heading", "#none", " # none", "#", "# ", "##### five", "a # b"],),
    (["# a", "### b", "### c", "## d", "### e", "# f", "#### g"],),
    (["~~~python", "# a", "~~~ ", "# b", "~~~", "## c"],),
    (["~~", "# a", "~~~~", "# b"],),
    (["# 1 Done", "## # x", "#  Größe  ", "# "],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["#"],)
    yield (["# x"],)
    yield (["#### x"],)
    yield (["##### x"],)
    yield (["###### x", "# y"],)
    yield (["#\tx", "# \tx", "#x #", "# # #"],)
    yield (["~~", "# a", "~~", "# b", "~~~~", "# c", "~~~~~", "# d"],)
    yield ([" ~~~", "# a", "x~~~", "# b"],)
    yield (["~~~", "~~~", "# a", "~~~", "# b"],)
    yield (["# a", "~~~", "# b"],)
    yield (["## a", "# b", "## c", "### d", "## e"],)
    yield (["#### a", "### b", "## c", "# d", "## e", "### f", "#### g", "#### h"],)
    yield (["# a", "#### b", "#### c", "### d", "#### e"],)
    yield (["# "] * 3 + ["#  "] * 3,)
    yield ([f"# {n}" for n in range(60)],)
    yield ([f"{'#' * (n % 4 + 1)} {n}" for n in range(60)],)
    yield ([f"{'#' * (4 - n % 5)} {n}" for n in range(60)],)
    other = ["", "text", "~~~", "#x", "##### x", "# ", "- item"]
    for _ in range(130):
        yield (
            [
                random.choice(other)
                if random.random() < 0.25
                else f"{'#' * random.randint(1, 4)}{' ' * random.choice([1, 1, 1, 2])}title"
                for _ in range(random.randint(1, 12))
            ],
        )
