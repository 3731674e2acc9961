"""Validation: what each flaw of a problem or of its tests is told as."""

import io
import re
from pathlib import Path

import pytest
from problem_files import spoiled, write
from rich.console import Console

from experiments import cli
from experiments.errors import DatasetError
from experiments.problems.validate import (
    MutationScore,
    Report,
    Survivor,
    show,
    validate,
)
from experiments.problems.validate import check as check_module
from experiments.problems.validate.overlap import overlaps
from experiments.problems.validate.types import mismatch
from experiments.records import Problem

STRONG = spoiled(
    "    ([0, 11], 0),\n",
    "    ([0, 11], 0),\n    ([1], 0),\n    ([5, 4], 1),\n    ([0], 0),\n    ([3, -1, 3], 0),\n",
)
WEAK = spoiled(
    "    for size in range(100):\n"
    "        yield [random.randrange(-1, 99) for _ in range(size % 7)], random.randrange(3)\n",
    "    for size in range(100):\n        yield [21], size\n",
    spoiled(
        "    ([5, 5, 1], 0),\n    ([], 3),\n    ([-1], 0),\n    ([10], 1),\n    ([0, 11], 0),\n",
        "    ([10], 1),\n" * 5,
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_public_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "is_at_hand", lambda name: False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def checked(folder: Path, cache: Path, source: str = STRONG, **options: object) -> Report:
    write(folder, source)
    return validate(str(folder), workers=1, cache_folder=cache, **options)  # type: ignore[arg-type]


def findings(report: Report, folder: Path) -> list[str]:
    return [f"{each.where}: {each.what}".replace(f"{folder}/", "") for each in report.findings]


def of_source(folder: Path, cache: Path, source: str) -> list[str]:
    """What is found in a problem, its mutants left out."""
    return findings(checked(folder, cache, source, mutation=False), folder)


# --- mutants


def test_a_strong_problem_has_no_findings(tmp_path: Path, cache: Path) -> None:
    report = checked(tmp_path, cache)
    assert report.ok, report.findings
    assert report.problems == 1
    (score,) = report.scores
    assert score.mutants > 10
    assert score.killed == score.killed_by_base == score.mutants
    assert score.survivors == ()


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("weak")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_module, "is_at_hand", lambda name: False)
        return checked(folder, cache, WEAK), folder


def test_survivors_are_told_with_their_line_and_change(weak: tuple[Report, Path]) -> None:
    report, folder = weak
    (score,) = report.scores
    lines = (folder / "easy/shelf_count.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "if any(" in text)
    told = {(each.where, each.change, each.passes_extra) for each in score.survivors}
    assert (f"{folder}/easy/shelf_count.py:{line}", "`book < 0` -> `book <= 0`", True) in told
    line = next(number for number, text in enumerate(lines, 1) if "_total(books) /" in text)
    place = f"{folder}/easy/shelf_count.py:{line}"
    assert (place, "`_total(books) / _WIDTH` -> `_total(books) // _WIDTH`", False) in told


def test_base_and_extra_tests_are_told_apart(weak: tuple[Report, Path]) -> None:
    (score,) = weak[0].scores
    only_extra = {each.change for each in score.survivors if not each.passes_extra}
    assert "`_total(books) / _WIDTH` -> `_total(books) // _WIDTH`" in only_extra
    assert "`book < 0` -> `book <= 0`" not in only_extra
    assert score.killed_by_base < score.killed < score.mutants
    assert score.killed == score.killed_by_base + len(only_extra)
    assert len(score.survivors) == score.mutants - score.killed_by_base


def test_weak_tests_are_a_finding(weak: tuple[Report, Path]) -> None:
    report, folder = weak
    base, extra = findings(report, folder)
    assert re.search(r"the base tests kill \d\d\.\d % of the mutants, fewer than 95\.0 %", base)
    assert re.search(r"base and extra tests kill \d\d\.\d % of the mutants, fewer than 99", extra)


def test_an_equivalent_mutant_with_its_reason_does_not_count(tmp_path: Path, cache: Path) -> None:
    source = spoiled("    return sum(books)", "    return abs(sum(books))", STRONG)
    before = checked(tmp_path, cache, spoiled("sum(books))", "sum(books) if 1 < 2 else 0)", source))
    changes = [each.change for each in before.scores[0].survivors]
    assert "`1 < 2` -> `1 <= 2`" in changes
    listed = "".join(f"    {change!r}: 'the condition always holds',\n" for change in changes)
    after = checked(
        tmp_path,
        cache,
        spoiled("sum(books))", "sum(books) if 1 < 2 else 0)", source)
        + f"\nEQUIVALENT_MUTANTS = {{\n{listed}}}\n",
    )
    assert after.ok, after.findings
    (score,) = after.scores
    assert score.equivalent == len(changes)
    assert score.share == score.base_share == 1
    assert {each.reason for each in score.survivors} == {"the condition always holds"}


def test_lists_of_equivalent_mutants_are_checked(tmp_path: Path, cache: Path) -> None:
    source = (
        STRONG
        + """
EQUIVALENT_MUTANTS = {
    "`book < 0` -> `book <= 0`": "not so",
    "`book < 0` -> `book <= 00`": "misspelled",
    "line 43: `book < 0` -> `book >= 0`": "with its line",
    "nothing of this kind": "made up",
}
"""
    )
    report = checked(tmp_path, cache, source)
    killed, misspelled, with_line, made_up = findings(report, tmp_path)
    assert killed == (
        "easy/shelf_count.py: EQUIVALENT_MUTANTS lists `book < 0` -> `book <= 0`, but the tests "
        "kill it: shelf_count([0, 11], 0) gives raises ValueError: a book is wider than nothing, "
        "not 2. Take it out of the list."
    )
    assert misspelled.endswith("there is no such mutant. Did you mean '`book < 0` -> `book <= 0`'?")
    assert with_line.endswith("Changes are listed without their line: leave out `line N: `.")
    assert made_up.endswith("there is no such mutant. Take it out of the list.")
    assert report.scores[0].equivalent == 0


@pytest.mark.slow
def test_endless_mutants_are_killed(tmp_path: Path, cache: Path) -> None:
    loop = "    total = 0\n    for book in books:\n        while total < book:\n"
    source = spoiled(
        "    return sum(books)",
        loop + "            total += 1\n    return sum(books) + 0 * total",
        STRONG,
    )
    report = checked(tmp_path, cache, source)
    assert "`total += 1` left out" not in {each.change for each in report.scores[0].survivors}


# --- references


def test_other_outputs_with_another_hash_seed_are_found(tmp_path: Path, cache: Path) -> None:
    source = spoiled("-> int:", "-> list[str]:", STRONG)
    source = spoiled(
        ">>> shelf_count([5, 5, 1], 0)\n    2", ">>> len(shelf_count([], 0))\n    9", source
    )
    source = spoiled(">>> shelf_count([], 3)\n    3", ">>> len(shelf_count([], 0))\n    9", source)
    source = spoiled(
        "    return math.ceil(_total(books) / _WIDTH) + spare",
        "    _total(books)\n    return list({f'book {number}' for number in range(9)})",
        source,
    )
    (found,) = of_source(tmp_path, cache, source)
    assert found.startswith(
        "easy/shelf_count: the reference gives other outputs when strings have other hashes"
    )


def test_a_reference_that_is_not_deterministic_is_found(tmp_path: Path, cache: Path) -> None:
    source = spoiled(
        "    return math",
        "    import time\n\n    spare = time.perf_counter_ns()\n    return math",
        STRONG,
    )
    start, end = source.index("    >>> shelf_count([5"), source.index("    >>> shelf_count([-1]")
    source = source[:start] + "    >>> shelf_count([], 0) > 1\n    True\n" + source[end:]
    (found,) = of_source(tmp_path, cache, source)
    assert found.startswith("easy/shelf_count: the reference fails its own tests (wrong_answer): ")


def test_a_reference_that_gives_no_plain_data_is_found(tmp_path: Path, cache: Path) -> None:
    source = spoiled(
        "    return math.ceil(_total(books) / _WIDTH) + spare",
        "    count = math.ceil(_total(books) / _WIDTH) + spare\n"
        "    return object() if books == [0] else count",
        STRONG,
    )
    (found,) = of_source(tmp_path, cache, source)
    assert found == (
        "easy/shelf_count: the reference fails on shelf_count([0], 0): gives no plain data: "
        "<object>"
    )


# --- inputs, outputs, statement


def test_inputs_that_are_not_as_annotated_are_found(tmp_path: Path, cache: Path) -> None:
    source = spoiled("    ([10], 1),", "    ([10], True),", STRONG)
    source = spoiled(
        "for size in range(100):", "yield [1.5], 1\n    for size in range(100):", source
    )
    base, extra = of_source(tmp_path, cache, source)
    assert base == (
        "easy/shelf_count.py: base input 3, spare: True is no int. Correct the input or the "
        "signature."
    )
    assert extra.startswith("easy/shelf_count.py: extra input 0, books: 1.5 is no int.")


@pytest.mark.parametrize(
    ("yielded", "found"),
    [
        ("yield [__import__('random').randrange(10**9)], 1", True),
        ("yield [n for w in {'one', 'seven', 'twelve', 'sixty'} for n in [len(w)]], 1", True),
        ("yield [random.randrange(10**9)], 1", False),
    ],
    ids=["not from the random given", "in the order of a set", "as it should be"],
)
def test_inputs_that_differ_each_time_are_found(
    tmp_path: Path, cache: Path, yielded: str, found: bool
) -> None:
    loop = "for size in range(100):"
    source = spoiled(loop, f"for _ in range(9):\n        {yielded}\n    {loop}", STRONG)
    told = (
        "easy/shelf_count.py: extra_inputs() yields other inputs each time. Draw from the "
        "`random` that it is given, and sort what comes from a set."
    )
    assert of_source(tmp_path, cache, source) == [told] * found


def test_inputs_may_be_sets(tmp_path: Path, cache: Path) -> None:
    source = spoiled("Books = list[int]", "Books = list[int] | set[str]", STRONG)
    source = spoiled("sum(books)", "0 if isinstance(books, set) else sum(books)", source)
    source = spoiled("if any(book < 0", "if isinstance(books, list) and any(book < 0", source)
    loop = "for size in range(100):"
    source = spoiled(loop, f"yield {{'one', 'seven', 'twelve', 'sixty'}}, 1\n    {loop}", source)
    assert of_source(tmp_path, cache, source) == []


def test_outputs_that_are_not_as_annotated_are_found(tmp_path: Path, cache: Path) -> None:
    (found,) = of_source(tmp_path, cache, spoiled("-> int:", "-> str:", STRONG))
    assert found == (
        "easy/shelf_count.py: the output for input 0 is not as the signature says: 2 is no str. "
        "Correct the reference or the signature."
    )


def test_the_number_of_examples_is_checked(tmp_path: Path, cache: Path) -> None:
    start, end = STRONG.index("    >>> shelf_count([]"), STRONG.index('    """\n    return math')
    (found,) = of_source(tmp_path, cache, STRONG[:start] + STRONG[end:])
    assert found == "easy/shelf_count.py: the statement has 1 examples. Give 2 to 4."


def test_every_bad_file_is_told_and_the_others_are_checked(tmp_path: Path, cache: Path) -> None:
    write(tmp_path, "def (", "easy/a")
    write(tmp_path, spoiled('ID = "easy/shelf_count"', "ID = 3"), "easy/b")
    found = of_source(tmp_path, cache, spoiled("-> int:", "-> str:", STRONG))
    assert [each.partition(":")[0] for each in found] == [
        "easy/a.py", "easy/b.py", "easy/shelf_count.py",
    ]  # fmt: skip
    assert found[0] == "easy/a.py: line 1: this is no Python: invalid syntax. Correct that line."


def test_names_that_occur_twice_are_found(tmp_path: Path, cache: Path) -> None:
    write(tmp_path, spoiled('"easy/shelf_count"', '"easy/copy"'), "easy/copy")
    assert of_source(tmp_path, cache, STRONG) == [
        "easy/shelf_count: easy/copy has the entry point shelf_count, too. Rename one.",
        "easy/shelf_count: easy/copy has the title Count full shelves, too. Rename one.",
    ]


def test_a_stale_table_is_found(tmp_path: Path, cache: Path) -> None:
    from experiments.problems import table

    (tmp_path / "README.md").write_text(f"All:\n{table.START}\n{table.END}\nbye\n")
    (found,) = of_source(tmp_path, cache, STRONG)
    assert found.startswith("README.md: its table is not that of the files. Type: python -m")
    assert table.write(tmp_path)
    assert of_source(tmp_path, cache, STRONG) == []
    text = (tmp_path / "README.md").read_text()
    assert "| [shelf_count](easy/shelf_count.py) | Count full shelves | arithmetic, lists |" in text
    assert text.endswith(f"{table.END}\nbye\n")
    assert not table.write(tmp_path)


def test_a_readme_without_a_place_for_the_table_is_told(tmp_path: Path) -> None:
    from experiments.problems import table

    write(tmp_path)
    (tmp_path / "README.md").write_text("All of them.")
    with pytest.raises(DatasetError, match=r"no place for their table\. Write the lines"):
        table.write(tmp_path)


# --- overlap


def problem(statement: str, name: str = "f", problem_id: str = "easy/f") -> Problem:
    prompt = f'def {name}(x):\n    """{statement}"""\n'
    return Problem(problem_id, name, prompt, prompt, ((1,),))


WORDS = "one two three four five six seven eight nine ten"


def test_ten_words_in_a_row_are_an_overlap() -> None:
    known = [problem(f"Start. {WORDS}; and more", "known", "HumanEval/1")]
    (found,) = overlaps([problem(f"{WORDS.upper()}, again")], known)
    assert found.where == "easy/f"
    assert found.what == (
        f'HumanEval/1 has these words, too: "{WORDS}". Say it in other words, or take another '
        "problem."
    )
    assert overlaps([problem(WORDS.replace(" ten", " eleven"))], known) == []


def test_the_name_of_a_public_function_is_an_overlap() -> None:
    known = [problem("this", "truncate_number", "HumanEval/2")]
    (found,) = overlaps([problem("that", "Truncate_Number")], known)
    assert found.what.startswith("HumanEval/2 has the entry point Truncate_Number, too.")


def test_overlap_that_cannot_be_checked_is_noted(tmp_path: Path, cache: Path) -> None:
    assert checked(tmp_path, cache, mutation=False).notes == (
        "overlap with humaneval_plus was not checked: it is not on this machine",
        "overlap with mbpp_plus was not checked: it is not on this machine",
    )


# --- what is chosen


def test_problems_are_chosen_by_what_their_ids_begin_with(tmp_path: Path, cache: Path) -> None:
    for name in ("easy/a", "easy/ab", "medium/a"):
        difficulty, _, stem = name.partition("/")
        source = STRONG.replace("easy/shelf_count", name).replace('"easy"', f'"{difficulty}"')
        write(tmp_path, source.replace("shelf_count", stem).replace("Count full", stem), name)

    def chosen(*only: str, **options: int) -> int:
        report = validate(
            str(tmp_path), only=only, mutation=False, workers=1, cache_folder=cache, **options
        )
        return report.problems

    assert chosen("easy/a") == 1
    assert chosen("easy") == chosen("easy/") == 2
    assert chosen("easy/ab.py", "medium") == 2
    assert chosen(limit=2) == 2
    assert chosen(sample=2) == 2
    with pytest.raises(DatasetError, match=r"no problem 'easy/b'\. Did you mean 'easy/ab'"):
        chosen("easy/b")


@pytest.mark.slow
def test_evalplus_sets_are_measured_the_same_way(
    evalplus_data: dict[str, str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    for name, value in evalplus_data.items():
        monkeypatch.setenv(name, value)
    chosen = ["HumanEval/0", "HumanEval/32"]
    report = validate("humaneval_plus", only=chosen, workers=1, cache_folder=cache)
    assert report.ok
    assert [score.problem_id for score in report.scores] == chosen
    assert all(score.killed_by_base > 0.5 * score.mutants for score in report.scores)
    assert all(score.killed >= score.killed_by_base for score in report.scores)


# --- the report


def shown(report: Report, **options: bool) -> str:
    text = io.StringIO()
    show(report, Console(file=text, width=100), **options)
    return text.getvalue()


SCORES = (
    MutationScore("easy/a", 10, 1, 8, 9, (
        Survivor("a.py:3", "`x < [y]` -> `x <= [y]`", True, "always smaller"),
        Survivor("a.py:4", "`x` -> `y`", False),
    )),
    MutationScore("hard/b", 1000, 0, 900, 999, (Survivor("b.py:5", "`left` out", True),)),
)  # fmt: skip


def test_the_report_tells_shares_survivors_and_sums() -> None:
    report = Report("problems", 2, (), SCORES, ("something was left out",))
    text = shown(report)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["easy/a"] == ["easy/a", "10", "1", "88.9", "%", "100", "%"]
    assert rows["hard/b"] == ["hard/b", "1000", "90.0", "%", "99.9", "%", "1"]
    assert rows["all"] == ["all", "1010", "1", "90.0", "%", "99.9", "%", "1"]
    assert rows["easy"][1:] == rows["easy/a"][1:]
    assert "a.py:3: `x < [y]` -> `x <= [y]`\n    always smaller" in text
    assert text.index("b.py:5") < text.index("a.py:3") < text.index("a.py:4")
    assert "note: something was left out" in text
    assert "✓ problems: 2 problems, no findings" in text


def test_the_summary_has_sums_alone() -> None:
    text = shown(Report("problems", 2, (), SCORES), details=False)
    assert "easy/a" not in text
    assert "b.py:5" not in text
    assert "90.0 %" in text


def test_the_command_prints_the_report_and_its_exit_code_tells_of_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine", STRONG)
    arguments = ["validate", "mine", "--no-mutation", "--workers", "1"]
    assert cli.main(arguments) == 0
    assert "✓ mine: 1 problem, no findings" in capsys.readouterr().out
    write(tmp_path / "mine", STRONG.replace("-> int:", "-> str:", 1))
    assert cli.main(arguments) == 1
    assert "✗ mine: 1 problem, 1 finding" in capsys.readouterr().out
    assert cli.main(["validate", "none.jsonl"]) == 1
    assert "error: none.jsonl cannot be read: No such file" in capsys.readouterr().err


def test_a_share_is_never_rounded_up_to_all() -> None:
    report = Report("problems", 1, (), (MutationScore("easy/a", 10_000, 0, 9_999, 9_999),))
    assert "99.9 %" in shown(report)
    assert "100 %" not in shown(report)


def test_findings_come_last(tmp_path: Path) -> None:
    from experiments.problems.validate import Finding

    text = shown(Report("problems", 1, (Finding("easy/a", "it is [wrong]"),), SCORES))
    assert text.rstrip().endswith("✗ easy/a: it is [wrong]\n✗ problems: 1 problem, 1 finding")


@pytest.mark.parametrize(
    ("value", "annotation", "told"),
    [
        (1, "int", ""),
        (True, "int", "True is no int"),
        (True, "bool", ""),
        (1, "bool", "1 is no bool"),
        (1, "float", ""),
        ("a", "float", "'a' is no float"),
        (None, "None", ""),
        (None, "int | None", ""),
        ("a", "int | None", "'a' is no int | None"),
        (None, "Optional[int]", ""),
        (2.5, "Union[int, str]", "2.5 is no Union[int, str]"),
        ([1, "a"], "list[int]", "'a' is no int"),
        ((1,), "list[int]", "(1,) is no list"),
        ((1, "a"), "tuple[int, str]", ""),
        ((1, 2, 3), "tuple[int, int]", "(1, 2, 3) is no tuple[int, int]"),
        ((1, 2, "a"), "tuple[int, ...]", "'a' is no int"),
        ({"a": 1}, "dict[str, int]", ""),
        ({"a": "b"}, "dict[str, int]", "'b' is no int"),
        ({1: 1}, "dict[str, int]", "1 is no str"),
        ({1}, "set[int]", ""),
        ({1}, "frozenset[int]", "{1} is no frozenset"),
        ("b", "Literal['a', 'b']", ""),
        ("c", "Literal['a', 'b']", "'c' is no Literal['a', 'b']"),
        ([1], "Pairs", "1 is no str"),
        ([1], "'list[str]'", "1 is no str"),
        ([1], "Sequence[str]", "1 is no str"),
        (3, "Unknown", ""),
        (list(range(99)), "str", f"{str(list(range(99)))[:57]}... is no str"),
    ],
)
def test_values_are_held_against_annotations(value: object, annotation: str, told: str) -> None:
    import ast

    aliases = {"Pairs": ast.parse("list[str]", mode="eval").body}
    assert mismatch(value, ast.parse(annotation, mode="eval").body, aliases) == told
