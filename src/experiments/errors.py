"""What a user can fix, each with the next thing to type.

    UserError
    ├── ConfigError      a setting, a key or an option of the command line
    ├── DatasetError     a problem file, a data set that is not here
    ├── WeightsError     a GGUF that is missing, damaged or too large
    ├── BackendError     a model that could not generate (out of memory, died, refused)
    ├── SandboxError     the judge itself cannot work; never a verdict about a program
    ├── StoreError       a folder or a file of results that cannot be read or written
    └── TrackingError    a database or server of MLflow that cannot be used
        └── TrackingAway     it may be there again later: down, slow, locked, full

A `UserError` is told in one line and without a traceback. Every other exception is a
bug and keeps its traceback.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class UserError(Exception):
    """Something that the user can put right.

    Args:
        what: what failed and where, naming the file or the key.
        hint: what to do next, preferably something to type.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)  # both, so that the error survives pickling
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        """Return the error as one line, fit for a terminal, without passwords."""
        line = f"{self.what.rstrip('.')}. {self.hint}" if self.hint else self.what
        return masked(printable(" ".join(line.split())))


class ConfigError(UserError):
    """A setting, a key or an option of the command line is wrong."""


class DatasetError(UserError):
    """A data set or one of its problem files cannot be used."""


class WeightsError(UserError):
    """A GGUF file is missing, damaged, or does not fit this machine."""


class BackendError(UserError):
    """The model could not generate."""


class SandboxError(UserError):
    """The judge cannot work here. It says nothing about the program under test."""


class StoreError(UserError):
    """A folder or a file of results cannot be read or written."""


class TrackingError(UserError):
    """The tracking server or its database cannot be used."""


class TrackingAway(TrackingError):
    """The tracking server or its database cannot be used now: it is down, slow, locked or full."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest of the known names, or lists them (few of many)."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    if len(names) > MOST_LISTED:
        names[FEW_LISTED:] = [f"and {len(names) - FEW_LISTED} more"]
    return f"Known: {', '.join(names)}." if names else ""


def printable(text: str) -> str:
    """Return a text with all escaped that would steer a terminal or cannot be stored.

    To be used on whatever comes from a program under test, a model, a server or a file before
    it reaches a terminal, a page or MLflow: control characters, marks that turn the direction
    of writing, and halves of characters are escaped as in a literal of Python. Line breaks and
    tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )


def masked(text: str) -> str:
    """Return a text without the passwords in its addresses: `postgresql://me:***@host/runs`.

    What is masked: the password before the host, the name there as well where it stands alone
    in an address of the web (as tokens do), and parts of a query that are named like secrets.
    """
    if "://" not in text:
        return text
    text = _PASSWORD.sub(r"\1:***@", text)
    text = _TOKEN.sub(r"\1***@", text)
    return _QUERY.sub(r"\1***", text)


def without(data: Any, hidden: Mapping[str, str]) -> Any:
    """Return plain data, fit to be kept: passwords masked, and values by what stands for them.

    Args:
        data: dictionaries, lists, texts, numbers.
        hidden: values that are not to be kept, and what is written instead. Short ones are
            replaced where they are the whole text.
    """
    if isinstance(data, Mapping):
        return {name: without(value, hidden) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [without(value, hidden) for value in data]
    if not isinstance(data, str):
        return data
    for value, name in hidden.items():
        if len(value) >= LONG_ENOUGH_TO_TELL or data == value:
            data = data.replace(value, name)
    return masked(data)


MOST_LISTED, FEW_LISTED = 30, 5
"""Names that are all listed in a message, and how many are where there are more."""

LONG_ENOUGH_TO_TELL = 6
"""Characters of a hidden value that is found inside of other texts."""

_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):(?:(?!://)\S)+@")
_TOKEN = re.compile(r"(https?://)[^\s:/@?#]+@")
_QUERY = re.compile(r"([?&][\w.-]*(?:passw|pwd|secret|token|key)[\w.-]*=)[^&\s'\"]+", re.IGNORECASE)
