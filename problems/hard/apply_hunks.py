"""Apply the hunks of a patch to a file that has changed a little since the patch was made."""

from collections.abc import Iterator
from random import Random

ID = "hard/apply_hunks"
TITLE = "Apply a patch to a changed file"
DIFFICULTY = "hard"
TOPICS = ("diff and patch", "text processing", "searching")
ENTRY_POINT = "apply_hunks"


def apply_hunks(
    lines: list[str], hunks: list[tuple[int, list[str], list[str]]], reach: int
) -> tuple[list[str], list[int]]:
    """Apply the hunks of a patch, in the order given, to the lines of a file.

    A hunk (number, old, new) says: the lines `old`, of which the first was line `number`
    (from 1) of the file that the patch was made from, become the lines `new`. Either may be
    empty; with an empty `old`, `new` is inserted before line `number`.

    Our file may be another version. So a hunk is expected at line `number` + shift. The
    shift is 0 at first; every applied hunk sets it to the line at which `old` was found
    minus `number`, plus the length of `new` minus the length of `old`.

    The hunk is applied where the file (as changed by the hunks before) has exactly the lines
    `old`, at most `reach` lines above or below the expected line; of several such places the
    nearest counts, of two equally near the upper one. No place may begin above the end of
    what the hunk applied before put in. An empty `old` fits before every line and at the end
    of the file. A hunk that fits nowhere is left out and does not change the shift.

    Return the lines after that, and the positions (from 0) of the hunks that were left out.

    >>> apply_hunks(["a", "b", "c"], [(2, ["b"], ["B", "B2"]), (3, ["c"], [])], 0)
    (['a', 'B', 'B2'], [])
    >>> apply_hunks(["new", "a", "b", "c"], [(1, ["a"], ["A"]), (3, ["c"], ["C"])], 1)
    (['new', 'A', 'b', 'C'], [])
    >>> apply_hunks(["x", "y"], [(1, ["y"], []), (1, ["x"], ["z"]), (9, [], ["end"])], 0)
    (['z', 'y'], [0, 2])
    """
    patched = list(lines)
    left_out = []
    shift = done = 0
    for position, (number, old, new) in enumerate(hunks):
        expected = number - 1 + shift
        last = min(expected + reach, len(patched))
        places = [
            place
            for place in range(max(expected - reach, done), last + 1)
            if patched[place : place + len(old)] == old
        ]
        if not places:
            left_out.append(position)
            continue
        place = min(places, key=lambda place: abs(place - expected))
        patched[place : place + len(old)] = new
        done = place + len(new)
        shift = place - (number - 1) + len(new) - len(old)
    return patched, left_out


BASE_INPUTS = [
    (["a", "b", "c"], [], 2),
    (["a", "b", "c"], [(2, ["b"], ["B", "B2"]), (3, ["c"], [])], 0),
    (["new", "a", "b", "c"], [(1, ["a"], ["A"]), (3, ["c"], ["C"])], 1),
    (["x", "y"], [(1, ["y"], []), (1, ["x"], ["z"]), (9, [], ["end"])], 0),
    (["x", "y", "x", "z", "x"], [(2, ["x"], ["near"]), (4, ["x"], ["next"])], 9),
    (["a", "b", "c", "d", "a"], [(3, ["a"], ["A"]), (3, ["b"], []), (4, ["d"], ["D"])], 2),
    (["b", "p", "q", "b", "r"], [(1, ["p"], ["P"]), (2, ["b"], ["B"]), (4, ["r"], [])], 1),
    ([], [(1, [], ["only"]), (1, [], ["first?"]), (2, ["only"], []), (3, [], ["no"])], 1),
    (["a", "a", "a"], [(1, ["a", "a"], ["a"]), (3, ["a"], ["c", "c"]), (3, ["c"], [])], 4),
    (["k", "k", "m"], [(3, ["m", "n"], []), (3, ["m"], []), (3, [], ["end"])], 1),
    (["a", "b", "c", "d"], [(1, ["a", "b"], []), (3, ["c"], ["C"]), (4, ["d"], ["D"])], 0),
    (["x", "m", "n", "x"], [(3, ["x"], ["near"])], 2),
    (["s", "t", "u"], [(3, ["s"], ["S"]), (4, ["u"], ["U"]), (5, [], ["v"])], 2),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([], [], 0)
    yield ([], [(1, ["a"], ["b"])], 5)
    yield (["a"], [(1, [], [])], 0)
    yield (["a", "b"], [(1, [], ["0"]), (2, [], ["1"]), (3, [], ["2"])], 0)
    yield (["a", "", "a"], [(2, [""], ["", ""]), (3, ["a"], ["é"])], 0)
    yield (["a", "A", "a "], [(1, ["A"], ["1"]), (3, ["a"], ["2"])], 3)
    yield (["x"] * 60, [(30, ["x", "x"], ["y"]), (30, ["x"], ["z"])], 50)
    yield ([str(n) for n in range(60)], [(n + 3, [str(n)], [str(-n)]) for n in range(60)], 3)
    for size in range(120):
        original = random.choices("abc", k=random.randint(0, size // 8 + 3))
        hunks = []
        first = 0
        while first <= len(original) and len(hunks) < 6:
            first += random.randint(0, 3)
            old = original[first : first + random.randint(0, 2)]
            hunks.append((first + 1, old, random.choices("abX", k=random.randint(0, 3))))
            first += len(old)
        for _ in range(random.randint(0, 2)):
            place = random.randint(0, len(original))
            original[place : place + random.randint(0, 1)] = random.choices(
                "abc", k=random.randint(0, 2)
            )
        yield (original, hunks, random.randint(0, 3))
