import pytest

from experiments.extract.completeness import BlockWatcher, StatementWatcher, Watcher

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


def test_a_program_that_does_not_parse_ends_with_its_block(step: int) -> None:
    answer = "```python\ndef f(x):\n    return x +\n```"
    assert (end(BlockWatcher("f"), answer + "\n", step) or "").rstrip() == answer


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
