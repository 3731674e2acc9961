"""Extraction: programs as small models write them, in and out of the asked form."""

import ast
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.extract import Extraction, extract

STATEMENT = '''from typing import List


def total(numbers: List[int]) -> int:
    """Return the sum of all numbers.

    >>> total([1, 2])
    3
    """
'''
FUNCTION = "def total(numbers):\n    return sum(numbers)"
TYPED = "def total(numbers: List[int]) -> int:\n    return sum(numbers)"
WRONG = "def total(numbers):\n    return -1"


def fenced(code: str, info: str = "python", fence: str = "```") -> str:
    return f"{fence}{info}\n{code}\n{fence}"


def loaded(program: str) -> dict[str, Any]:
    """Run a program as the judge does, but let it neither read nor write."""

    def forbidden(*arguments: object) -> None:
        raise AssertionError("the program shows itself off when it is loaded")

    space: dict[str, Any] = {"__name__": "candidate", "print": forbidden, "input": forbidden}
    exec(compile(program, "<program>", "exec"), space)
    return space


def is_right(found: Extraction) -> bool:
    space = loaded(found.program)
    return found.syntax_valid and all(
        space["total"](list(numbers)) == sum(numbers) for numbers in ([], [1], [1, 2, 3], [-4, 4])
    )


# name: text, format kept. Each holds a right program.
ANSWERS: dict[str, tuple[str, bool]] = {
    "one block": (fenced(FUNCTION), True),
    "one block between prose": (f"Sure!\n\n{fenced(FUNCTION)}\n\nIt's O(n).", True),
    "py": (fenced(FUNCTION, "py"), True),
    "python3": (fenced(FUNCTION, "python3"), True),
    "Python": (fenced(FUNCTION, " Python "), True),
    "no info string": (fenced(FUNCTION, ""), True),
    "attributes": (fenced(FUNCTION, "{.python .numberLines}"), True),
    "file name": (fenced(FUNCTION, "python:solution.py"), True),
    "tildes": (fenced(FUNCTION, fence="~~~"), True),
    "four backticks": (fenced(FUNCTION, fence="````"), True),
    "carriage returns": (fenced(FUNCTION).replace("\n", "\r\n"), True),
    "tabs": (fenced(FUNCTION.replace("    ", "\t")), True),
    "tabs after spaces": (
        fenced("def total(numbers):\n    s = 0\n    for n in numbers:\n\ts += n\n    return s"),
        False,
    ),
    "byte order mark": ("\ufeff" + fenced(FUNCTION), True),
    "null bytes": (fenced(FUNCTION).replace("sum", "\0sum"), True),
    "lone surrogate": (fenced("# \udc80\n" + FUNCTION), True),
    "import of the statement left out": (fenced(TYPED), True),
    "import of the statement kept": (fenced("from typing import List\n\n" + TYPED), True),
    "future import": (fenced("from __future__ import annotations\n" + TYPED), True),
    "decorator": (
        fenced(
            "import functools\n\n@functools.lru_cache\ndef helper(n):\n    return n\n\n" + FUNCTION
        ),
        True,
    ),
    "decorated entry point": (
        fenced(
            "import functools\n\ndef loose(f):\n    @functools.wraps(f)\n    def g(*a):\n"
            "        return f(*a)\n    return g\n\n@loose\n" + FUNCTION
        ),
        True,
    ),
    "several functions": (
        fenced("def other():\n    return 1\n\n" + FUNCTION + "\n\ndef more():\n    return 2"),
        True,
    ),
    "helper after the entry point": (
        fenced("def total(numbers):\n    return add(numbers)\n\ndef add(n):\n    return sum(n)"),
        True,
    ),
    "class and constant": (
        fenced(
            "START = 0\n\nclass Adder:\n    def __init__(self):\n        self.sum = START\n\n"
            "def total(numbers):\n    adder = Adder()\n    for n in numbers:\n"
            "        adder.sum += n\n    return adder.sum"
        ),
        True,
    ),
    "lambda": (fenced("total = lambda numbers: sum(numbers)"), True),
    "annotated lambda": (
        fenced("from typing import Callable\n\ntotal: Callable = lambda numbers: sum(numbers)"),
        True,
    ),
    "under a try": (
        fenced(
            "try:\n    from fast import total\nexcept ImportError:\n"
            + textwrap.indent(FUNCTION, "    ")
        ),
        True,
    ),
    "docstring with fences": (
        fenced(
            'def total(numbers):\n    """Sum.\n\n    ```python\n    total([1])\n    ```\n\n'
            '    ```\n    1\n    ```\n    """\n    return sum(numbers)'
        ),
        True,
    ),
    "docstring with a fence at the margin": (
        fenced(
            "def total(numbers):\n    '''Sum.\n\n```\n>>> total([1])\n```\n'''\n"
            "    return sum(numbers)"
        ),
        True,
    ),
    "fence in a string": (
        fenced("MARK = '```'\nOPEN = '```python'\n" + FUNCTION),
        True,
    ),
    "method of an equal name after it": (
        fenced(FUNCTION + "\n\nclass Box:\n    def total(self):\n        return 0"),
        True,
    ),
    "output in a tagged block": (f"{fenced(FUNCTION)}\nOutput:\n{fenced('6', 'text')}", True),
    "installation in a shell block": (
        f"{fenced('pip install x', 'bash')}\n{fenced(FUNCTION)}",
        True,
    ),
    "closed thoughts with a draft": (
        f"<think>\n{fenced(WRONG)}\n</think>\n{fenced(FUNCTION)}",
        True,
    ),
    "start token": (f"<s>[/INST] {fenced(FUNCTION)}</s>", True),
    "chatml tokens": (f"<|im_start|>assistant\n{fenced(FUNCTION)}<|im_end|>", True),
    "a made-up next turn": (
        f"{fenced(FUNCTION)}\n<|im_end|>\n<|im_start|>user\nWorse:\n{fenced(WRONG)}",
        True,
    ),
    "end token in a string": (fenced("END = '</s>' + '<|im_end|>'\n" + FUNCTION), True),
    "indented in a list": (
        "1. The code:\n\n" + textwrap.indent(fenced(FUNCTION), "   ") + "\n2. Done.",
        True,
    ),
    "code indented in its block": (fenced(textwrap.indent(FUNCTION, "    ")), True),
    "prose before the fence": (f"Code: ```python\n{FUNCTION}\n```", True),
    "prose after the fence": (f"```python\n{FUNCTION}\n``` This sums all numbers.", True),
    "code behind the opening fence": (f"```python {FUNCTION}\n```", True),
    "code behind a bare opening fence": (f"```{FUNCTION}\n```", True),
    "closing fence behind code": (f"```python\n{FUNCTION}```", True),
    "quoted": (textwrap.indent(fenced(FUNCTION), "> ", lambda line: True), True),
    # Not the asked format, but a right program.
    "unclosed": (f"```python\n{FUNCTION}", False),
    "unclosed, then prose": (f"```python\n{FUNCTION}\n\nThis isn't long (it's O(n).", False),
    "only a closing fence": (f"{FUNCTION}\n```", False),
    "no fence": (FUNCTION, False),
    "no fence, prose around": (
        f"Here's the code (it's short):\n\n{FUNCTION}\n\nThis function doesn't need more.",
        False,
    ),
    "no fence, imports and helpers": (
        "Let me solve it.\n\nimport math\n\ndef add(a, b):\n    return math.fsum((a, b))\n\n"
        "def total(numbers):\n    s = 0\n    for n in numbers:\n"
        "        s = int(add(s, n))\n    return s\n\n"
        "Explanation: we add.",
        False,
    ),
    "no fence, indented": (
        "The code:\n\n" + textwrap.indent(FUNCTION, "    ") + "\n\nDone.",
        False,
    ),
    "no fence, prose between": (
        f"First import:\n\nimport math\n\nThen define it:\n\n{FUNCTION}\n\nThat's all.",
        False,
    ),
    "inline backticks": (f"Use `sum`.\n\n`{FUNCTION}`", False),
    "code llama tags": (
        f"[PYTHON]\n{FUNCTION}\n[/PYTHON]\n[TESTS]\nassert total([1]) == 2\n[/TESTS]",
        False,
    ),
    "wrong draft first": (f"{fenced(WRONG)}\nThat is wrong. Better:\n{fenced(FUNCTION)}", False),
    "longer wrong block first": (
        fenced(WRONG + "\n" + "\n".join(f"# {n}" for n in range(50))) + "\n" + fenced(FUNCTION),
        False,
    ),
    "examples in a second block": (
        f"{fenced(FUNCTION)}\nUse it:\n{fenced('print(total([1]))')}",
        False,
    ),
    "output in a bare block": (f"{fenced(FUNCTION)}\nOutput:\n{fenced('3', '')}", False),
    "stub in a second block": (
        f"{fenced(FUNCTION)}\nAs in\n{fenced('def total(numbers): ...')}",
        False,
    ),
    "statement repeated first": (
        f"{fenced(STATEMENT.rstrip())}\nAnswer:\n{fenced(FUNCTION)}",
        False,
    ),
    "second block cut off": (
        f"{fenced(FUNCTION)}\nA faster way:\n```python\ndef total(numbers):\n    s = 0\n"
        f"    for n in",
        False,
    ),
    "left open before the next": (
        f"```python\n{WRONG}\n\nNow right:\n```python\n{FUNCTION}\n```",
        False,
    ),
    "helper in an earlier block": (
        fenced("def add(n):\n    return sum(n)")
        + "\nand\n"
        + fenced("def total(numbers):\n    return add(numbers)"),
        False,
    ),
    "import and constant in other blocks": (
        fenced("from math import fsum\n\nSTART = 0")
        + "\nthen\n"
        + fenced("def total(numbers):\n    return START + add(numbers)")
        + "\nwith\n"
        + fenced("def add(n):\n    return int(fsum(n))"),
        False,
    ),
    "tagged as another language": (fenced(FUNCTION, "java"), False),
    "bare body in a block": (fenced("    return sum(numbers)"), False),
    "bare body without indentation": (fenced("s = sum(numbers)\nreturn s"), False),
    "interactive": (
        fenced(">>> def total(numbers):\n...     return sum(numbers)\n...\n>>> total([1])\n1"),
        False,
    ),
    "notebook": (fenced(f"!pip install numpy\n%time\n{FUNCTION}"), False),
    "escaped underscore": (
        fenced("def total(numbers):\n    the\\_sum = sum(numbers)\n    return the\\_sum"),
        False,
    ),
    "no-break spaces": (fenced(FUNCTION.replace(" ", "\u00a0")), False),
    "cut off after the function": (
        f"```python\n{FUNCTION}\n\ndef test():\n    assert total([1, 2",
        False,
    ),
    "cut off in a string": (f'```python\n{FUNCTION}\n\nTEXT = """and so', False),
    "cut off in a try": (
        f"```python\n{FUNCTION}\n\ndef main():\n    try:\n"
        + "        total([1])\n" * 60
        + "        tot",
        False,
    ),
    "cut off behind decorators": (f"```python\n{FUNCTION}\n\n@a\n\n@b", False),
    "never-ending brackets": (f"```python\n{FUNCTION}\n\nx = " + "[" * 5000, False),
    "never-ending lines": (f"```python\n{FUNCTION}\n" + "total([1])\n" * 5000, False),
    "doctests behind it": (fenced(f"{FUNCTION}\n\n>>> total([1])\n1"), False),
    "test with a broken docstring": (
        f"{fenced(FUNCTION)}\n{fenced('def test():' + chr(10) + '    ' + chr(34) * 3 + 'Test.')}",
        False,
    ),
}


