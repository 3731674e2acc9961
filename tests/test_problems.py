"""Our own problem files: what is read of them, and what each mistake in one gets."""

import ast
import hashlib
import marshal
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from problem_files import GOOD, spoiled, write

from experiments.errors import DatasetError
from experiments.problems import load_own, load_problem, own, problem_files, read_form
from experiments.records import Dataset

PROMPT = GOOD[GOOD.index("def shelf_count") : GOOD.index("    return math")]


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], Dataset]:
    """Load the folder of the test."""

    def load() -> Dataset:
        return load_own(tmp_path / "set", "mine", tmp_path / "cache")

    return load


def error_of(tmp_path: Path, source: str, name: str = "easy/shelf_count") -> str:
    """What is said of a problem file, without its folder."""
    path = write(tmp_path, source, name)
    with pytest.raises(DatasetError) as caught:
        load_problem(path, tmp_path / "cache")
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{tmp_path}/", "")


# --- what is read


def test_fields_are_read(tmp_path: Path, load: Callable[[], Dataset]) -> None:
    write(tmp_path / "set")
    dataset = load()
    (problem,) = dataset.problems
    assert dataset.name == "mine"
    assert problem.id == "easy/shelf_count"
    assert (problem.title, problem.difficulty) == ("Count full shelves", "easy")
    assert problem.topics == ("arithmetic", "lists")
    assert problem.entry_point == "shelf_count"
    assert problem.base_inputs[:2] == (([5, 5, 1], 0), ([], 3))
    assert len(problem.base_inputs) == 5
    assert len(problem.extra_inputs) == 100
    assert all(isinstance(arguments, tuple) for arguments in problem.extra_inputs)
    assert problem.atol == 0
    assert problem.comparison == "equal"
    assert dataset.preload == ("math",)


def test_the_prompt_is_what_the_signature_needs_and_the_statement(
    tmp_path: Path, load: Callable[[], Dataset]
) -> None:
    write(tmp_path / "set")
    assert load().problems[0].prompt == f"Books = list[int]\n\n\n{PROMPT}"


def test_imports_of_the_prompt_are_those_of_the_signature(tmp_path: Path) -> None:
    source = spoiled("spare: int)", "spare: Decimal = _WIDTH)")
    source = spoiled(
        "import math\n", "import math\nfrom decimal import Decimal, getcontext\n", source
    )
    prompt = read_form(write(tmp_path, source)).prompt
    assert prompt.startswith("from decimal import Decimal\n\nBooks = list[int]\n# How wide a shelf")
    assert "_WIDTH = 10\n\n\ndef shelf_count(" in prompt
    assert "math" not in prompt


def test_the_reference_is_the_closure_of_the_entry_point(tmp_path: Path) -> None:
    form = read_form(write(tmp_path))
    names = [
        ast.unparse(node).splitlines()[0].split("(")[0] for node in ast.parse(form.reference).body
    ]
    assert names == ["import math", "Books = list[int]", "_WIDTH = 10", "def shelf_count",
                     "def _total"]  # fmt: skip
    assert "# How wide a shelf is." in form.reference
    scope: dict[str, object] = {}
    exec(form.reference, scope)
    assert scope["shelf_count"]([5, 6], 1) == 3  # type: ignore[operator]


def test_lines_of_the_reference_are_known_in_the_file(tmp_path: Path) -> None:
    form = read_form(write(tmp_path))
    lines = GOOD.splitlines()
    for text, number in zip(form.reference.splitlines(), form.reference_lines, strict=True):
        assert text == lines[number - 1]


def test_of_an_import_only_what_is_needed_stays(tmp_path: Path) -> None:
    source = spoiled("def _total(", "@cache\ndef _total(")
    form = read_form(write(tmp_path, source))
    assert "from functools import cache\n" in form.reference
    assert "@cache\ndef _total(" in form.reference
    assert "reduce" not in form.reference
    assert len(form.reference.splitlines()) == len(form.reference_lines)


def test_nothing_of_a_file_runs_in_this_process(tmp_path: Path) -> None:
    source = spoiled("Books = ", "import sys\nsys.modules['was_run_here'] = sys\nBooks = ")
    load_problem(write(tmp_path, source), tmp_path / "cache")
    assert "was_run_here" not in sys.modules


