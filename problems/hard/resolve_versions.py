"""Which versions of packages go together: backtracking, newest first."""

from collections.abc import Iterator
from random import Random

ID = "hard/resolve_versions"
TITLE = "Resolve versions of packages"
DIFFICULTY = "hard"
TOPICS = ("backtracking", "constraint satisfaction", "version numbers", "packaging")
ENTRY_POINT = "resolve_versions"


def resolve_versions(
    catalog: dict[str, dict[str, dict[str, str]]], wanted: dict[str, str]
) -> dict[str, str]:
    """Return which version of which package to install.

    `catalog` maps each package to its versions, and each version to what it needs: packages,
    each with a constraint. `wanted` tells likewise what the user needs. A package that is
    needed may be missing in the catalog: it has no versions. Versions are written
    "major.minor", two whole numbers without leading zeros, and "1.10" is newer than "1.9".
    A constraint is one of

    - "*": any version;
    - "=2.3": version 2.3 only;
    - "^2.3": version 2.3 or newer, but with the same major number, here 2.

    Packages are decided one after another: always the alphabetically first package that is
    not decided and is needed by the user or by a version decided before. Its versions are
    tried, the newest first. A version is possible if it keeps all constraints on its package
    by the user and by the decided versions, if what it needs itself is kept by all versions
    decided (itself included), and if all further packages can be decided too; otherwise the
    next older version is tried. If the first package has no possible version, raise
    ValueError.

    Return the decided packages with their versions, in any order.

    >>> catalog = {"app": {"1.9": {}, "1.10": {"lib": "^1.0"}}, "lib": {"1.2": {}}}
    >>> resolve_versions(catalog, {"app": "*"})
    {'app': '1.10', 'lib': '1.2'}
    >>> catalog = {"app": {"2.0": {"lib": "=1.0"}, "1.0": {}}, "lib": {"1.0": {}, "2.0": {}}}
    >>> resolve_versions(catalog, {"app": "*", "lib": "^2.0"})
    {'app': '1.0', 'lib': '2.0'}
    """
    decided = _decide(catalog, list(wanted.items()), {})
    if decided is None:
        raise ValueError("no versions go together")
    return decided


def _decide(
    catalog: dict[str, dict[str, dict[str, str]]],
    needs: list[tuple[str, str]],
    decided: dict[str, str],
) -> dict[str, str] | None:
    """Return `decided` with all that is needed, or None if that is impossible."""
    if any(name in decided and not _keeps(decided[name], rule) for name, rule in needs):
        return None
    undecided = {name for name, _ in needs} - decided.keys()
    if not undecided:
        return decided
    package = min(undecided)
    versions = catalog.get(package, {})
    for version in sorted(versions, key=_numbers, reverse=True):
        further = [*needs, *versions[version].items()]
        complete = _decide(catalog, further, {**decided, package: version})
        if complete is not None:
            return complete
    return None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _keeps(version: str, rule: str) -> bool:
    if rule == "*":
        return True
    if rule[0] == "=":
        return version == rule[1:]
    found, least = _numbers(version), _numbers(rule[1:])
    return found[0] == least[0] and found >= least


BASE_INPUTS = [
    ({"app": {"1.0": {}}}, {}),
    ({}, {"app": "*"}),
    ({"app": {"1.9": {}, "1.10": {"lib": "^1.0"}}, "lib": {"1.2": {}}}, {"app": "*"}),
    (
        {"app": {"2.0": {"lib": "=1.0"}, "1.0": {}}, "lib": {"1.0": {}, "2.0": {}}},
        {"app": "*", "lib": "^2.0"},
    ),
    ({"a": {"1.4": {}, "1.5": {}, "2.0": {}, "2.1": {}, "3.0": {}}}, {"a": "^2.0"}),
    ({"a": {"1.4": {}, "1.5": {}, "2.0": {}}}, {"a": "^1.5"}),
    ({"a": {"1.4": {}, "1.5": {}, "3.9": {}}}, {"a": "^1.6"}),
    ({"a": {"1.2": {}, "1.20": {}, "12.0": {}}}, {"a": "=1.2"}),
    (
        {"b": {"1.0": {"a": "=1.0"}, "1.1": {"a": "=2.0"}}, "a": {"1.0": {}, "2.0": {}, "2.1": {}}},
        {"b": "*"},
    ),
    (
        {"b": {"1.0": {"a": "=1.0"}, "1.1": {"a": "=2.0"}}, "a": {"1.0": {}, "2.0": {}, "2.1": {}}},
        {"b": "*", "a": "*"},
    ),
    (
        {"a": {"1.0": {"b": "^1.0"}}, "b": {"1.0": {"a": "=1.0"}, "1.1": {"a": "=2.0"}}},
        {"a": "*"},
    ),
    ({"a": {"1.1": {"a": "=1.0"}, "1.0": {"gone": "*"}}}, {"a": "*"}),
    (
        {
            "a": {"2.0": {"c": "^1.0"}, "1.0": {"c": "^2.0"}},
            "b": {"1.1": {"c": "^3.0"}, "1.0": {"c": "^2.1"}},
            "c": {"1.0": {}, "2.0": {}, "2.1": {}, "3.0": {"d": "*"}},
        },
        {"a": "*", "b": "^1.0"},
    ),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({}, {})
    yield ({"a": {}}, {"a": "*"})
    yield ({"a": {"0.0": {}, "0.1": {}}}, {"a": "^0.0"})
    yield ({"a": {"10.0": {}, "9.99": {}, "1.100": {}}}, {"a": "*"})
    yield ({"é": {"1.0": {"Z": "*"}}, "Z": {"1.0": {}}}, {"é": "=1.0"})
    yield ({f"p{n}": {"1.0": {f"p{n + 1}": "^1.0"}} for n in range(30)}, {"p0": "*"})
    chain = {f"p{n}": {"1.0": {f"p{n + 1}": "^1.0"}} for n in range(30)}
    yield ({**chain, "p30": {"1.7": {"p0": "=1.0"}}}, {"p0": "*"})
    for size in range(120):
        names = "abcd"[: 2 + size // 40]
        catalog: dict[str, dict[str, dict[str, str]]] = {}
        for name in names:
            catalog[name] = {}
            for version in random.sample(["1.0", "1.9", "1.10", "2.0", "2.1"], k=3):
                others = random.sample(names, k=random.choice([0, 0, 1, 1, 2]))
                catalog[name][version] = {
                    other: random.choice(["*", "^1.0", "^1.9", "^1.10", "^2.0", "=1.9", "=2.1"])
                    for other in others
                    if other != name
                }
        wanted = random.sample(names, k=random.randint(1, 2))
        yield (catalog, {name: random.choice(["*", "^1.0", "^1.9", "^2.0"]) for name in wanted})