@pytest.mark.parametrize(("text", "kept"), ANSWERS.values(), ids=ANSWERS.keys())
def test_right_program_is_found_and_its_form_told(text: str, kept: bool) -> None:
    found = extract(text, STATEMENT, "total", "chat")
    assert is_right(found), found.program
    assert found.format_kept is kept


SHOWING = {
    "print": "print(total([1]))",
    "input": "numbers = list(map(int, input().split()))\nprint(total(numbers))",
    "wrong assert": "assert total([1]) == 2",
    "assert with a message": "assert 1 == 2, 'no'",
    "main block": "if __name__ == '__main__':\n    print(total([1]))",
    "main function": "def main():\n    print(total([int(input())]))\n\nmain()",
    "test function": "def check(f):\n    assert f([1]) == 2\n\ncheck(total)",
    "indirect test": "def check():\n    assert total([1]) == 2\n\ndef run():\n    check()\n\nrun()",
    "doctest": "import doctest\ndoctest.testmod()",
    "exit": "import sys\nif total([1]) != 2:\n    sys.exit(1)",
    "standard input": "import sys\ndata = sys.stdin.read()\nfor line in data:\n    pass",
    "loop of tests": (
        "tests = [([1], 2)]\nfor numbers, right in tests:\n    assert total(numbers) == right"
    ),
    "assigned result": "result = total('wrong type')",
    "file": "text = open('numbers.txt').read()",
    "file in a with": "with open('numbers.txt') as file:\n    print(total(map(int, file)))",
    "bare name": "Explanation",
    "prose that parses": "Example: this\nOutput: 3\nnothing in mind",
    "one line": "x = [1]; print(total(x))",
    "endless": "while True:\n    print(total([1]))",
    "wrapped": "try:\n    print(total(input()))\nexcept ValueError:\n    quit()",
}


