"""Which targets of a build are out of date, and in which order they are made again."""

from collections.abc import Iterator
from random import Random

ID = "medium/rebuild_order"
TITLE = "Rebuild what a change made out of date"
DIFFICULTY = "medium"
TOPICS = ("graphs", "topological sorting", "build systems")
ENTRY_POINT = "rebuild_order"


def rebuild_order(made_from: dict[str, list[str]], changed: list[str]) -> list[str]:
    """Return the targets that have to be built again after a change, in building order.

    `made_from` maps each target of a build to what it is made from: files or other
    targets (or nothing). A name that is not a key is a file; a file is never built.
    `changed` names what was changed, in any order: files, targets, or names that occur
    nowhere, which have no effect.

    A target is out of date if it was changed itself or is made from anything that was
    changed or is out of date. Each such target is returned once, after all out-of-date
    targets that it is made from; whenever several could come next, the alphabetically
    first of them (by plain comparison of strings) comes next.

    Raise ValueError if out-of-date targets are made from one another in a circle (a target
    made from itself included). A circle of targets that are not out of date does not
    matter.

    >>> rebuild_order({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"]}, ["b.c"])
    ['lib', 'app']
    >>> rebuild_order({"app": ["main.c"], "tool": ["app"], "doc": ["doc.md"]}, ["main.c", "doc.md"])
    ['app', 'doc', 'tool']
    """
    stale = set(changed)
    while newly_stale := {
        target
        for target, parts in made_from.items()
        if target not in stale and not stale.isdisjoint(parts)
    }:
        stale.update(newly_stale)

    order = []
    waiting = stale & made_from.keys()
    while waiting:
        ready = sorted(target for target in waiting if waiting.isdisjoint(made_from[target]))
        if not ready:
            raise ValueError(f"made from one another: {sorted(waiting)}")
        order.append(ready[0])
        waiting.remove(ready[0])
    return order


BASE_INPUTS = [
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, ["b.c"]),
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, ["main.c", "doc.md"]),
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, ["lib"]),
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, ["app", "a.c", "a.c"]),
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, []),
    ({"app": ["lib", "main.c"], "lib": ["a.c", "b.c"], "doc": ["doc.md"]}, ["README", "lib.c"]),
    ({}, ["a.c"]),
    ({"z": ["a.c"], "a": ["z"], "m": ["a.c"], "B": ["a.c"]}, ["a.c"]),
    ({"x": ["y"], "y": ["x", "f"], "ok": ["g"]}, ["g"]),
    ({"x": ["y"], "y": ["x", "f"], "ok": ["g"]}, ["f", "g"]),
    ({"x": ["x"]}, ["x"]),
    ({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["a"]}, ["a"]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({"a": ["a"]}, ["b"])
    yield ({"a": []}, ["a"])
    yield ({"a": []}, [])
    yield ({}, [])
    yield ({"b": ["f"], "a": ["b"], "c": ["f"]}, ["f"])
    yield ({"b": ["f"], "c": ["b"], "a": ["c"], "d": ["f"]}, ["f"])
    yield ({"a": ["b"], "b": ["a"]}, ["a"])
    yield ({"a": ["b"], "b": ["a"], "c": ["a"]}, ["c"])
    yield ({"a": ["b"], "b": ["c"], "c": ["a", "f"], "d": ["f"]}, ["f"])
    yield ({"é": ["f"], "z": ["f"], "Z": ["f"], "": ["f"], "10": ["f"], "9": ["f"]}, ["f"])
    yield ({f"t{n}": [f"t{n + 1}"] for n in range(60)}, ["t60"])
    yield ({f"t{n}": [f"t{n + 1}"] for n in range(60)}, ["t30"])
    yield ({f"t{n}": ["f", "f"] for n in range(60)}, ["f", "f"])
    yield ({f"t{n}": [f"t{n // 2}"] for n in range(1, 50)}, ["t3"])
    for _ in range(140):
        names = random.sample("qwertzui", k=random.randint(1, 8))
        made_from = {}
        for position, name in enumerate(names):
            targets = names[:position] if random.random() < 0.96 else names
            parts = random.choices([*targets, "F", "G", "H"], k=random.randint(0, 3))
            made_from[name] = parts
        yield (made_from, random.choices([*names, "F", "G", "H", "none"], k=random.randint(1, 3)))
