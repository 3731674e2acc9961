"""Read a settings file with sections and dotted names into nested dictionaries."""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

ID = "medium/settings_text"
TITLE = "Settings with dotted names"
DIFFICULTY = "medium"
TOPICS = ("parsing", "configuration", "nested dictionaries")
ENTRY_POINT = "parse_settings"

_PATH = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]+")


def parse_settings(text: str) -> dict[str, Any]:
    """Return the settings in a text as nested dictionaries.

    Blanks (spaces, tabs, "\\r") at both ends of a line are ignored, and so are then empty
    lines and lines that begin with "#". Every other line ("\\n" ends a line) is one of
    - `[path]`: the following settings belong under this path, until the next such line;
      before the first one, they belong at the top.
    - `path = value`: a setting. Blanks around the first "=" do not matter.

    A path is one or more names of the characters a-z, 0-9 and "_", joined by ".". Each
    name before the last is a dictionary that holds the next name. The values "true" and
    "false" become booleans; an optional "-" and one or more digits 0-9 become an integer;
    anything else, which may be empty, stays a string.

    A section without settings makes nothing. Raise ValueError for any other line, for a
    setting that is there already (as a value or as a dictionary), and for a name that
    would have to be a dictionary but already has a value.

    >>> parse_settings("port = 80\\n[log.file]\\npath = /tmp/a=b\\nopen = true")
    {'port': 80, 'log': {'file': {'path': '/tmp/a=b', 'open': True}}}
    >>> parse_settings("# all defaults\\n[log]")
    {}
    """
    settings: dict[str, Any] = {}
    section: list[str] = []
    for line in map(str.strip, text.split("\n")):
        if line.startswith("[") and line.endswith("]"):
            section = _names(line[1:-1])
        elif line and not line.startswith("#"):
            path, equals, value = map(str.strip, line.partition("="))
            if not equals:
                raise ValueError(f"neither a section nor a setting: {line!r}")
            _set(settings, section + _names(path), _value(value))
    return settings


def _names(path: str) -> list[str]:
    if not _PATH.fullmatch(path):
        raise ValueError(f"not a path: {path!r}")
    return path.split(".")


def _set(settings: dict[str, Any], names: list[str], value: str | int) -> None:
    *parents, last = names
    for name in parents:
        settings = settings.setdefault(name, {})
        if not isinstance(settings, dict):
            raise ValueError(f"{name!r} already has a value")
    if last in settings:
        raise ValueError(f"{last!r} is there already")
    settings[last] = value


def _value(text: str) -> str | int:
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


BASE_INPUTS = [
    ("port = 80\n[log.file]\npath = /tmp/a=b\nopen = true",),
    ("# all defaults\n[log]",),
    ("",),
    ("  a.b = 1 \n\n\t# no\n  [c] ",),
    ("a=-5\nb=false\nc=\nd=1.5\ne = x # y\nf=--1\ng=- 1\nh=[x]",),
    ("[a]\nb.c = 1\n[a.b]\nd = 2\n[x]\na = 3",),
    ("a = 1\na = 1",),
    ("a.b = 1\na = 2",),
    ("a = 1\na.b = 2",),
    ("a = text\n[a.b]\nc = 2",),
    ("words",),
    ("[ab\nc = 1",),
    ("a..b = 1",),
    ("[]",),
    ("A = 1",),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for text in (
        "a", "=", "= 1", "a =", "a = =", "a == 1", "[a]]", "[[a]]", "[a] b", "]a[", "a]", "[a=1]",
        "[a.b]\n[a]\nb = 1", "[ a ]", "[.a]", "[a.]", "a. b = 1", "a b = 1", "a-b = 1", "é = 1",
        "#a", "a#=1", "[a] # b", "a = [b]", "a = ٣", "a = 007", "a = -0", "a = +1", "a = 1_000",
        "a = True", "a = TRUE", "a = true false", "a = 'true'", "1 = 2", "_ = _", "\n\n", " ",
        "a = 1\r\nb = 2\r\n", "[a", "[", "a.b.c.d = 1\na.b.c.e = 2\na.b.f = 3\na.g = 4",
        "a.b.c = 1\na.b = 2", "a.b = 1\na.b.c = 2", "[a]\n[b]\nc = 1\n[a]\nd = 2",
        "a = true\na.b = 1", "a = 0\na.b = 1", "a =\na.b = 1", "a = 99999999999999999999",
        "[a]\nb = 1\n[c]\nb = 1", "[a]\na = 1\na.a = 2", "a = 1\tb = 2",
        "[a]\na.a = 1\n[a.a]\na = 1", "a.a = 1\na.b = 2\na.a = 3", "x = ü\ny = #", "[a.b]x = 1",
    ):  # fmt: skip
        yield (text,)
    yield ("\n".join(f"key{n} = {n}" for n in range(150)),)
    yield ("\n".join(f"[part{n % 5}]\nkey{n} = v{n}" for n in range(100)),)
    values = ["1", "-2", "true", "false", "", "text", "a = b", "# no", "1.0", "-"]
    for _ in range(110):
        lines = []
        for _ in range(random.randint(1, 7)):
            path = ".".join(random.choices("abcd", k=random.randint(1, 3)))
            setting = f"{path}{random.choice(['=', ' = ', '= '])}{random.choice(values)}"
            lines.append(random.choice([setting, setting, setting, f"[{path}]", "", "# x = 1"]))
        if random.random() < 0.05:
            lines.insert(random.randint(0, len(lines)), random.choice(["a", "[a", "a.=1", "=1"]))
        yield ("\n".join(lines),)
