"""Mutants: every operator, and what holds for all of them."""

import ast
import textwrap
import warnings
from pathlib import Path

import pytest

from experiments.problems.source import needed
from experiments.problems.validate.mutation import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent


def changes(body: str, *, before: str = "", signature: str = "a, b, c, n, items") -> list[str]:
    """The changes of the mutants of a function with this body."""
    source = f"{before}\ndef f({signature}):\n{textwrap.indent(body, '    ')}\n"
    return [mutant.change for mutant in mutants(source, "f")]


def of_expression(expression: str) -> set[str]:
    """The changes of an expression, without those of the statement that holds it."""
    return {
        change.replace("`", "").replace(f"{ast.unparse(ast.parse(expression))} -> ", "")
        for change in changes(f"g({expression})")
        if not change.endswith("left out")
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a <= b", {"a < b", "a > b"}),
        ("a > b", {"a >= b", "a <= b"}),
        ("a >= b", {"a > b", "a < b"}),
        ("a == b", {"a != b"}),
        ("a != b", {"a == b"}),
        ("a in b", {"a not in b"}),
        ("a not in b", {"a in b"}),
        ("a is b", {"a is not b"}),
        ("a is not b", {"a is b"}),
        ("a < b < c", {"a <= b < c", "a >= b < c", "a < b <= c", "a < b >= c"}),
        ("a + b", {"a - b"}),
        ("a - b", {"a + b"}),
        ("a * b", {"a + b"}),
        ("a / b", {"a // b"}),
        ("a // b", {"a / b"}),
        ("a % b", {"a // b"}),
        ("a ** b", {"a * b"}),
        ("a << b", {"a >> b"}),
        ("a >> b", {"a << b"}),
        ("a & b", {"a | b"}),
        ("a | b", {"a & b"}),
        ("a ^ b", {"a & b"}),
        ("-a", {"a"}),
        ("~a", {"a"}),
        ("not a", {"a"}),
        ("a and b", {"a or b", "a", "b"}),
        ("a or b or c", {"a and b and c", "b or c", "a or c", "a or b"}),
        ("a if b else c", {"b -> not b", "b -> True", "b -> False"}),
        ("a if b < c else c", {"b < c -> b <= c", "b < c -> b >= c", "b < c -> True",
                               "b < c -> False"}),
        ("a if not b else c", {"not b -> b", "not b -> True", "not b -> False"}),
        ("[a for a in b if c]", {"c -> not c", "c -> True", "c -> False"}),
        ("a[n:]", {"a[:]", "a[n + 1:]", "a[n - 1:]"}),
        ("a[:n]", {"a[:]", "a[:n + 1]", "a[:n - 1]"}),
        ("a[::b]", {"a[:]"}),
        ("a[n + 1:]", {"a[:]", "n + 1 -> n - 1", "n + 1 -> n + 2", "n + 1 -> n + 0"}),
        ("range(n)", {"range(n + 1)", "range(n - 1)", "range(1, n)"}),
        ("range(a, n)", {"range(a + 1, n)", "range(a - 1, n)", "range(a, n + 1)",
                         "range(a, n - 1)"}),
        ("lambda: a", {"lambda: None"}),
        ("f'{a:>5}'", {"f'{a}'"}),
        ("zip(a, b, strict=True)", set()),
        ("a", set()),
    ],
)  # fmt: skip
def test_each_operator_of_expressions(expression: str, expected: set[str]) -> None:
    assert of_expression(expression) == expected


@pytest.mark.parametrize(
    ("value", "others"),
    [
        ("7", {"8", "6"}),
        ("0", {"1", "-1"}),
        ("1.5", {"2.5", "0.5"}),
        ("True", {"False"}),
        ("None", {"0"}),
        ("'abc'", {"'ab'"}),
        ("','", {"''"}),
        ("''", {"'X'"}),
        ("b'ab'", {"b'a'"}),
        ("...", set()),
    ],
)
def test_each_kind_of_constant(value: str, others: set[str]) -> None:
    found = set(changes(f"a = {value}")) - {f"`a = {value}` left out"}
    assert found == {f"`a = {value}` -> `a = {other}`" for other in others}


@pytest.mark.parametrize(
    "statement",
    ["a = b", "a += b", "a: int = b", "g(a)", "raise ValueError", "del a", "for a in b:\n    g()"],
)
def test_statements_are_left_out(statement: str) -> None:
    first = statement.splitlines()[0]
    assert f"`{first}` left out" in changes(f"{statement}\nreturn a")


def test_a_loop_is_left_and_gone_on_with() -> None:
    found = changes("for a in b:\n    if a:\n        continue\n    g()\n    break")
    assert "`continue` -> `break`" in found
    assert {"`continue` left out", "`break` left out"} <= set(found)


def test_a_loop_is_never_made_endless_by_its_condition_alone() -> None:
    found = changes("while a < b:\n    a = g(a)\nreturn a")
    assert "`a < b` -> `False`" in found
    assert "`a < b` -> `True`" not in found


