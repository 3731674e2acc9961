"""Our 60 problems as a whole: they load, pass every check that is quick, and are listed.

How strong their tests are is measured by `experiments validate problems`.
"""

from collections import Counter
from pathlib import Path

import pytest

from experiments.problems import load_own, table
from experiments.problems.validate import check, validate
from experiments.records import Dataset

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = ROOT / "problems"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def dataset(cache: Path) -> Dataset:
    return load_own(PROBLEMS, cache=cache)


def test_there_are_20_problems_of_each_difficulty(dataset: Dataset) -> None:
    counts = Counter(problem.difficulty for problem in dataset.problems)
    assert counts == {"easy": 20, "medium": 20, "hard": 20}


def test_all_pass_the_quick_checks(
    dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "is_at_hand", lambda name: False)
    report = validate(str(PROBLEMS), mutation=False, workers=2, cache_folder=cache)
    assert [f"{each.where}: {each.what}" for each in report.findings] == []


def test_none_is_taken_from_a_public_set(
    dataset: Dataset, evalplus_data: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.problems import load_evalplus
    from experiments.problems.validate.overlap import overlaps

    for name, value in evalplus_data.items():
        monkeypatch.setenv(name, value)
    known = [problem for name in ("humaneval", "mbpp") for problem in load_evalplus(name).problems]
    assert overlaps(dataset.problems, known) == []


def test_the_table_of_problems_is_that_of_the_files() -> None:
    assert not table.is_stale(PROBLEMS), "type: python -m experiments.problems problems"


def test_each_problem_is_in_the_table() -> None:
    text = (PROBLEMS / "README.md").read_text(encoding="utf-8")
    for path in PROBLEMS.glob("*/*.py"):
        assert f"({path.parent.name}/{path.name})" in text
