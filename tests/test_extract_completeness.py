import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_extract import ANSWERS, STATEMENT

from experiments.extract import extract
from experiments.extract.completeness import BlockWatcher, StatementWatcher, Watcher
from experiments.extract.grammar import blocks

GOOD = "def f(x):\n    return x\n"


def end(watcher: Watcher, text: str, step: int) -> str | None:
    """Return what is left of a text that grows by so many bytes at a time."""
    content = text.encode()
    grown = bytearray()
    for start in range(0, len(content), step):
        grown += content[start : start + step]
        found = watcher.complete_at(grown)
        if found is not None:
            return grown[:found].decode()
    return None


@pytest.fixture(params=[1, 2, 3, 7, 1000], ids=lambda step: f"{step}_bytes")
def step(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize(
    ("before", "fence", "closing"),
    [
        ("", "```python\n", "```"),
        ("Here it is:\n\n", "```py\n", "```"),
        ("Here it is:\n", "```Python3\n", "```"),
        ("", "```\n", "```"),
        ("", "~~~python\n", "~~~"),
        ("", "````python\n", "````"),
        ("1. List:\n", "   ```python\n", "   ```"),
        ("", "``` python title=x\n", "```"),
        ("", "```python3.11\n", "```"),
        ("", "```{.python .numberLines}\n", "```"),
        ("The code: ", "```python\n", "```"),
        ("Restate: it is `f`.\n```text\nf(1) -> 1\n```\nPlan: go.\n", "```python\n", "```"),
        ("An example:\n```python\nf(1)\n```\n", "```python\n", "```"),
        ("```python\ndef helper(x):\n    return f(x)\n```\n", "```python\n", "```"),
        ("```python\ndef f(x):\n```\n", "```python\n", "```"),
        ('```python\ndef f(x):\n    """Return x."""\n```\n', "```python\n", "```"),
        ("```python\ndef f(x):\n    ...\n```\n", "```python\n", "```"),
        ("```python\ndef f(x):\n    raise NotImplementedError\n```\n", "```python\n", "```"),
        ("```bash\ndef f(x): no\n```\n", "```python\n", "```"),
        ("```python\ndef ff(x):\n    return 1\n```\n", "```python\n", "```"),
    ],
)
def test_the_closing_fence_of_the_answer_ends_it(
    before: str, fence: str, closing: str, step: int
) -> None:
    answer = f"{before}{fence}{GOOD}{closing}"
    found = end(
        BlockWatcher("f"), answer + "\nThis function returns x.\n```python\nf(1)\n```\n", step
    )
    # A longer step may bring some bytes behind the fence; they are no part of the answer.
    assert found is not None
    assert found.rstrip() == answer


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",  # no block
        f"```python\n{GOOD}",  # not closed
        f"```python\n{GOOD}``",
        "```python\nprint(1)\n```\n",  # another program
        f"```text\n{GOOD}```\n",  # another language
        "The function `f` is ```def f(x)``` here.\n",
        f"````python\n{GOOD}```\n",  # a shorter fence closes nothing
    ],
)
def test_nothing_else_ends_it(text: str, step: int) -> None:
    assert end(BlockWatcher("f"), text, step) is None


def test_a_fence_in_a_docstring_does_not_end_it(step: int) -> None:
    answer = '```python\ndef f(x):\n    """Return x.\n\n```\nf(1)\n```\n    """\n    return x\n```'
    assert (end(BlockWatcher("f"), answer + "\n", step) or "").rstrip() == answer


def test_a_function_that_does_not_parse_does_not_end_it(step: int) -> None:
    broken, whole = "```python\ndef f(x):\n    return x +\n```\n", f"Or:\n```python\n{GOOD}```"
    assert end(BlockWatcher("f"), broken, step) is None
    assert (end(BlockWatcher("f"), broken + whole, step) or "").rstrip() == broken + whole


def test_a_block_ends_the_answer_though_python_refuses_what_follows_its_function(
    step: int,
) -> None:
    answer = f"```python\n{GOOD}\nprint f(1)\n```"
    assert (end(BlockWatcher("f"), answer + "\n", step) or "").rstrip() == answer


