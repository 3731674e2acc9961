"""The letters at the edge of an address book."""

from collections.abc import Iterator
from random import Random

ID = "easy/address_index"
TITLE = "Index of an address book"
DIFFICULTY = "easy"
TOPICS = ("grouping", "sorting", "strings", "unicode")
ENTRY_POINT = "address_index"


def address_index(names: list[str]) -> dict[str, list[str]]:
    """Return the names of an address book, grouped by their first letter.

    The key of a group is the first character of its names as a capital letter (`str.upper`):
    "anna" and "Anna" are both under "A", and "Åse" is under "Å". Names whose first character is
    not a letter (`str.isalpha`) are under "#". There are no empty names and no empty groups.

    Within a group, names are sorted without regard to case, that is by their `str.lower`; names
    that differ in case only stay in the order in which they were given. Names that occur
    several times are kept. The order of the keys does not matter.

    >>> address_index(["Bob", "anna", "Adam"])
    {'A': ['Adam', 'anna'], 'B': ['Bob']}
    >>> address_index(["24h taxi", "Åse"])
    {'#': ['24h taxi'], 'Å': ['Åse']}
    """
    index: dict[str, list[str]] = {}
    for name in sorted(names, key=str.lower):
        letter = name[0].upper() if name[0].isalpha() else "#"
        index.setdefault(letter, []).append(name)
    return index


BASE_INPUTS = [
    (["Bob", "anna", "Adam"],),
    (["24h taxi", "Åse"],),
    ([],),
    (["bob", "BOB", "Bea", "bob", "Bob"],),
    (["de Vries", "Dent", "(work) Ann", "#1 Pizza", "D"],),
    (["Zoë", "zac", "Zoe", "_zed"],),
    (["ann", "Ann"],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["X"],)
    yield ([" Ann", "Ann", "-", "-"],)
    yield (["Ödön", "Öz", "øre", "Øre", "éva", "Евгений", "евгения", "田中"],)
    yield (["anna-lena", "Anna Lena", "annalena", "Anna"],)
    starts = ["An", "an", "AN", "Be", "be", "Cé", "ce", "Ça", "1", "9z", "+4", "Ä"]
    ends = ["na", "NA", "a", " Ott", "", "ß", "2"]
    for size in range(100):
        yield ([random.choice(starts) + random.choice(ends) for _ in range(size // 2)],)
