"""The values of a spreadsheet: formulas that refer to cells and ranges, with error values."""

import re
from collections.abc import Iterator
from random import Random

ID = "hard/sheet_values"
TITLE = "Calculate a spreadsheet"
DIFFICULTY = "hard"
TOPICS = ("expression evaluation", "recursive descent", "dependency graphs", "spreadsheets")
ENTRY_POINT = "sheet_values"


def sheet_values(cells: dict[str, str]) -> dict[str, int | str]:
    """Return the values of the cells of a spreadsheet, under the same keys.

    A key is a column, one letter from A to Z, and a row, a number from 1 to 99, such as
    "B12". A content that begins with "=" is a formula. Any other content is a whole number,
    with an optional "-" in front, such as "-7".

    A formula consists of whole numbers without sign, names of cells, `SUM(cell:cell)`, round
    brackets and the operators + - * /, without spaces. "-" can also stand in front of a
    number, cell, sum or bracket, also repeatedly; it comes before everything else, * and /
    before + and -. Operators of the same rank are applied from the left. "/" divides and
    rounds down (-7/2 is -4). SUM adds all cells of a rectangle, given by its upper left and
    lower right corner. Cells that are not among the keys count as 0.

    A formula that cannot be calculated has an error as its value:

    - "#DIV" if it divides by 0;
    - "#LOOP" if it needs its own value, directly or through other cells;
    - if it refers to a cell whose value is an error, that same error.

    The operands of a formula are calculated from left to right, those of a SUM row by row
    and from left to right in each; a division is done as soon as its right operand is there.
    The first error found so is the formula's. All formulas are well formed.

    >>> sheet_values({"A1": "7", "A2": "-2", "B1": "=SUM(A1:A3)*(A1-1)", "B2": "=-A1/2"})
    {'A1': 7, 'A2': -2, 'B1': 30, 'B2': -4}
    >>> sheet_values({"A1": "=1/C9", "B1": "=2*A1", "C1": "=1+D1", "D1": "=C1"})
    {'A1': '#DIV', 'B1': '#DIV', 'C1': '#LOOP', 'D1': '#LOOP'}
    """
    sheet = _Sheet(cells)
    return {name: sheet.value(name) for name in cells}


class _Sheet:
    def __init__(self, cells: dict[str, str]) -> None:
        self.cells = cells
        self.values: dict[str, int | str] = {}

    def value(self, name: str) -> int | str:
        """Return the value of a cell; each is calculated once."""
        if name not in self.values:
            content = self.cells.get(name, "0")
            if not content.startswith("="):
                self.values[name] = int(content)
            else:
                self.values[name] = "#LOOP"  # what is found on the way back to this cell
                try:
                    self.values[name] = self.sum_of(re.findall(r"\w+|\W", content[1:]))
                except ArithmeticError as error:
                    self.values[name] = str(error)
        return self.values[name]

    def number(self, name: str) -> int:
        value = self.value(name)
        if isinstance(value, str):
            raise ArithmeticError(value)
        return value

    def sum_of(self, tokens: list[str]) -> int:
        """Calculate a sum at the front of the tokens, and take it away from them."""
        total = self.product(tokens)
        while tokens and tokens[0] in "+-":
            sign = 1 if tokens.pop(0) == "+" else -1
            total += sign * self.product(tokens)
        return total

    def product(self, tokens: list[str]) -> int:
        result = self.factor(tokens)
        while tokens and tokens[0] in "*/":
            operator, factor = tokens.pop(0), self.factor(tokens)
            if operator == "*":
                result *= factor
            elif factor:
                result //= factor
            else:
                raise ArithmeticError("#DIV")
        return result

    def factor(self, tokens: list[str]) -> int:
        token = tokens.pop(0)
        if token == "-":
            return -self.factor(tokens)
        if token == "(":
            result = self.sum_of(tokens)
            tokens.pop(0)
            return result
        if token == "SUM":
            _, first, _, last, _ = tokens[:5]
            del tokens[:5]
            return sum(self.number(name) for name in _rectangle(first, last))
        return int(token) if token.isdigit() else self.number(token)