def test_a_made_up_next_turn_does_not_end_it(step: int) -> None:
    text = f"I do not know.\n<|im_end|>\n<|im_start|>user\n```python\n{GOOD}```\n"
    assert end(BlockWatcher("f"), text, step) is None


PIECES = (
    *("Here it is:", "", "> ", "1. ", "   ", "    ", "It's done.", "\r", "\0"),
    *("```", "```python", "```py", "```python3.11", "```text", "````python", "````", "~~~"),
    *("def total(n):", "    return sum(n)", "    return sum(n)```", "total = sum", "def add(n):"),
    *('    """Sum.', '    """', "    '''", "# it's", "print(total([1]))", "    ...", "x = ("),
    *("[PYTHON]", "[/PYTHON]", "class total: n = 1", "    return sum(n) +", "<|im_end|>"),
)
"""Lines that models write, right and wrong."""

LINES = st.lists(st.sampled_from(PIECES), max_size=24)


@given(LINES)
@example(["```python", "def total(n):", "```", "```python", "total = sum", "```"])
@example(["```text", "def total(n):", "    return sum(n)", "```", "```", "total = sum", "```"])
def test_wherever_the_watcher_ends_there_is_a_program_with_the_function(lines: list[str]) -> None:
    kept = end(BlockWatcher("total"), "\n".join(lines), 5)
    if kept is not None:
        found = extract(kept, STATEMENT, "total")
        assert found.syntax_valid, found.program
        names = {getattr(node, "name", "") for node in ast.parse(found.program).body}
        assert "total" in names or "total = " in found.program


@given(LINES)
def test_of_an_answer_with_one_block_the_watcher_keeps_the_same_program(lines: list[str]) -> None:
    text = "\n".join([*lines, ""])
    whole = extract(text, STATEMENT, "total")
    if len(blocks(text)) == 1 and whole.format_kept:
        kept = end(BlockWatcher("total"), text, 5)
        assert kept is None or extract(kept, STATEMENT, "total") == whole


@pytest.mark.parametrize("name", [name for name, (_, kept) in ANSWERS.items() if kept])
def test_every_answer_in_the_asked_format_is_seen_to_be_complete(name: str, step: int) -> None:
    text = ANSWERS[name][0].replace("\udc80", "") + "\n"  # which no UTF-8 can hold
    if "</think>" not in text:
        kept = end(BlockWatcher("total"), text, step)
        assert kept is not None
        assert extract(kept, STATEMENT, "total") == extract(text, STATEMENT, "total")


@pytest.mark.parametrize(
    "definition", ["f = lambda x: x", "class f:\n    y = 1", "async def f():\n    await g()"]
)
def test_other_definitions_count(definition: str, step: int) -> None:
    answer = f"```python\n{definition}\n```"
    assert (end(BlockWatcher("f"), answer + "\n", step) or "").rstrip() == answer


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("    return x\n\nprint(f(1))\n", "    return x\n\n"),
        ("    return x\ndef g():\n    pass\n", "    return x\n"),
        ("\n    return x\n\n\n@wraps\ndef g(): ...", "\n    return x\n\n\n"),
        ("    return x\n```\nDone.", "    return x\n"),
        ("    return x\n# That was it.\nassert f(1)", "    return x\n# That was it.\n"),
        ("return x\n\nif __name__ == '__main__':\n    f()", "return x\n\n"),
        ('    """Doc.\n\nNot a statement.\n    """\n    return x\nx = 1', None),
        ("    return (\nx\n)\nx = 1", "    return (\nx\n)\n"),
        ("    return (x\ndef g(): ...", "    return (x\n"),
        (
            "    a = [\n        1,\n]\n    return a\nx = 1",
            "    a = [\n        1,\n]\n    return a\n",
        ),
        ("def f(x):\n    return x\nprint(1)\n", "def f(x):\n    return x\n"),
    ],
)
def test_the_next_top_level_statement_ends_a_completion(
    text: str, kept: str | None, step: int
) -> None:
    if kept is None:
        kept = text[: text.index("x = 1")]
    assert end(StatementWatcher(), text, step) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "    return x",
        "    return x\n\n\n",
        "    if x:\n\n        return x\n  # no\n",
        "\n\n\n    y",
    ],
)
def test_a_body_that_goes_on_is_not_ended(text: str, step: int) -> None:
    assert end(StatementWatcher(), text, step) is None
