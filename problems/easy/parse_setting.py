"""One line of a configuration file."""

from collections.abc import Iterator
from random import Random

ID = "easy/parse_setting"
TITLE = "Read a line of a configuration file"
DIFFICULTY = "easy"
TOPICS = ("parsing", "validation", "configuration")
ENTRY_POINT = "parse_setting"


def parse_setting(line: str) -> tuple[str, str] | None:
    """Return the name and the value that a line of a configuration file sets.

    A setting reads "name = value". The first "=" separates the two; further ones belong to the
    value. Spaces around name and value are dropped, those inside are kept. A "#" begins a
    comment, wherever it stands: it and everything after it are ignored. The value may be empty.

    A line that is empty or has nothing but spaces and a comment sets nothing: the result is
    None. Any other line without "=" raises ValueError, and so does a line with an empty name.

    >>> parse_setting("colour = dark red  # as in the logo")
    ('colour', 'dark red')
    >>> parse_setting("query=a=b")
    ('query', 'a=b')
    >>> parse_setting("# nothing = here") is None
    True
    """
    text = line.partition("#")[0].strip()
    if not text:
        return None
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name or not equals:
        raise ValueError(f"not a setting: {line!r}")
    return name, value


BASE_INPUTS = [
    ("colour = dark red  # as in the logo",),
    ("query=a=b",),
    ("# nothing = here",),
    ("",),
    ("   ",),
    ("port=80",),
    ("  path =  /home/ann  ",),
    ("empty =",),
    ("verbose",),
    (" = 5",),
    ("verbose # = yes",),
    ("a = 1 # b # c = 2",),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for line in ("=", "==", "= =", "a==", "a = =", "#", "##", " #", "a#=b", "a=#b", "=#", "x"):
        yield (line,)
    for line in ("my name = my value", "größe = ½", "a = b, c; d", "'a' = \"b\"", "A=a", "[a]=b"):
        yield (line,)
    for _ in range(110):
        yield (
            "".join(random.choices(" =#abé", weights=(4, 2, 1, 2, 2, 1), k=random.randrange(15))),
        )