@pytest.mark.parametrize("tail", SHOWING.values(), ids=SHOWING.keys())
@pytest.mark.parametrize("where", ["behind", "before"])
def test_examples_do_not_fail_a_right_program(tail: str, where: str) -> None:
    code = f"{FUNCTION}\n\n{tail}" if where == "behind" else f"{tail}\n\n{FUNCTION}"
    found = extract(fenced(code), STATEMENT, "total", "chat")
    assert is_right(found), found.program
    assert found.format_kept


SETUP = {
    "table": "T = [0] * 5\nfor i in range(5):\n    T[i] = i\n\ndef f(n):\n    return T[n]",
    "function that fills": (
        "T = []\ndef fill():\n    T.extend(range(5))\nfill()\n\ndef f(n):\n    return T[n]"
    ),
    "attribute": "def f(n):\n    return f.table[n]\n\nf.table = list(range(5))",
    "rebound": (
        "def f(n):\n    return n - 1\n\ndef more(g):\n    return lambda n: g(n) + 1\n\nf = more(f)"
    ),
    "item": "T = {}\ndef f(n):\n    return T['k'] + n\n\nT['k'] = 0",
    "augmented": "K = -1\nK += 1\ndef f(n):\n    return n + K",
    "default": "ZERO = 0\ndef f(n, zero=ZERO):\n    return n + zero",
    "chosen": (
        "import sys\nif sys.maxsize > 1:\n    ZERO = 0\nelse:\n    ZERO = 1\n"
        "def f(n):\n    return n + ZERO"
    ),
    "made with itself": (
        "def f(n):\n    return n if n < 9 else T[n]\n\nT = [f(n) for n in range(9)]"
    ),
}