def test_returned_values_become_none() -> None:
    assert changes("if a:\n    return b\nreturn c").count("`return b` -> `return None`") == 1
    assert "`(yield a)` -> `(yield None)`" in changes("yield a")


def test_the_last_return_is_not_left_out_since_that_returns_none_too() -> None:
    found = changes("if a:\n    return b\nreturn c")
    assert "`return b` left out" in found
    assert "`return c` left out" not in found


def test_what_outputs_do_not_show_is_not_changed() -> None:
    body = '''\
"""Docstring with 1 < 2."""
assert a < 1, "no"
if a:
    raise ValueError("text " + str(a + 1))
total: dict[str, int]
return a
'''
    found = changes(body, before='"""Module 7."""\nfrom functools import cache\n\n@cache(5)')
    assert found == [
        "`a` -> `not a`",
        "`a` -> `True`",
        "`a` -> `False`",
        "`raise ValueError('text ' + str(a + 1))` left out",
        "`return a` -> `return None`",
    ]


def test_only_what_the_entry_point_needs_is_changed() -> None:
    before = textwrap.dedent("""\
        LIMIT = 10
        UNUSED = 20
        TABLE = {}
        TABLE["x"] = 30
        def helper(x):
            return LIMIT
        def unused():
            return 40
        class Node:
            size = 50
    """)
    found = changes("return helper(TABLE)", before=before)
    assert "`LIMIT = 10` -> `LIMIT = 11`" in found
    assert "`TABLE['x'] = 30` -> `TABLE['x'] = 31`" in found
    assert not any(number in change for change in found for number in ("20", "40", "50"))


def test_quoted_annotations_count_as_needed() -> None:
    tree = ast.parse("class Node: pass\nclass Other: pass\ndef f(x: 'list[Node]'): pass\n")
    assert [statement.name for statement in needed(tree, ["f"])] == ["Node", "f"]


def test_equal_changes_are_numbered_and_keep_their_lines() -> None:
    found = list(mutants("def f(a):\n    g(a < 1)\n    h(a)\n    g(a < 1)\n", "f"))
    chosen = [(each.line, each.change) for each in found if "<= 1" in each.change]
    assert chosen == [(2, "`a < 1` -> `a <= 1`"), (4, "`a < 1` -> `a <= 1` #2")]
    assert str(found[0]).startswith("line 2: `g(a < 1)` left out")


def test_constants_are_told_with_what_is_around_them() -> None:
    assert "`items[0]` -> `items[1]`" in changes("return items[0] + a")
    assert "`n - 1` -> `n - 2`" in changes("return items[n - 1]")
    assert "`reverse=True` -> `reverse=False`" in changes("return sorted(a, reverse=True)")


def test_a_program_without_the_entry_point_is_refused() -> None:
    with pytest.raises(ValueError, match="does not define f"):
        list(mutants("def g(): pass", "f"))


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        list(mutants("def f(:", "f"))


def _corpus() -> list[Path]:
    return sorted(ROOT.glob("problems/*/*.py"))


def _entry_point(path: Path) -> str:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ENTRY_POINT":
            return str(ast.literal_eval(node.value))
    raise AssertionError(path)


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, str, list[Mutant]]]:
    """Every sixth problem of ours with its mutants."""
    found = []
    for path in _corpus()[::6]:
        source = path.read_text(encoding="utf-8")
        found.append((source, _entry_point(path), list(mutants(source, _entry_point(path)))))
    assert sum(len(each) for _, _, each in found) > 100
    return found


Corpus = list[tuple[str, str, list[Mutant]]]


def test_no_two_mutants_are_equal_and_none_is_the_original(corpus: Corpus) -> None:
    for source, _, found in corpus:
        original = ast.unparse(ast.parse(source))
        assert len({original, *(each.source for each in found)}) == len(found) + 1
        assert len({each.change for each in found}) == len(found)


def test_all_mutants_compile(corpus: Corpus) -> None:
    for _, _, found in corpus:
        for each in found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(each.source, "mutant", "exec")


def test_the_order_is_that_of_the_lines_and_always_the_same(corpus: Corpus) -> None:
    for source, entry_point, found in corpus:
        assert [each.line for each in found] == sorted(each.line for each in found)
        assert list(mutants(source, entry_point)) == found


def test_one_line_is_changed_and_it_is_the_one_that_is_named(corpus: Corpus) -> None:
    for source, _, found in corpus:
        tree = ast.parse(source)
        for each in found:
            differing = [
                (old, new)
                for old, new in zip(tree.body, ast.parse(each.source).body, strict=True)
                if ast.dump(old) != ast.dump(new)
            ]
            assert len(differing) == 1
            old = differing[0][0]
            assert old.lineno <= each.line <= (old.end_lineno or 0)


def test_docstrings_stay(corpus: Corpus) -> None:
    def docstrings(source: str) -> list[str | None]:
        return [
            ast.get_docstring(node)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        ]

    for source, _, found in corpus:
        original = docstrings(source)
        assert all(docstrings(each.source) == original for each in found)