def test_problems_come_easy_ones_first_and_by_name(tmp_path: Path) -> None:
    for name in ("hard/a", "easy/b", "medium/c", "easy/a", "easy/_helper", "easy/.hidden"):
        write(tmp_path, "", name)
    (tmp_path / "README.md").write_text("about")
    found = [f"{path.parent.name}/{path.stem}" for path in problem_files(tmp_path)]
    assert found == ["easy/a", "easy/b", "medium/c", "hard/a"]


def test_inputs_of_every_plain_kind_survive_the_cache(
    tmp_path: Path, load: Callable[[], Dataset]
) -> None:
    values = (
        "(None, True, 1, 10**30, 1.5, -2j, 'ä', '\\ud83d\\ude00', b'\\xff', "
        "[(1,)], {'a': {2}}, {(3, 4)}, frozenset([5]))"
    )
    source = spoiled("spare: int", "spare: object = 0")
    source = spoiled(
        "for size in range(100):", f"yield [], {values}\n    for size in range(100):", source
    )
    write(tmp_path / "set", source)
    first, second = load(), load()
    assert first == second
    assert first.problems[0].extra_inputs[0] == ([], ast.literal_eval(
        values.replace("10**30", str(10**30))
        .replace("frozenset([5])", "{5}")
    ))  # fmt: skip
    assert type(second.problems[0].extra_inputs[0][1][-1]) is frozenset
    assert first.digest == second.digest


# --- digest and cache


def test_the_digest_covers_all_problems_and_no_comments(
    tmp_path: Path, load: Callable[[], Dataset]
) -> None:
    write(tmp_path / "set")
    original = load().digest
    write(tmp_path / "set", spoiled('"""Remarks', '"""Other remarks'))
    assert load().digest == original
    for old, new in (
        ("how many shelves", "how many boards"),
        ("([10], 1)", "([10], 2)"),
        ("randrange(3)", "randrange(4)"),
        ("return sum(books)", "return sum(books, 0)"),
        ("Count full", "Count empty"),
    ):
        write(tmp_path / "set", spoiled(old, new))
        assert load().digest != original


def test_a_problem_is_read_once_per_content(
    tmp_path: Path, load: Callable[[], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "set")
    first = load()
    monkeypatch.setattr(own, "read_form", lambda path: pytest.fail("it was read again"))
    assert load() == first
    path.write_text(GOOD.replace("randrange(3)", "randrange(4)"))
    with pytest.raises(pytest.fail.Exception):
        load()


FORGED = {
    "a pickle": pickle.dumps(Path("x")),
    "code": marshal.dumps(compile("", "x", "exec")),
    "no plain type": b'{"open": "x"}',
    "two types": b'{"tuple": [], "list": []}',
    "no type": b"{}",
    "unhashable": b'{"set": [[]]}',
    "no items": b'{"tuple": 7}',
    "another shape": b"[1, 2, 3]",
    "another length": b'{"tuple": [{"tuple": [1]}, ""]}',
    "deep": b"[" * 100_000,
    "long": b"9" * 100_000,
}
"""What somebody may write into a cache, under the right key and with the right checksum."""


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", *FORGED])
def test_a_damaged_cache_is_computed_again(
    tmp_path: Path, load: Callable[[], Dataset], damage: str
) -> None:
    write(tmp_path / "set")
    first = load()
    (kept,) = (tmp_path / "cache").rglob("easy-*")
    data = bytearray(kept.read_bytes())
    data[-5] ^= damage == "flipped"
    forged = {
        name: data[:32] + hashlib.sha256(body).digest() + body for name, body in FORGED.items()
    }
    kept.write_bytes(
        {"cut": data[:-9], "flipped": data, "empty": b"", "other": b"x" * 99, **forged}[damage]
    )
    assert load() == first
    assert [path.name for path in (tmp_path / "cache").rglob("*.*")] == [kept.name]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    path = write(tmp_path / "set")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert load_problem(path, tmp_path / "cache").id == "easy/shelf_count"


# --- mistakes


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"There is no folder .*nowhere\. .*dataset\.folder=PATH"
    ):
        load_own(tmp_path / "nowhere", cache=tmp_path)