@pytest.mark.parametrize("code", SETUP.values(), ids=SETUP.keys())
def test_what_the_function_needs_is_kept(code: str) -> None:
    found = extract(fenced(code), "def f(n):\n    '''Return n.'''\n", "f", "chat")
    assert [loaded(found.program)["f"](n) for n in range(5)] == list(range(5))


def test_settings_of_the_interpreter_are_kept() -> None:
    code = "import sys\nsys.setrecursionlimit(5000)\n\n" + FUNCTION
    assert extract(fenced(code), STATEMENT, "total").program == code + "\n"


def test_program_is_left_as_it_was_written() -> None:
    code = (
        '"""Module."""\n\n# why\nimport math  # unused\n\n\nclass A: x = 1\n\n\n'
        + FUNCTION
        + "  # end"
    )
    assert extract(fenced(code), STATEMENT, "total").program == code + "\n"


HELPED = '''import math
from functools import *


SCALE = 2


def double(x):
    """Return twice x."""
    return SCALE * x


def quadruple(x):
    """Return four times x."""
'''


def test_helpers_of_the_statement_are_brought_in_with_what_they_need() -> None:
    found = extract(fenced("def quadruple(x):\n    return double(double(x))"), HELPED, "quadruple")
    assert loaded(found.program)["quadruple"](3) == 12


def test_star_import_of_the_statement_is_brought_in() -> None:
    code = "def quadruple(x):\n    return reduce(lambda a, b: a + b, [x] * 4)"
    assert loaded(extract(fenced(code), HELPED, "quadruple").program)["quadruple"](3) == 12


def test_own_helper_goes_before_the_statements() -> None:
    code = "def double(x):\n    return x + x\n\ndef quadruple(x):\n    return double(double(x))"
    assert extract(fenced(code), HELPED, "quadruple").program == code + "\n"


def test_definitions_come_after_the_imports_that_they_need() -> None:
    text = "    return add(numbers)\n\ndef add(n: List[int]) -> int:\n    return sum(n)\n"
    found = extract(text, STATEMENT, "total", "completion")
    assert is_right(found), found.program


