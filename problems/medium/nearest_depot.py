"""The nearest depot of each place in a road network: a search from all depots at once."""

from collections import defaultdict, deque
from collections.abc import Iterator
from random import Random

ID = "medium/nearest_depot"
TITLE = "Nearest depot of each place"
DIFFICULTY = "medium"
TOPICS = ("graphs", "breadth-first search", "logistics")
ENTRY_POINT = "nearest_depots"


def nearest_depots(
    roads: list[tuple[str, str]], depots: list[str]
) -> dict[str, tuple[str, int] | None]:
    """Return the nearest depot of each place and how many roads lie between them.

    Each road joins two places and can be used in both directions. A road may be given more
    than once, in either direction, and may lead from a place to itself. `depots` names the
    places with a depot, in any order; a name may be repeated, and a depot need not be on
    any road.

    The result has a key for each place on a road and for each depot. Its value is the pair
    of the depot that is reached over the fewest roads and that number of roads (0 for a
    depot itself, which is its own nearest depot). Of several equally near depots, the
    alphabetically first one counts (by plain comparison of strings). If no depot can be
    reached from a place, its value is None.

    The order of the keys does not matter.

    >>> nearest_depots([("A", "B"), ("B", "C"), ("C", "D")], ["D", "A"])
    {'A': ('A', 0), 'B': ('A', 1), 'C': ('D', 1), 'D': ('D', 0)}
    >>> nearest_depots([("X", "Y")], ["Hub"])
    {'Hub': ('Hub', 0), 'X': None, 'Y': None}
    """
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for one, other in roads:
        neighbours[one].append(other)
        neighbours[other].append(one)

    # The queue holds places by distance, and those of one distance by their depot's name:
    # so a place is first reached from the depot that counts.
    nearest = {depot: (depot, 0) for depot in sorted(depots)}
    queue = deque(nearest)
    while queue:
        place = queue.popleft()
        depot, distance = nearest[place]
        for neighbour in neighbours[place]:
            if neighbour not in nearest:
                nearest[neighbour] = (depot, distance + 1)
                queue.append(neighbour)
    return {place: nearest.get(place) for place in sorted({*neighbours, *nearest})}


BASE_INPUTS = [
    ([("A", "B"), ("B", "C"), ("C", "D")], ["D", "A"]),
    ([("X", "Y")], ["Hub"]),
    ([], []),
    ([], ["B", "A", "B"]),
    ([("A", "B")], []),
    ([("m", "z"), ("m", "a"), ("m", "k")], ["z", "k", "a"]),
    ([("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("e", "a")], ["a"]),
    ([("A", "A"), ("A", "B"), ("B", "A")], ["B"]),
    ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("x", "y")], ["e", "a", "y"]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("a", "a")], [])
    yield ([("a", "a")], ["a"])
    yield ([("a", "b")], ["b", "a"])
    yield ([("a", "b")], ["b", "b"])
    yield ([("10", "x"), ("9", "x")], ["9", "10"])
    yield ([("é", "x"), ("z", "x"), ("Z", "x"), ("", "x")], ["é", "z", "Z"])
    yield ([("é", "x"), ("z", "x"), ("Z", "x"), ("", "x")], ["é", "z", "Z", ""])
    yield ([("z", "p"), ("p", "m"), ("a", "q"), ("q", "m"), ("m", "n")], ["z", "a"])
    yield ([("z", "m"), ("a", "q"), ("q", "m"), ("m", "n")], ["z", "a"])
    yield ([(f"p{n}", f"p{n + 1}") for n in range(80)], ["p0", "p80"])
    yield ([(f"p{n}", f"p{(n + 1) % 50}") for n in range(50)], ["p7", "p32", "p20"])
    yield ([(f"p{n}", f"p{n // 2}") for n in range(1, 100)], ["p77", "p50"])
    yield ([(f"p{n}", f"q{m}") for n in range(8) for m in range(8)], ["q3", "p5"])
    for _ in range(140):
        places = "abcdefghij"[: random.randint(2, 10)]
        roads = [
            (random.choice(places), random.choice(places)) for _ in range(random.randint(0, 11))
        ]
        yield (roads, random.choices([*places, "k"], k=random.randint(0, 4)))
