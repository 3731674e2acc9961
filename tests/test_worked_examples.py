"""Worked examples in prompts: right, and outside every data set that is asked."""

import doctest
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from experiments.problems import load_evalplus, load_own
from experiments.problems.validate.overlap import overlaps
from experiments.records import Problem

FILES = [
    path
    for path in sorted((ROOT / "conf" / "prompt").glob("*.yaml"))
    if ">>>" in path.read_text(encoding="utf-8")
]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(path: Path) -> list[str]:
    """The code that a strategy shows, without the problem that is asked."""
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(config, dict)
    found = [block for block in BLOCK.findall(config["user"]) if "{{" not in block]
    base, _, _ = config["completion"].partition("{{ problem.prompt")
    return [*found, base]


def names(path: Path) -> set[str]:
    return {name for block in blocks(path) for name in re.findall(r"^def (\w+)", block, re.M)}


def test_some_strategies_show_worked_examples() -> None:
    assert {path.stem for path in FILES} == {"few_shot", "cot_few_shot", "paper_cot"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_shown_as_an_answer_is_right(path: Path) -> None:
    programs = [block for block in blocks(path) if "return " in block.split('"""')[-1]]
    checked = 0
    for program in programs:
        scope: dict[str, object] = {}
        exec(compile(program, str(path), "exec"), scope)
        for name in set(re.findall(r"^def (\w+)", program, re.M)):
            shown = next(b for b in blocks(path) if ">>>" in b and f"def {name}(" in b)
            examples = shown.split('"""')[1]
            parsed = doctest.DocTestParser().get_doctest(examples, scope, name, None, None)
            result = doctest.DocTestRunner(verbose=False).run(parsed, clear_globs=False)
            assert result.attempted > 0
            assert result.failed == 0
            checked += 1
    assert checked >= len(names(path))


def shown_problems() -> list[Problem]:
    """The worked examples, as problems that nobody asks."""
    return [
        Problem(f"{path.stem}/{name}", name, block, "", ())
        for path in FILES
        for block in blocks(path)
        for name in re.findall(r"^def (\w+)", block, re.M)
    ]


def test_they_are_in_none_of_our_problems() -> None:
    assert overlaps(shown_problems(), load_own(ROOT / "problems").problems) == []


def test_they_are_in_no_public_data_set(
    evalplus_data: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, path in evalplus_data.items():
        monkeypatch.setenv(name, path)
    public = [
        problem
        for name in ("humaneval_plus", "mbpp_plus")
        for problem in load_evalplus(name).problems
    ]
    assert len(public) > 400
    assert overlaps(shown_problems(), public) == []
    assert overlaps([replace(public[0], id="copied", entry_point="other")], public)
