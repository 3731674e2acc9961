"""A plain-text table with aligned columns."""

import re
from collections.abc import Iterator
from random import Random

ID = "medium/text_table"
TITLE = "Plain-text table with aligned columns"
DIFFICULTY = "medium"
TOPICS = ("text formatting", "tables", "unicode")
ENTRY_POINT = "format_columns"

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def format_columns(header: list[str], rows: list[list[str]], limit: int) -> list[str]:
    """Return the lines of a plain-text table.

    There is at least one column. Cells hold no line breaks or tabs and do not begin or end
    with a blank. Raise ValueError if a row has not as many cells as the header.

    - A cell of more than `limit` characters (limit >= 1) is shown as its first limit - 1
      characters and the character "…". This holds for the header too.
    - A column is as wide as its longest cell as shown, its header included. Every character
      counts as one.
    - Cells are filled with blanks on the right. But if all cells below a header are
      numbers, that column and its header are filled on the left. A number, as given, is an
      optional "-", one or more digits 0-9, and optionally "." and one or more digits.
    - The first line is the header, the second has a "-" for each character of each column's
      width, then follows a line per row.
    - Columns are separated by two blanks; blanks at the end of a line are removed.

    >>> format_columns(["item", "price"], [["tea", "12.50"], ["coffee", "9"]], 20)
    ['item    price', '------  -----', 'tea     12.50', 'coffee      9']
    >>> format_columns(["city", "n/a"], [["Amsterdam", "-"]], 5)
    ['city   n/a', '-----  ---', 'Amst…  -']
    """
    columns = zip(header, *rows, strict=True)
    blocks = [_block(title, cells, limit) for title, *cells in columns]
    return list(map(_line, *blocks))


def _block(title: str, cells: list[str], limit: int) -> list[str]:
    fill = str.rjust if all(_NUMBER.fullmatch(cell) for cell in cells) else str.ljust
    shown = [cell if len(cell) <= limit else cell[: limit - 1] + "…" for cell in [title, *cells]]
    width = max(len(cell) for cell in shown)
    first, *others = [fill(cell, width) for cell in shown]
    return [first, "-" * width, *others]


def _line(*cells: str) -> str:
    return "  ".join(cells).rstrip()


BASE_INPUTS = [
    (["item", "price"], [["tea", "12.50"], ["coffee", "9"]], 20),
    (["city", "n/a"], [["Amsterdam", "-"]], 5),
    (["name", "born"], [], 10),
    (["a", "b"], [["1", "2"], ["3"]], 10),
    (["a"], [["1"], ["2", "3"]], 10),
    (["n"], [["1"], ["-20"], ["3.5"]], 10),
    (["n", "m"], [["1", "x"], ["", "1000"]], 10),
    (["exact", "longer"], [["12345", "123456"], ["1", "1234567"]], 5),
    (["ab", "c"], [["x", "yz"]], 1),
    (["Größe", "Preis"], [["weiß", "٣"], ["übergroß", "7"]], 6),
    (["a", "", "b"], [["", "", ""], ["1.", "+2", ".5"]], 9),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for cell in ("-1", "--1", "1.25", "1.", ".1", "-.1", "1.2.3", "1e3", "1,5", "²", "1 000", "0"):
        yield (["amount", "x"], [[cell, "a"], ["22", "b"]], 10)
    yield (["only"], [[""]], 3)
    yield (["a"], [[]], 3)
    yield (["a", "b"], [["1"]], 3)
    yield (["a", "b"], [["1", "2", "3"], ["1", "2", "3"]], 3)
    yield ([""], [[""]], 1)
    yield (["", ""], [["", ""]], 1)
    yield (["", "x"], [["", ""]], 2)
    yield (["number"], [["7"]], 10)
    yield (["number", "text"], [["7", "7a"]], 10)
    yield (["123456"], [["1234567"], ["12"]], 6)
    yield (["123456"], [["1234567"], ["12"]], 7)
    yield (["日本語テキスト"], [["東京"], ["🙂🙂🙂🙂"]], 4)
    yield (["a b", "c  d"], [["e f g", "1 2"]], 4)
    yield ([str(n) for n in range(30)], [[str(n * n) for n in range(30)]] * 3, 3)
    yield (["row", "square"], [[str(n), str(n * n)] for n in range(100)], 8)
    words = ["", "a", "tea", "coffee", "-", "ä", "€ 5", "total sum"]
    numbers = ["0", "7", "-3", "12", "3.5", "-10.25", "123456"]
    for _ in range(110):
        kinds = [
            random.choice([words, numbers, numbers + words[:1]])
            for _ in range(random.randint(1, 4))
        ]
        rows = [[random.choice(kind) for kind in kinds] for _ in range(random.randint(0, 4))]
        header = [random.choice(words + numbers) for _ in kinds]
        yield (header, rows, random.randint(1, 9))