def test_future_import_stays_first() -> None:
    code = '"""Doc."""\nfrom __future__ import annotations\n\n' + TYPED.replace("sum", "math.fsum")
    found = extract(fenced(code), "import math\n" + STATEMENT, "total")
    assert is_right(found), found.program
    assert "\nimport math\n" in found.program


def test_local_variables_of_other_functions_are_not_brought_in() -> None:
    code = "def total(numbers):\n    return start + sum(numbers)"
    text = (
        fenced("def other():\n    start = 0\n    return start\n\nstart = 0") + "\n" + fenced(code)
    )
    assert extract(text, STATEMENT, "total").program == code + "\n"


def test_missing_import_that_nobody_gave_stays_missing() -> None:
    code = "def total(numbers):\n    return int(math.fsum(numbers))"
    assert extract(fenced(code), STATEMENT, "total").program == code + "\n"


# name: text, program does it right, format kept.
COMPLETIONS: dict[str, tuple[str, bool]] = {
    "body": ("    return sum(numbers)\n", True),
    "no newline at the end": ("    return sum(numbers)", True),
    "newline first": ("\n    return sum(numbers)\n", True),
    "other functions behind": ("    return sum(numbers)\n\n\ndef other():\n    return (", True),
    "examples behind": ("    return sum(numbers)\n\nprint(total([1]))\nassert False\n", True),
    "main block behind": ("    return sum(numbers)\n\nif __name__ == '__main__':\n    main(", True),
    "prose behind": ("    return sum(numbers)\n\nThis isn't hard (it's", True),
    "fence behind": ("    return sum(numbers)\n```\n\nExplanation", True),
    "comment at the margin": ("    s = 0\n# now add\n    s += sum(numbers)\n    return s\n", True),
    "string at the margin": ("    s = '''\ntext\n'''\n    return sum(numbers)\n\nx", True),
    "bracket at the margin": ("    return sum(\n        numbers\n)\n\nx", True),
    "steps as comments": ("    # Restate: add.\n    # Plan: sum.\n    return sum(numbers)\n", True),
    "helper behind": ("    return add(numbers)\n\ndef add(n):\n    return sum(n)\n", True),
    "first indentation lost": ("s = sum(numbers)\n    return s\n", False),
    "all indentation lost": ("s = 0\nfor n in numbers:\n    s += n\nreturn s\n", False),
    "one space lost": ("   s = sum(numbers)\n    return s\n", False),
    "cut off behind": ("    s = sum(numbers)\n    return s\n    x = (", False),
    "function again": (FUNCTION, False),
    "block": (fenced(FUNCTION), False),
    "prose and block": (f"Here it is:\n\n{fenced(TYPED)}\n", False),
}


@pytest.mark.parametrize(("text", "kept"), COMPLETIONS.values(), ids=COMPLETIONS.keys())
def test_completion_ends_with_its_function(text: str, kept: bool) -> None:
    found = extract(text, STATEMENT, "total", "completion")
    assert is_right(found), found.program
    assert found.format_kept is kept


def test_completion_of_a_statement_without_a_signature() -> None:
    statement = '"""\nWrite a function to add numbers.\nassert total([1]) == 1\n"""\n'
    text = f"import math\n{TYPED.replace('List[int]', 'list')}\n\nprint(total([2]))\ndef x("
    found = extract(text, statement, "total", "completion")
    assert is_right(found)
    assert found.format_kept
    assert "print" not in found.program


def test_truncated_end_loses_the_broken_statement_only() -> None:
    body = "    s = 0\n    for n in numbers:\n        s += n\n        if s > (10"
    for text, kind in [(f"```python\ndef total(numbers):\n{body}", "chat"), (body, "completion")]:
        found = extract(text, STATEMENT, "total", kind)  # type: ignore[arg-type]
        assert found.program.endswith("        s += n\n")
        assert (found.syntax_valid, found.format_kept) == (True, False)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "Yes", "I cannot do that.", "a = 5", "```", "```python\n```", "```text\nno\n```"],
)
@pytest.mark.parametrize("kind", ["chat", "completion"])
def test_no_code_is_no_program(text: str, kind: Any) -> None:
    found = extract(text, STATEMENT, "total", kind)
    assert "return" not in found.program
    assert not found.format_kept
    if kind == "chat":
        assert found == Extraction("")


