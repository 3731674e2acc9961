"""Three-way merge of nested settings."""

from collections.abc import Iterator
from random import Random

ID = "hard/merge_settings"
TITLE = "Merge two changed versions of settings"
DIFFICULTY = "hard"
TOPICS = ("three-way merge", "versioning", "nested dictionaries", "recursion")
ENTRY_POINT = "merge_settings"


def merge_settings(
    base: dict[str, object], ours: dict[str, object], theirs: dict[str, object]
) -> tuple[dict[str, object], list[list[str]]]:
    """Merge two versions of settings, `ours` and `theirs`, that were both made from `base`.

    Settings map names to strings, whole numbers, lists of strings, or settings again. For
    each name that is in any of the three, its entries there are compared, where "missing" is
    an entry like any other; two entries are the same if Python finds them equal.

    1. If ours and theirs are the same, it is taken.
    2. If theirs is the same as that of the base, ours is taken: only we changed it.
    3. If ours is the same as that of the base, theirs is taken.
    4. Otherwise, if ours and theirs are both settings, the merge of them is taken, by these
       same rules, with the base's entry as their base if that is settings too, and with empty
       settings otherwise.
    5. Otherwise it is a conflict: both changed the entry. Ours is taken, unless it is missing:
       then theirs is taken.

    To take "missing" means that the merged settings do not have that name. Lists are not
    merged.

    Return the merged settings and the conflicts, each as the list of names that leads to it;
    the conflicts are sorted as Python compares lists.

    >>> merge_settings({"a": 1, "b": 2}, {"a": 5, "b": 2}, {"a": 1, "c": 3})
    ({'a': 5, 'c': 3}, [])
    >>> merge_settings({"ui": {"size": 9}}, {"ui": {"size": 10}}, {"ui": {"size": 12, "bold": 1}})
    ({'ui': {'bold': 1, 'size': 10}}, [['ui', 'size']])
    """
    merged: dict[str, object] = {}
    conflicts: list[list[str]] = []
    for name in sorted({*base, *ours, *theirs}):
        old, our, their = (version.get(name, _MISSING) for version in (base, ours, theirs))
        if their in (old, our):
            taken = our
        elif our == old:
            taken = their
        elif isinstance(our, dict) and isinstance(their, dict):
            taken, inside = merge_settings(old if isinstance(old, dict) else {}, our, their)
            conflicts += [[name, *path] for path in inside]
        else:
            taken = their if our is _MISSING else our
            conflicts.append([name])
        if taken is not _MISSING:
            merged[name] = taken
    return merged, conflicts


_MISSING = object()


BASE_INPUTS = [
    ({}, {}, {}),
    ({"a": 1, "b": 2}, {"a": 5, "b": 2}, {"a": 1, "c": 3}),
    (
        {"ui": {"size": 9}},
        {"ui": {"size": 10}},
        {"ui": {"size": 12, "bold": 1}},
    ),
    ({"a": 1}, {"a": 2}, {"a": 2}),
    ({"a": 1, "b": 1}, {"b": 2}, {"a": 2}),
    ({"a": 1}, {}, {}),
    ({"a": {"x": 1}}, {}, {"a": {"x": 1}}),
    ({}, {"a": {"x": 1, "y": 2}}, {"a": {"x": 3, "z": 4}}),
    ({"a": "text"}, {"a": {"x": 1}}, {"a": {"x": 2}}),
    ({"a": {"x": 1}}, {"a": {"x": 2}}, {"a": 7}),
    ({"a": {"x": 1}}, {"a": 7}, {"a": {"x": 2}}),
    ({"l": ["a"]}, {"l": ["a", "b"]}, {"l": ["c", "a"]}),
    (
        {"b": {"k": {"v": 0}}, "a": 0},
        {"a": 1, "b": {"k": {"v": 1}}},
        {"a": 2, "b": {"k": {"v": 2}}},
    ),
    ({"m": {"x": 1, "y": 1}}, {"m": {"y": 1}}, {"m": {"x": 1}}),
    ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 2, "y": 1}}),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({}, {"": 0}, {"": ""})
    yield ({"é": "1"}, {"é": 1}, {"é": "1"})
    yield ({"a": {}}, {"a": {}}, {})
    yield ({"a": {}}, {}, {"a": {"b": {}}})
    yield ({}, {"a": {}}, {"a": {"x": {}}})
    yield ({"a": []}, {"a": {}}, {"a": ""})
    yield ({"a": {"a": {"a": 1}}}, {"a": {"a": {"a": 2}}}, {"a": {"a": {}}})
    yield ({"b": 1, "B": 1}, {"b": 2, "B": 2}, {"b": 3, "B": 3})
    yield ({}, {str(n): n for n in range(40)}, {str(n): n // 2 for n in range(40)})

    def entry(depth: int) -> object:
        kind = random.randint(0, 6 if depth else 3)
        if kind < 3:
            return random.randint(0, 1)
        return random.choice([["s"], [], "s"]) if kind == 3 else settings(depth - 1)

    def settings(depth: int) -> dict[str, object]:
        return {name: entry(depth) for name in random.sample("abc", k=random.randint(0, 3))}

    def changed(old: dict[str, object], depth: int) -> dict[str, object]:
        new = {}
        for name in random.sample("abc", k=3):
            before = old.get(name)
            if isinstance(before, dict) and random.random() < 0.7:
                new[name] = changed(before, depth - 1)
            elif random.random() < 0.35:
                new[name] = entry(depth)
            elif name in old and random.random() < 0.85:
                new[name] = before
        return new

    for size in range(120):
        depth = 1 + size // 50
        base = settings(depth)
        yield (base, changed(base, depth), changed(base, depth))
