"""Our extraction against EvalPlus's sanitizer: what either gets right, and how long it takes.

    python benchmarks/extraction.py

Every answer below holds a right program for `total`, written as small models write. The
program that is found runs in a process of its own; a case is right if it adds numbers. The
times are the best of three, of one call.
"""

import subprocess
import sys
import time
from collections.abc import Callable

from experiments.extract import extract, grammar

STATEMENT = '''from typing import List


def total(numbers: List[int]) -> int:
    """Return the sum of all numbers.

    >>> total([1, 2])
    3
    """
'''
FUNCTION = "def total(numbers):\n    return sum(numbers)\n"
BLOCK = f"```python\n{FUNCTION}```\n"
WRONG = "def total(numbers):\n    # a first try\n    result = 0\n    return result\n"
REASONING = "Step {}: we go through the numbers one by one, and don't lose any (it's easy).\n"
CACHED = """import functools

@functools.lru_cache(maxsize=None)
def total(numbers):
    return sum(numbers)
"""

CASES = {
    "one block": BLOCK,
    "prose around it": f"Here's the function:\n\n{BLOCK}\nIt's O(n).\n",
    "no fence, prose around": f"Here's the function:\n\n{FUNCTION}\nIt's O(n).\n",
    "`@functools.lru_cache`": f"```python\n{CACHED}```\n",
    "two blocks, the longer one wrong": f"```python\n{WRONG}```\nSimpler:\n{BLOCK}",
    "300 lines of reasoning before it": "".join(map(REASONING.format, range(300))) + BLOCK,
    "`List` from the statement": BLOCK.replace("(numbers)", "(numbers: List[int])", 1),
    "unclosed block": f"```python\n{FUNCTION}",
    "cut off in a second function": f"```python\n{FUNCTION}\ndef more(numbers):\n    if (",
    "helper in an earlier block": (
        "```python\ndef add(a, b):\n    return a + b\n```\nand\n```python\nfrom functools import "
        "reduce\n\ndef total(numbers):\n    return reduce(add, numbers, 0)\n```\n"
    ),
    "table filled by a loop": (
        "```python\nONE = []\nfor n in range(1):\n    ONE.append(n + 1)\n\n"
        "def total(numbers):\n    return sum(n * ONE[0] for n in numbers)\n```\n"
    ),
    "function attribute": (
        "```python\ndef total(numbers):\n    return sum(numbers, total.start)\n\n"
        "total.start = 0\n```\n"
    ),
    "method of an equal name": (
        "```python\nclass Box:\n    def total(self):\n        return 1\n\n" + FUNCTION + "```\n"
    ),
    "lambda": "```python\ntotal = lambda numbers: sum(numbers)\n```\n",
    "`print(total(input()))` behind it": f"```python\n{FUNCTION}\nprint(total(input()))\n```\n",
    "bare body in a block": "```python\n    return sum(numbers)\n```\n",
    "docstring with a fenced example": (
        '```python\ndef total(numbers):\n    """Sum.\n\n    ```\n    total([1])\n    ```\n    """\n'
        "    return sum(numbers)\n```\n"
    ),
    "tildes and Windows line ends": f"~~~python\n{FUNCTION}~~~\n".replace("\n", "\r\n"),
}

CHECK = "\nassert [total((1, 2)), total(()), total((-5, 5, 7))] == [3, 0, 7]\n"


def ours(text: str) -> str:
    grammar.checked.cache_clear()  # each answer is new
    return extract(text, STATEMENT, "total", "chat").program


def theirs(text: str) -> str:
    from evalplus.sanitize import sanitize

    return str(sanitize(text, "total"))


def is_right(program: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", program + CHECK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode == 0


def seconds(find: Callable[[str], str], text: str) -> float:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        find(text)
        times.append(time.perf_counter() - begin)
        if times[-1] > 5:
            break
    return min(times)


def main() -> None:
    theirs(BLOCK)  # imports are not part of the time
    print("| answer | ours | EvalPlus | ours, ms | EvalPlus, ms |\n|---|---|---|---|---|")
    right = [0, 0]
    for name, text in CASES.items():
        found = [is_right(find(text)) for find in (ours, theirs)]
        right = [count + each for count, each in zip(right, found, strict=True)]
        marks = " | ".join("right" if each else "wrong" for each in found)
        times = " | ".join(f"{1000 * seconds(find, text):.1f}" for find in (ours, theirs))
        print(f"| {name} | {marks} | {times} |", flush=True)
    print(f"| of {len(CASES)} | {right[0]} | {right[1]} | | |\n")

    print("| lines of reasoning | characters | ours, ms | EvalPlus, ms |\n|---|---|---|---|")
    for lines in (10, 30, 100, 300, 1000, 3000, 13_000):
        text = "".join(map(REASONING.format, range(lines))) + BLOCK
        # Its time grows with the third power of the lines: 3000 would take most of an hour.
        peer = f"{1000 * seconds(theirs, text):.1f}" if lines <= 300 else "not run"
        print(f"| {lines} | {len(text)} | {1000 * seconds(ours, text):.1f} | {peer} |", flush=True)


if __name__ == "__main__":
    main()