def _rectangle(first: str, last: str) -> list[str]:
    return [
        f"{chr(column)}{row}"
        for row in range(int(first[1:]), int(last[1:]) + 1)
        for column in range(ord(first[0]), ord(last[0]) + 1)
    ]


BASE_INPUTS = [
    ({},),
    ({"A1": "7", "A2": "-2", "B1": "=SUM(A1:A3)*(A1-1)", "B2": "=-A1/2"},),
    ({"A1": "=1/C9", "B1": "=2*A1", "C1": "=1+D1", "D1": "=C1"},),
    ({"Z99": "=2+3*4-10/4", "A1": "=(2+3)*(4-10)/4", "A2": "=20/3*3", "A3": "=9-4-3+1"},),
    ({"A1": "=--3", "A2": "=2--3", "A3": "=2*-A1", "A4": "=-(1-4)*-2", "A5": "=-SUM(A1:A4)"},),
    ({"B2": "1", "C2": "2", "D2": "4", "B3": "8", "C3": "16", "D3": "32", "A1": "=SUM(B2:C3)"},),
    ({"B9": "1", "B10": "2", "B11": "4", "A1": "=SUM(B9:B10)+SUM(B11:B11)", "B8": "64"},),
    ({"A1": "=A1"},),
    ({"A1": "=SUM(A1:B2)", "B2": "=C1", "C1": "=5*(1-D1)", "D1": "1"},),
    ({"A1": "=B1+1", "B1": "=C1+1", "C1": "=A1+1", "D1": "=C1/0", "E1": "=1/0+C1"},),
    ({"A1": "=1/0+B1", "B1": "=A1", "C1": "=D1+1/0", "D1": "=C1", "E1": "=0*A1"},),
    ({"A1": "=C1-B1*2", "B1": "=10/(C1-3)", "C1": "=SUM(D1:D2)", "D2": "5", "D1": "-0"},),
    ({"A1": "=B1/(3-3)*C1", "B1": "5", "C1": "=A1", "B2": "=0/B1/5", "B3": "=7/-2"},),
    ({"A1": "=SUM(B1:C2)", "C1": "=1/0", "B2": "=A1", "A2": "=SUM(B2:B2)"},),
    ({"A1": "=SUM(B1:C2)", "C2": "=1/0", "B2": "=A1", "C3": "=1/SUM(A5:B5)"},),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({"A1": "0"},)
    yield ({"A1": "=B1", "Z9": "-12"},)
    yield ({"A1": "=(((5)))", "A2": "=-(-(-5))", "A3": "=---A1"},)
    yield ({"A1": "=A2*A3", "A2": "=A3", "A3": "=A4/A4", "A4": "=A5-1", "A5": "1"},)
    yield ({"A1": "99999999999999999999", "A2": "=A1*A1/7", "A3": "=-A2/A1"},)
    yield ({f"A{n}": f"=A{n - 1}+A{n - 1}" if n > 1 else "1" for n in range(60, 0, -1)},)
    yield ({f"A{n}": f"=A{n % 30 + 1}" for n in range(1, 31)},)
    yield ({f"B{n}": f"=SUM(B1:B{n - 1})" if n > 1 else "3" for n in range(1, 31)},)
    yield ({"A1": "=SUM(A2:Z99)", "Z99": "7", "A2": "5", "Z2": "3", "A99": "1", "B1": "50"},)
    names = ["A1", "B1", "C1", "A2", "B2", "C2"]

    def formula(depth: int) -> str:
        kind = random.randint(0, 8) if depth else random.randint(0, 2)
        if kind < 2:
            return random.choice([*names, "D1"])
        if kind == 2:
            return str(random.randint(0, 3))
        if kind == 3:
            return random.choice(["SUM(A1:B1)", "SUM(B1:C2)", "SUM(A2:A2)", "SUM(C1:D3)"])
        if kind == 4:
            return f"({formula(depth - 1)})"
        if kind == 5:
            return f"-{formula(0)}"
        return formula(depth - 1) + random.choice("++-*/") + formula(depth - 1)

    for size in range(120):
        cells = {}
        for name in random.sample(names, k=random.randint(3, 6)):
            plain = random.random() < 0.5
            cells[name] = str(random.randint(-4, 9)) if plain else "=" + formula(1 + size // 60)
        yield (cells,)
