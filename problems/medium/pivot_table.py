"""A cross table with totals from single records."""

from collections import Counter
from collections.abc import Iterator
from random import Random

ID = "medium/pivot_table"
TITLE = "Pivot table with totals"
DIFFICULTY = "medium"
TOPICS = ("grouping", "aggregation", "tables")
ENTRY_POINT = "pivot_sales"


def pivot_sales(records: list[tuple[str, str, int]]) -> list[list[str | int | None]]:
    """Return sales records as a table, a list of rows, with a row per region.

    Each record is (region, quarter, amount); amounts are whole numbers and may be
    negative (returns). The table has
    - a header row: the empty string, the quarters, and "total";
    - a row per region: its name, the sum of its amounts in each quarter, and the sum of
      all its amounts;
    - a last row: "total", the sum of all amounts in each quarter, and the sum of all.

    Quarters are in ascending order. The regions with the largest sums come first; regions
    with equal sums are in ascending order of their names. Names are compared as plain
    strings (upper and lower case are different). A region without a record in a quarter
    has None there, even though a sum of records may be 0.

    Without records, return the header row ["", "total"] and the last row ["total", 0].

    >>> pivot_sales([("west", "Q1", 5), ("east", "Q2", 7), ("west", "Q1", 1)])
    [['', 'Q1', 'Q2', 'total'], ['east', None, 7, 7], ['west', 6, None, 6], ['total', 6, 7, 13]]
    >>> pivot_sales([])
    [['', 'total'], ['total', 0]]
    """
    cells: Counter[tuple[str, str]] = Counter()
    by_region: Counter[str] = Counter()
    by_quarter: Counter[str] = Counter()
    for region, quarter, amount in records:
        cells[region, quarter] += amount
        by_region[region] += amount
        by_quarter[quarter] += amount

    quarters = sorted(by_quarter)
    table: list[list[str | int | None]] = [["", *quarters, "total"]]
    for region in sorted(by_region, key=lambda name: (-by_region[name], name)):
        sums = [cells.get((region, quarter)) for quarter in quarters]
        table.append([region, *sums, by_region[region]])
    table.append(["total", *(by_quarter[quarter] for quarter in quarters), by_region.total()])
    return table


BASE_INPUTS = [
    ([("west", "Q1", 5), ("east", "Q2", 7), ("west", "Q1", 1)],),
    ([],),
    ([("west", "Q1", 5)],),
    ([("west", "Q2", 5), ("west", "Q1", -5)],),
    ([("north", "Q1", 3), ("east", "Q1", 3), ("West", "Q1", 3)],),
    ([("a", "Q1", 4), ("a", "Q1", -4), ("b", "Q3", 2)],),
    ([("a", "Q1", -4), ("b", "Q1", -1), ("c", "Q1", 0)],),
    ([("a", "Q4", 1), ("b", "Q3", 10), ("a", "Q2", 100), ("b", "Q4", 1000), ("a", "Q4", 20)],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("", "", 0)],)
    yield ([("", "", 1), ("", "a", 2), ("b", "", 3)],)
    yield ([("total", "total", 7), ("total", "Q1", 1)],)
    yield ([("é", "Q1", 1), ("z", "Q1", 1), ("Z", "Q1", 1), ("ß", "q1", 1)],)
    yield ([("a", "10", 1), ("a", "9", 2), ("a", "1", 3)],)
    yield ([("10", "a", 1), ("9", "a", 1), ("1", "a", 1)],)
    yield ([("a", "Q1", 10**18), ("a", "Q1", 1), ("b", "Q1", -(10**18))],)
    yield ([("a", "Q1", 1)] * 100,)
    yield ([(f"r{n % 7}", f"q{n % 5}", n) for n in range(150)],)
    yield ([(f"r{n % 20}", f"q{n % 20}", 1) for n in range(100)],)
    for _ in range(130):
        regions = random.sample(["north", "East", "east", "south", "west", "Süd"], k=3)
        yield (
            [
                (random.choice(regions), f"Q{random.randint(1, 4)}", random.randint(-3, 4))
                for _ in range(random.randint(1, 9))
            ],
        )
