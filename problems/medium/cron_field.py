"""Expand one field of a cron line.

The parts of a field fail in many ways; the tests hold at least one input for each of them,
non-ASCII digits included, since `str.isdigit` and `\\d` accept those.
"""

import re
from collections.abc import Iterator
from random import Random

ID = "medium/cron_field"
TITLE = "Expand a cron field"
DIFFICULTY = "medium"
TOPICS = ("parsing", "scheduling", "validation")
ENTRY_POINT = "expand_cron_field"

_PART = re.compile(r"(?:\*|([0-9]+)-([0-9]+))(?:/([0-9]+))?|([0-9]+)")


def expand_cron_field(field: str, low: int, high: int) -> list[int]:
    """Return the values that one field of a cron line stands for, ascending, each once.

    The field is a list of parts, separated by commas. A part is
    - a number: that value;
    - `a-b`: all values from a to b, both included;
    - `*`: all values from low to high, both included;
    - `a-b/s` or `*/s`: the first value of that range and every s-th value after it.

    Numbers are written with the digits 0 to 9; leading zeros are fine. It holds that
    0 <= low <= high.

    Raise ValueError if a part has any other form (empty, with a blank or a sign, a single
    number with a step), if a value a or b is outside low..high, if a > b, or if s is 0.

    >>> expand_cron_field("1-5", 0, 6)
    [1, 2, 3, 4, 5]
    >>> expand_cron_field("*/20,50", 0, 59)
    [0, 20, 40, 50]
    >>> expand_cron_field("9,3-12/4", 1, 12)
    [3, 7, 9, 11]
    """
    values: set[int] = set()
    for part in field.split(","):
        values.update(_values(part, low, high))
    return sorted(values)


def _values(part: str, low: int, high: int) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"not a part of a cron field: {part!r}")
    first, last, step, single = match.groups()
    start = int(single or first or low)
    end = int(single or last or high)
    if not low <= start <= end <= high:
        raise ValueError(f"{part!r} is outside {low}-{high} or runs backwards")
    return range(start, end + 1, int(step or 1))  # range refuses a step of 0 by itself


BASE_INPUTS = [
    ("1-5", 0, 6),
    ("*", 1, 12),
    ("*/20,50", 0, 59),
    ("9,3-12/4", 1, 12),
    ("5,1,5,3-3", 0, 6),
    ("0", 0, 59),
    ("59,*/1", 57, 59),
    ("60", 0, 59),
    ("0-3", 1, 12),
    ("5-3", 0, 59),
    ("*/0", 0, 59),
    ("5/15", 0, 59),
    ("1,,2", 0, 59),
    ("", 0, 59),
    ("٣", 0, 59),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for field in (
        ",", "*,", " *", "1 -2", "1- 2", "-1", "+1", "1-", "-", "**", "*-5", "1-*", "*/", "*/-1",
        "1-5/", "1-5/0", "1-5/00", "1-5/9", "2-2/7", "*/99", "5-5", "007", "00-03/02", "1/1",
        "1-2-3", "1-5/2/2", "a", "1.0", "1-b", "1\n", "*\n", "1;2", "*/1,*/2,*/3", "1_0", "²",
        "10,9,8,7", "0-10", "0-11", "10-10", "11", "0-10/10", "0-10/5,1-10/5",
        "99999999999999999999", "x,1", "1,x",
    ):  # fmt: skip
        yield (field, 0, 10)
    yield ("*", 7, 7)
    yield ("*/2", 7, 8)
    yield ("*/2,*/3,5", 1, 31)
    yield ("*", 0, 999)
    for _ in range(120):
        low = random.randint(0, 3)
        high = low + random.randint(0, 12)
        parts = []
        for _ in range(random.randint(1, 4)):
            first = random.randint(low, high)
            last = random.randint(first, high)
            step = random.choice(["", "", f"/{random.randint(1, 5)}"])
            parts.append(random.choice([f"{first}", f"{first}-{last}{step}", f"*{step}"]))
        if random.random() < 0.15:
            parts.append(random.choice([f"{low - 1}", f"{high + 1}", f"{low}-{high + 1}", "*/0"]))
        random.shuffle(parts)
        yield (",".join(parts), low, high)
