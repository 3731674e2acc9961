"""Version numbers of releases."""

from collections.abc import Iterator
from random import Random

ID = "easy/bump_version"
TITLE = "Number the next release"
DIFFICULTY = "easy"
TOPICS = ("parsing", "validation", "releases")
ENTRY_POINT = "bump_version"


def bump_version(version: str, part: str) -> str:
    """Return the version number of the next release.

    `version` consists of three whole numbers joined by dots: major, minor and patch. `part`
    says which of them is raised by one: "major", "minor" or "patch". The numbers to the right
    of it become 0; those to the left stay. Numbers may have several digits: 9 is followed by
    10, and 99 by 100.

    Any other `part`, also one in capitals, raises ValueError. `version` is always well-formed,
    without leading zeros.

    >>> bump_version("1.4.2", "minor")
    '1.5.0'
    >>> bump_version("1.4.9", "patch")
    '1.4.10'
    >>> bump_version("0.12.3", "major")
    '1.0.0'
    """
    position = ["major", "minor", "patch"].index(part)  # ValueError if it is none of them
    numbers = [int(number) for number in version.split(".")]
    numbers[position] += 1
    numbers[position + 1 :] = [0] * (2 - position)
    return ".".join(str(number) for number in numbers)


BASE_INPUTS = [
    ("1.4.2", "minor"),
    ("1.4.9", "patch"),
    ("0.12.3", "major"),
    ("9.9.9", "major"),
    ("9.9.9", "minor"),
    ("0.0.0", "patch"),
    ("1.2.3", "Major"),
    ("1.2.3", ""),
    ("1.2.3", "build"),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for part in ("MINOR", "pat", "patches", " patch", "major.minor", "0", "1", "2"):
        yield "3.2.1", part
    for version in ("0.0.0", "0.0.99", "99.99.99", "1.0.0", "10.0.10"):
        for part in ("major", "minor", "patch"):
            yield version, part
    for _ in range(100):
        largest = random.choice((3, 12, 1000, 10**9))
        numbers = [str(random.randrange(largest)) for _ in range(3)]
        yield ".".join(numbers), random.choice(("major", "minor", "patch"))