def test_a_program_without_the_function_is_given_as_it_is() -> None:
    code = "def sum_all(numbers):\n    return sum(numbers)\n"
    assert extract(fenced(code), STATEMENT, "total") == Extraction(code, False, True)


def test_a_method_is_not_the_function() -> None:
    code = "class Solution:\n    def total(self, numbers):\n        return sum(numbers)\n"
    assert extract(fenced(code), STATEMENT, "total") == Extraction(code, False, True)


def test_broken_beyond_repair_is_shown_and_not_valid() -> None:
    code = "def total(numbers:\n    return sum(numbers)\n"
    assert extract(fenced(code), STATEMENT, "total") == Extraction(code, False, False)


def test_return_outside_a_function_is_not_valid() -> None:
    found = extract(fenced("x = 1\nbreak"), STATEMENT, "total")
    assert (found.syntax_valid, found.format_kept) == (False, False)


def test_name_within_another_name_is_no_definition() -> None:
    code = "def subtotal(numbers):\n    return sum(numbers)\n"
    assert not extract(fenced(code), STATEMENT, "total").format_kept


DEEP = {
    "minus": "-" * 100_000 + "1",
    "not": "not " * 50_000 + "1",
    "brackets": "(" * 100_000,
    "closed brackets": "[" * 150 + "]" * 150,
    "lambda": "lambda: " * 50_000 + "1",
    "sum": "+".join(["1"] * 50_000),
    "calls": "f" + "()" * 50_000,
    "attributes": "f" + ".a" * 50_000,
    "conditions": "1 if 1 else " * 50_000 + "1",
    "power": "9**" * 20 + "9",
    "digits": "9" * 100_000,
    "await": "await " * 50_000 + "x",
    "starred": "*" * 50_000 + "x",
    "compare": "1<" * 5_000 + "1",
    "f-string": "f'" + "{" * 1000 + "'",
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP.keys())
@pytest.mark.parametrize("kind", ["chat", "completion"])
def test_deep_nesting_is_survived(deep: str, kind: Any) -> None:
    for text in [
        deep,
        f"{FUNCTION}\n\nx = {deep}",
        fenced(f"{FUNCTION}\n\nx = {deep}"),
        f"```python\n{FUNCTION}\n\n{deep}\n",
        fenced(f"def total(numbers):\n    return {deep}"),
        f"    return {deep}",
    ]:
        found = extract(text, STATEMENT, "total", kind)
        check(found)


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP.keys())
def test_function_before_deep_nesting_is_kept(deep: str) -> None:
    found = extract(f"```python\n{FUNCTION}\n\nx = {deep}", STATEMENT, "total")
    assert found.program.startswith(FUNCTION)
    assert found.syntax_valid


def test_deep_indentation_is_survived() -> None:
    lines = [" " * depth + "if x:" for depth in range(2000)]
    check(extract(fenced("\n".join(lines)), STATEMENT, "total"))
    check(extract("\n".join([FUNCTION, *lines]), STATEMENT, "total"))


def check(found: Extraction) -> None:
    """What holds for every text: it parses or is said not to, and the flags agree."""
    try:
        ast.parse(found.program)
        parses = bool(found.program)
    except (SyntaxError, RecursionError, MemoryError):
        parses = False
    assert parses or not found.syntax_valid
    assert found.syntax_valid or not found.format_kept
    found.program.encode()


PIECES = st.sampled_from(
    [
        *(
            "```",
            "```python",
            "~~~",
            "````",
            '"""',
            "'''",
            "def total(numbers):",
            "def ",
            "class A:",
        ),
        *("    return sum(numbers)", "\treturn 1", "import math", "from typing import List", "@"),
        *(
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\0",
            "\ud800",
            "\x0c",
            "\u2028",
            " ",
            "    ",
            "(",
            ")",
            "\\",
            "#",
        ),
        *(
            "total",
            "print(total([1]))",
            "if x:",
            "else:",
            "try:",
            "async ",
            "lambda: ",
            "It's",
            ">>> ",
        ),
        *(
            "<think>",
            "</think>",
            "<|im_end|>",
            "</s>",
            "[PYTHON]",
            "[/PYTHON]",
            "x = 1",
            "x: 1",
            ";",
        ),
    ]
)
TEXTS = st.one_of(
    st.text(st.characters()),
    st.lists(PIECES, max_size=30).map("".join),
    st.lists(PIECES, max_size=30).map("\n".join),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from(["chat", "completion"]), st.sampled_from([STATEMENT, HELPED, ""]))
