"""Which files a backup leaves out: rules with wildcards, in the manner of ignore files."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from random import Random

ID = "hard/backup_files"
TITLE = "Choose the files of a backup"
DIFFICULTY = "hard"
TOPICS = ("pattern matching", "recursion", "file systems", "precedence of rules")
ENTRY_POINT = "files_to_back_up"


def files_to_back_up(paths: list[str], rules: list[str]) -> list[str]:
    """Return the files that are not excluded from a backup, in the order given.

    A path is the names of the folders around a file and the name of the file, joined by "/".
    Names are not empty. A rule is a pattern, which excludes what it fits, or "!" and a
    pattern, which includes it again. For a folder or file the last rule that fits it decides;
    it is included if none fits. But everything inside an excluded folder is excluded, whatever
    the rules say about it.

    A pattern that ends with "/" fits folders only; that "/" is no part of what follows. Then

    - a pattern without "/" fits folders and files with such a name, at any depth;
    - a pattern with "/" has to fit the whole path of the folder or file, name by name. An
      empty name at its beginning is dropped: "/a" fits only the "a" at the top.

    In a name of the pattern, "*" stands for any characters, also none, "?" for any one
    character, all others for themselves; case matters. A name "**" of a pattern with "/"
    stands for any number of folder names, also none. (At the end of a pattern, where a file
    or folder has to be named, it stands for one or more names of any kind.) There are no
    square brackets, no other empty names, and no empty patterns.

    >>> files_to_back_up(["a.txt", "b.log", "logs/c.log"], ["*.log", "!/logs/*.log"])
    ['a.txt', 'logs/c.log']
    >>> files_to_back_up(["tmp/x", "src/tmp/y", "src/tmp.py", "tmp2"], ["tmp/", "!x", "*2"])
    ['src/tmp.py']
    """
    return [path for path in paths if not _excluded(path.split("/"), rules)]


def _excluded(names: list[str], rules: list[str]) -> bool:
    for depth, _ in enumerate(names, 1):
        excluded = False
        for rule in rules:
            if _fits(rule.removeprefix("!"), names[:depth], depth < len(names)):
                excluded = not rule.startswith("!")
        if excluded:
            return True
    return False


def _fits(pattern: str, names: list[str], is_folder: bool) -> bool:
    if pattern.endswith("/") and not is_folder:
        return False
    pattern = pattern.removesuffix("/")
    if "/" not in pattern:
        return fnmatchcase(names[-1], pattern)
    return _fits_all(pattern.removeprefix("/").split("/"), names)


def _fits_all(wanted: list[str], names: list[str]) -> bool:
    """Tell whether the names of a pattern fit all the names of a path."""
    if not wanted or not names:
        return wanted == names
    first, *rest = wanted
    if first == "**":
        return not rest or _fits_all(rest, names) or _fits_all(wanted, names[1:])
    return fnmatchcase(names[0], first) and _fits_all(rest, names[1:])


BASE_INPUTS = [
    ([], ["*"]),
    (["b", "a", "b"], []),
    (["a.txt", "b.log", "logs/c.log"], ["*.log", "!/logs/*.log"]),
    (["tmp/x", "src/tmp/y", "src/tmp.py", "tmp2"], ["tmp/", "!x", "*2"]),
    (["build", "build/a", "src/build/b", "src/build"], ["/build"]),
    (["build", "build/a", "src/build/b", "src/build"], ["build/"]),
    (["a/b/c", "a/c", "a/x/y/c", "c", "a/c/d"], ["a/**/c"]),
    (["a", "a/b", "a/b/c", "x/a/b"], ["a/**", "!a/b"]),
    (["a", "a/b", "a/b/c", "x/a/b"], ["**/b", "!x/**/b"]),
    (["ab", "aab", "b", "a.b", "AB", "a/b"], ["a?", "!?a*", "a?b"]),
    (["d/e/f", "d/g", "e/f"], ["!d/g", "d/*", "!d/e/", "e"]),
    (["d/e/f", "d/g", "e/f", "d/e"], ["d/e/", "*/f"]),
    (["a/k/z", "a/k", "k/z"], ["/*/k/", "!/a/k"]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([], [])
    yield (["a"], ["a", "!a", "a"])
    yield (["a", "b/a", "b/c"], ["**", "!c"])
    yield (["a", "b/a", "b/c"], ["**/"])
    yield (["a", "b/a", "b/c"], ["/**", "!a"])
    yield (["a b", "é", "日本/é", ".git/x", "a+b", "a.b"], ["?", "a?b", ".*/"])
    yield (["a+b", "aab", "a.b", "axb", "a$", "(a)"], ["a+b", "a.b", "a$", "(a)"])
    yield (["/".join("abcdefgh"[:n]) for n in range(1, 9)], ["**/c/**/f/*", "!g"])
    yield (["/".join("ab" * n) for n in range(1, 9)], ["a/**/**/a/b/b", "**/a/a"])
    yield (["x" * n for n in range(1, 20)], ["*x?x*x", "!xx?xx", "!/xxxx*xx*xx"])
    names = ["a", "b", "ab", "a.x", "b.x"]
    parts = ["a", "b", "*", "?", "*.x", "a*", "**", "*b"]
    for size in range(120):
        paths = ["/".join(random.choices(names, k=random.randint(1, 4))) for _ in range(12)]
        rules = []
        for _ in range(random.randint(1, 2 + size // 20)):
            pattern = "/".join(random.choices(parts, k=random.choice([1, 1, 2, 2, 3])))
            pattern = random.choice(["", "", "", "/"]) + pattern + random.choice(["", "", "/"])
            rules.append(random.choice(["", "", "!"]) + pattern)
        yield (paths, rules)
