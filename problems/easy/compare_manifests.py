"""Two states of a folder."""

from collections.abc import Iterator
from random import Random

ID = "easy/compare_manifests"
TITLE = "What has changed in a backup"
DIFFICULTY = "easy"
TOPICS = ("sets", "dictionaries", "sorting", "files")
ENTRY_POINT = "compare_manifests"


def compare_manifests(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    """Return what has happened to the files of a folder between two backups.

    `old` and `new` map the path of each file to its checksum at the time of the backup. The
    result always has three keys: "added" for the paths that only `new` has, "removed" for those
    that only `old` has, and "changed" for those that both have with different checksums. Each
    list is sorted as Python sorts strings and may be empty. A renamed file is one that was
    removed and one that was added. Files that stayed the same are not mentioned.

    >>> compare_manifests({"a.txt": "11", "b.txt": "22"}, {"b.txt": "23", "c.txt": "11"})
    {'added': ['c.txt'], 'removed': ['a.txt'], 'changed': ['b.txt']}
    >>> compare_manifests({"a.txt": "11"}, {"a.txt": "11"})
    {'added': [], 'removed': [], 'changed': []}
    """
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(path for path in old.keys() & new.keys() if old[path] != new[path]),
    }


BASE_INPUTS = [
    ({"a.txt": "11", "b.txt": "22"}, {"b.txt": "23", "c.txt": "11"}),
    ({"a.txt": "11"}, {"a.txt": "11"}),
    ({}, {}),
    ({}, {"z": "1", "m/a": "2", "B": "3", "m": "4"}),
    ({"z": "1", "m/a": "2", "B": "3", "m": "4"}, {}),
    ({"q": "2", "p": "1", "r": "5", "s": "6"}, {"r": "4", "s": "6", "q": "1", "p": "2"}),
    ({"a": "1", "b": "2", "c": "3"}, {"a": "2", "c": "3", "d": "4"}),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield {"": "1"}, {"": ""}
    yield {"A": "1"}, {"a": "1"}
    yield {"ä": "1", "z": "1", "Z": "1"}, {}
    yield {"file10": "1", "file9": "1"}, {"file10": "2", "file9": "2"}
    paths = [f"{folder}/{name}.txt" for folder in "xyZ" for name in range(8, 18)]
    for size in range(100):
        before = random.sample(paths, size % 31)
        after = random.sample(paths, random.randrange(31))
        yield (
            {path: random.choice("abc") for path in before},
            {path: random.choice("abc") for path in after},
        )