def test_any_text_gives_a_program_or_none(text: str, kind: Any, statement: str) -> None:
    check(extract(text, statement, "total", kind))


@settings(max_examples=100, deadline=None)
@given(TEXTS, TEXTS)
def test_any_statement_and_name_are_survived(statement: str, name: str) -> None:
    check(extract(fenced(FUNCTION), statement, name, "chat"))
    check(extract("    return 1", statement, name, "completion"))


PROGRAMS = st.sampled_from(
    [
        text
        for name, (text, _) in ANSWERS.items()
        if text.startswith("```python\n") and text.count("```") == 2
    ]
).map(lambda text: text.removeprefix("```python\n").rpartition("```")[0].rstrip("\n"))
PROSE = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="`~<[\r\0\ufeff"), max_size=60),
    max_size=6,
).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(
    code=PROGRAMS,
    before=PROSE,
    after=PROSE,
    fence=st.sampled_from(["```", "~~~", "````", "~~~~~"]),
    info=st.sampled_from(["python", "py", "Python3", "", " python", "python title=a"]),
    indentation=st.sampled_from(["", "  ", "   ", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_prose_and_fences_do_not_change_the_program(
    code: str, before: str, after: str, fence: str, info: str, indentation: str, end: str
) -> None:
    plain = extract(fenced(code), STATEMENT, "total")
    block = textwrap.indent(fenced(code, info, fence), indentation, lambda line: True)
    text = f"{before}\n\n{block}\n\n{after}".replace("\n", end)
    found = extract(text, STATEMENT, "total")
    assert ast.dump(ast.parse(found.program)) == ast.dump(ast.parse(plain.program))
    assert found.format_kept == plain.format_kept


@settings(max_examples=150, deadline=None)
@given(PROGRAMS, st.integers(0, 400))
def test_any_truncation_gives_valid_code_or_none(code: str, length: int) -> None:
    text = f"Sure:\n\n```python\n{code}"[:length]
    found = extract(text, STATEMENT, "total")
    check(found)
    if "total(" in found.program:
        assert found.syntax_valid or "def total" in text.replace("\xa0", " ")


class Parses:
    """Counts what is given to Python's parser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = 0
        original = ast.parse

        def counted(source: str, *arguments: Any, **options: Any) -> ast.AST:
            self.characters += len(source)
            return original(source, *arguments, **options)

        monkeypatch.setattr(ast, "parse", counted)


REASONING = {
    "prose": "We go through the numbers (one by one) and don't stop, so it's linear.\n",
    "code-like": "x = 1\n",
    "blocks": "```python\ny = 2\n```\n",
    "broken blocks": "```python\ndef total(numbers:\n```\n",
    "definitions": "def total(numbers):\n    return (\n",
    "docstrings": '"""\n```\n',
    "single line": "because ",
    "bare fences": "```\n",
}


@pytest.mark.parametrize("line", REASONING.values(), ids=REASONING.keys())
def test_work_grows_no_faster_than_the_text(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Parses(monkeypatch)
    work = []
    for characters in (20_000, 80_000):
        counted.characters = 0
        text = line * (characters // len(line)) + "\n\n" + fenced(FUNCTION)
        check(extract(text, STATEMENT, "total"))
        work.append(counted.characters)
    assert work[1] <= 5 * work[0] + 10_000


def test_reasoning_before_the_block_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Parses(monkeypatch)
    assert is_right(extract(REASONING["prose"] * 15_000 + fenced(FUNCTION), STATEMENT, "total"))
    assert counted.characters < 2_000


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")  # theirs
def test_reference_solutions_come_out_as_they_are(evalplus_data: dict[str, str]) -> None:
    for variable, path in evalplus_data.items():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            task = json.loads(line)
            statement, solution = task["prompt"], task["canonical_solution"]
            whole = statement + solution if variable.startswith("HUMANEVAL") else solution
            behind = f"{solution}\n\nprint(1)\ndef other(:"
            for text, kind, expected in [
                (f"Sure.\n{fenced(whole)}\nDone.", "chat", whole),
                (behind, "completion", statement + solution),
            ]:
                found = extract(text, statement, task["entry_point"], kind)  # type: ignore[arg-type]
                assert found.format_kept, task["task_id"]
                assert ast.dump(ast.parse(found.program)) == ast.dump(ast.parse(expected))
