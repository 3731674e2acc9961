"""The hard problems were solved twice, independently: both solutions agree on every input.

A mistake in a reference would become what is expected. A second solution, written from the
statement in another way, makes the same mistake hardly ever.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.judge import judge
from experiments.problems import load_problem, problem_files
from experiments.records import Dataset, Outcome, Solution, Verdict
from experiments.schema import SandboxConfig

ROOT = Path(__file__).resolve().parent.parent
SECOND = ROOT / "tests" / "second_solutions"
HARD = {path.stem: path for path in problem_files(ROOT / "problems") if path.parent.name == "hard"}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    folder = tmp_path_factory.mktemp("second_solutions")
    problems = tuple(load_problem(path, cache=folder) for path in HARD.values())

    def solutions() -> Iterator[Solution]:
        for problem, name in zip(problems, HARD, strict=True):
            path = SECOND / f"{name}.py"
            if path.exists():
                yield Solution(problem.id, 0, path.read_text(encoding="utf-8"))

    dataset = Dataset("hard", "", problems)
    found = judge(solutions(), dataset, SandboxConfig(workers=2), folder)
    return {verdict.problem_id: verdict for verdict in found}


@pytest.mark.parametrize("name", HARD)
def test_a_second_solution_agrees_with_the_reference_on_all_inputs(
    name: str, verdicts: dict[str, Verdict]
) -> None:
    assert f"hard/{name}" in verdicts, f"write tests/second_solutions/{name}.py"
    verdict = verdicts[f"hard/{name}"]
    assert verdict.failure is None
    assert verdict.base == verdict.plus == Outcome.PASSED
    assert verdict.base_passed + verdict.extra_passed >= 105


def test_every_second_solution_is_of_a_hard_problem() -> None:
    assert {path.stem for path in SECOND.glob("*.py")} == set(HARD)