def test_no_problems(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There are no problems in"):
        load_own(tmp_path, cache=tmp_path)


def test_a_folder_that_is_no_difficulty(tmp_path: Path) -> None:
    write(tmp_path, name="esay/shelf_count")
    with pytest.raises(DatasetError, match=r"no folder of a difficulty\. Move it to one of easy, "):
        load_own(tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    "name", ["ID", "TITLE", "DIFFICULTY", "TOPICS", "ENTRY_POINT", "BASE_INPUTS"]
)
def test_a_missing_field(tmp_path: Path, name: str) -> None:
    said = error_of(tmp_path, spoiled(f"\n{name} = ", f"\nX{name} = "))
    assert said.startswith(f"easy/shelf_count.py has no {name}. Did you mean 'X{name}'? ")
    assert said.endswith("problems/README.md explains it.")


MISTAKES = {
    "twice": (
        'TITLE = "Count full shelves"', 'TITLE = "A"\nTITLE = "B"',
        "easy/shelf_count.py, line 11: TITLE is set twice. Keep one of them.",
    ),
    "difficulty": (
        'DIFFICULTY = "easy"', 'DIFFICULTY = "esay"',
        "easy/shelf_count.py, line 11: unknown difficulty 'esay'. Did you mean 'easy'?",
    ),
    "another difficulty": (
        'DIFFICULTY = "easy"', 'DIFFICULTY = "hard"',
        "easy/shelf_count.py, line 11: DIFFICULTY is 'hard', but the file is in easy/. "
        "Move the file to hard/ or correct the difficulty.",
    ),
    "bad Python": (
        "return sum(books)", "return sum(books",
        "easy/shelf_count.py, line 44: this is no Python: '(' was never closed. Correct that line.",
    ),
    "id": (
        'ID = "easy/shelf_count"', 'ID = "easy/shelves"',
        "easy/shelf_count.py, line 9: ID is 'easy/shelves', but the file is easy/shelf_count.py. "
        'Write ID = "easy/shelf_count" or move the file.',
    ),
    "title": (
        'TITLE = "Count full shelves"', "TITLE = 5",
        'easy/shelf_count.py, line 10: TITLE is not a text. Write TITLE = "...".',
    ),
    "topics": (
        'TOPICS = ("arithmetic", "lists")', 'TOPICS = ("lists")',
        "easy/shelf_count.py, line 12: TOPICS is not a tuple of texts. Write TOPICS = "
        '("sorting",): one topic needs the comma, too.',
    ),
    "atol": (
        "Books = ", 'ATOL = "small"\nBooks = ',
        "easy/shelf_count.py, line 15: ATOL is 'small', which is no tolerance. Write a small "
        "number such as ATOL = 1e-6.",
    ),
    "equivalent mutants": (
        "Books = ", 'EQUIVALENT_MUTANTS = ["x"]\nBooks = ',
        "easy/shelf_count.py, line 15: EQUIVALENT_MUTANTS does not map changes to reasons. Write "
        'EQUIVALENT_MUTANTS = {"`a < b` -> `a <= b`": "why it changes nothing"}.',
    ),
    "misspelt field": (
        "Books = ", "ATLO = 1e-6\nBooks = ",
        "easy/shelf_count.py, line 15: nothing reads ATLO. Did you mean 'ATOL'?",
    ),
    "unknown field": (
        "Books = ", 'SOURCE = "a newspaper"\nBooks = ',
        "easy/shelf_count.py, line 15: nothing reads SOURCE. Use it, or take it out.",
    ),
    "entry point": (
        'ENTRY_POINT = "shelf_count"', 'ENTRY_POINT = "shelf_cuont"',
        "easy/shelf_count.py, line 13: ENTRY_POINT is 'shelf_cuont', but the file has no such "
        "function. Did you mean 'shelf_count'?",
    ),
    "docstring": (
        GOOD[GOOD.index('    """Return how') : GOOD.index("    return math")], "",
        "easy/shelf_count.py, line 25: shelf_count has no docstring. Its docstring is the "
        "statement of the problem: write it.",
    ),
    "examples": (
        GOOD[GOOD.index("    >>> shelf") : GOOD.index('    """\n    return math')], "",
        "easy/shelf_count.py, line 25: the docstring of shelf_count has no examples. Add 2 to 4: "
        "a line `>>> shelf_count(...)`, below it the value.",
    ),
    "parameter": (
        "spare: int)", "spare)",
        "easy/shelf_count.py, line 25: the signature of shelf_count does not tell the type of "
        "spare. Annotate it: def shelf_count(name: type) -> type.",
    ),
    "returned type": (
        "spare: int) -> int:", "spare: int):",
        "easy/shelf_count.py, line 25: the signature of shelf_count does not tell the type that "
        "it returns. Annotate it: def shelf_count(name: type) -> type.",
    ),
    "no literal": (
        "([10], 1),", "([10] * 2, 1),",
        "easy/shelf_count.py, line 51: BASE_INPUTS is not made of literals. The file is read and "
        "never run: write the values out, or move computed inputs to extra_inputs().",
    ),
    "no list": (
        "BASE_INPUTS = [", "BASE_INPUTS = 5\nOTHER = [",
        "easy/shelf_count.py, line 47: BASE_INPUTS is not a list. Write BASE_INPUTS = [(first, "
        "second), ...]: one tuple of arguments per call.",
    ),
    "no tuple": (
        "([10], 1),", "[10],",
        "easy/shelf_count.py, line 51: base input 3 is no tuple of arguments. A call with one "
        "argument is written (argument,), with the comma.",
    ),
    "too few arguments": (
        "([10], 1),", "([10],),",
        "easy/shelf_count.py, line 51: base input 3 has 1 argument, but shelf_count(books, spare) "
        "is called. Write one value per parameter.",
    ),
    "too many arguments": (
        "([10], 1),", "([10], 1, 2),",
        "easy/shelf_count.py, line 51: base input 3 has 3 arguments, but shelf_count(books, "
        "spare) is called. Write one value per parameter.",
    ),
    "too few base inputs": (
        "    ([10], 1),\n", "",
        "easy/shelf_count.py, line 47: there are 4 base inputs, fewer than 5. Add what a person "
        "would try.",
    ),
    "too many base inputs": (
        "    ([10], 1),\n", "    ([10], 1),\n" * 12,
        "easy/shelf_count.py, line 47: there are 16 base inputs, more than 15. Move some to "
        "extra_inputs().",
    ),
    "no generator": (
        "def extra_inputs", "def more_inputs",
        "easy/shelf_count.py has no function extra_inputs. Write def extra_inputs(random: Random) "
        "-> Iterator[tuple]: Copy the form from another file in that folder; problems/README.md "
        "explains it.",
    ),
    "generator without its argument": (
        "def extra_inputs(random: Random)", "def extra_inputs()",
        "easy/shelf_count.py, line 56: extra_inputs does not take one argument. Write def "
        "extra_inputs(random: Random) -> Iterator[tuple]:",
    ),
    "generator raises": (
        "for size in range(100):", "for size in range(1 // 0):",
        "easy/shelf_count.py, extra_inputs() raises ZeroDivisionError: integer division or modulo "
        "by zero. Correct the generator.",
    ),
    "generator ends early": (
        "for size in range(100):", "for size in range(99):",
        "easy/shelf_count.py, extra_inputs() yields 99 inputs, fewer than 100. Yield more: edge "
        "cases first, then random ones of growing size.",
    ),
    "generator yields no tuples": (
        "for size in range(100):", "yield [[1], 2]\n    for size in range(100):",
        "easy/shelf_count.py, extra_inputs(): input 0 is no tuple of arguments: [[1], 2]. Yield "
        "one tuple per call: `yield (argument,)`, with the comma.",
    ),
    "generator yields too few arguments": (
        "for size in range(100):", "yield ([1],)\n    for size in range(100):",
        "easy/shelf_count.py, extra_inputs(): input 0 has 1 argument, but shelf_count(books, "
        "spare) is called. Yield one value per parameter.",
    ),
    "generator yields objects": (
        "for size in range(100):", "yield [object()], 2\n    for size in range(100):",
        "easy/shelf_count.py, extra_inputs(): input 0 is not plain data: <object>. Inputs are "
        "made of None, bool, int, float, str, bytes, list, tuple, dict, set.",
    ),
    "example": (
        "    >>> shelf_count([], 3)\n    3", "    >>> shelf_count([], 3)\n    4",
        "easy/shelf_count.py, line 32: the reference fails its example shelf_count([], 3): "
        "expected 4, but the value is 3. Correct the example or the reference.",
    ),
    "example of another type": (
        "    >>> shelf_count([], 3)\n    3", "    >>> shelf_count([], 3)\n    3.0",
        "easy/shelf_count.py, line 32: the reference fails its example shelf_count([], 3): "
        "expected 3.0, but the value is 3. Correct the example or the reference.",
    ),
    "example raises": (
        ">>> shelf_count([], 3)", ">>> shelf_count(None, 3)",
        "easy/shelf_count.py, line 32: the reference fails its example shelf_count(None, 3): "
        "expected 3, but TypeError is raised ('NoneType' object is not iterable). Correct the "
        "example or the reference.",
    ),
    "example should raise": (
        ">>> shelf_count([-1], 0)", ">>> shelf_count([1], 0)",
        "easy/shelf_count.py, line 34: the reference fails its example shelf_count([1], 0): "
        "expected Traceback (most recent call last): ValueError: a book is wider than nothing, "
        "but nothing is raised, the value is 1. Correct the example or the reference.",
    ),
    "reference cannot be loaded": (
        "_WIDTH = 10", "_WIDTH = 10 // 0",
        "easy/shelf_count.py: the reference raises ZeroDivisionError: integer division or modulo "
        "by zero when its examples are run. A reference needs nothing but the standard library "
        "and this file.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    old, new, expected = MISTAKES[name]
    assert error_of(tmp_path, spoiled(old, new)) == expected


def test_a_type_that_only_a_quoted_annotation_names_is_read(tmp_path: Path) -> None:
    write(tmp_path, spoiled("books: Books", 'books: "Books"'))
    assert "Books = list[int]" in read_form(tmp_path / "easy" / "shelf_count.py").prompt


def test_a_generator_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.problems import run

    monkeypatch.setattr(run, "GENERATOR_SECONDS", 0.3)
    said = error_of(tmp_path, spoiled("for size in range(100):", "while True:\n        size = 1"))
    assert said == "easy/shelf_count.py, extra_inputs() takes too long. Correct the generator."


def test_a_file_that_is_no_utf_8(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(GOOD.replace("Remarks", "Bücher").encode("latin-1"))
    with pytest.raises(DatasetError, match=r"shelf_count\.py is not UTF-8 text\. Save it as UTF-8"):
        load_problem(path, tmp_path / "cache")


@pytest.mark.parametrize("separator", ["\u2028", "\x0c", "\x85"])
def test_lines_are_counted_as_python_counts_them(tmp_path: Path, separator: str) -> None:
    source = spoiled('"""Remarks', f'"""{separator * 3}Remarks')
    source = spoiled("how many shelves", f"how{separator}many shelves", source)
    form = read_form(write(tmp_path, source))
    assert form.reference.split("def shelf_count")[0].endswith("_WIDTH = 10\n\n\n")
    assert form.prompt.startswith("Books = list[int]\n\n\ndef shelf_count(")
    assert form.prompt.endswith('nothing\n    """\n')


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path)
    form = read_form(path)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    again = read_form(path)
    assert (again.prompt, again.reference) == (form.prompt, form.reference)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing\.py cannot be read: No such file"):
        load_problem(tmp_path / "easy/nothing.py", tmp_path / "cache")


@pytest.mark.parametrize(
    "statement",
    [
        "    >>> _total([1,\n    ...         2])\n    3\n",
        "    >>> shelf_count([], 3) == 3\n    True\n",
        "    >>> {'b': [1, 2], 'a': (3.0,)}\n    {'b': [1,\n           2], 'a': (3.0,)}\n",
        "    >>> books = [5]\n    >>> shelf_count(books, 1)\n    2\n",
        "    >>> {'b', 'a'}\n    {'a', 'b'}\n",
        "    >>> {'b': 1, 'a': [2]}\n    {'a': [2], 'b': 1}\n",
        "    >>> None\n",
    ],
)
def test_examples_may_take_any_form_that_doctest_knows(tmp_path: Path, statement: str) -> None:
    path = write(tmp_path, spoiled("    >>> shelf_count([], 3)\n    3\n", statement))
    assert load_problem(path, tmp_path / "cache").id == "easy/shelf_count"
