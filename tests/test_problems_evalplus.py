"""EvalPlus's sets: what is read of them, and what is said where they cannot be."""

import ast
import gzip
import json
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from experiments.errors import DatasetError
from experiments.judge import COMPARISONS
from experiments.problems import load_evalplus
from experiments.problems.evalplus_sets import is_at_hand
from experiments.records import Dataset, Problem


@pytest.fixture(scope="module")
def sets(evalplus_data: dict[str, str]) -> dict[str, Dataset]:
    """All four sets."""
    before = dict(os.environ)
    os.environ.update(evalplus_data)
    try:
        return {
            name: load_evalplus(name)
            for name in ("humaneval", "humaneval_plus", "mbpp", "mbpp_plus")
        }
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def problems(sets: dict[str, Dataset]) -> dict[str, Problem]:
    """The problems of both plus sets by id."""
    both = (*sets["humaneval_plus"].problems, *sets["mbpp_plus"].problems)
    return {problem.id: problem for problem in both}


def test_all_problems_are_there(sets: dict[str, Dataset]) -> None:
    assert {name: len(each.problems) for name, each in sets.items()} == {
        "humaneval": 164, "humaneval_plus": 164, "mbpp": 378, "mbpp_plus": 378,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_base_and_plus_differ_in_their_extra_inputs_alone(
    sets: dict[str, Dataset], name: str
) -> None:
    base, plus = sets[name], sets[f"{name}_plus"]
    for one, other in zip(base.problems, plus.problems, strict=True):
        assert (one.id, one.prompt, one.reference) == (other.id, other.prompt, other.reference)
        assert one.base_inputs == other.base_inputs
        assert one.base_inputs
        assert one.extra_inputs == ()
    assert sum(bool(each.extra_inputs) for each in plus.problems) > 0.99 * len(plus.problems)
    assert base.digest != plus.digest


def test_each_set_has_a_digest_of_its_own(sets: dict[str, Dataset]) -> None:
    assert len({each.digest for each in sets.values()}) == 4


def test_prompts_are_signatures_with_a_statement(problems: dict[str, Problem]) -> None:
    for problem in problems.values():
        functions = [
            node
            for node in ast.parse(problem.prompt).body
            if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point
        ]
        assert len(functions) == 1
        assert problem.prompt.endswith("\n")
        body = functions[0].body
        assert len(body) == 1
        assert ast.get_docstring(functions[0]) or problem.id.startswith("HumanEval/")


def test_references_are_programs_that_define_the_entry_point(
    problems: dict[str, Problem],
) -> None:
    for problem in problems.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some have "\d" in plain strings
            tree = ast.parse(problem.reference)
        assert problem.entry_point in {getattr(node, "name", "") for node in tree.body}


def test_the_statement_of_mbpp_is_kept_to_the_letter(problems: dict[str, Problem]) -> None:
    assert problems["Mbpp/3"].prompt == (
        "def is_not_prime(n):\n"
        '    """Write a python function to identify non-prime numbers.\n'
        "    assert is_not_prime(2) == False\n"
        '    """\n'
    )


def test_inputs_of_mbpp_have_their_own_types(problems: dict[str, Problem]) -> None:
    assert problems["Mbpp/2"].base_inputs[0] == ((3, 4, 5, 6), (5, 7, 4, 10))
    assert problems["Mbpp/252"].base_inputs[0] == (1j,) or isinstance(
        problems["Mbpp/252"].base_inputs[0][0], complex
    )
    for problem in problems.values():
        for inputs in (problem.base_inputs, problem.extra_inputs):
            assert all(isinstance(arguments, tuple) for arguments in inputs)


def test_comparisons_are_those_that_the_judge_has_for_the_tasks(
    problems: dict[str, Problem],
) -> None:
    for comparison, tasks in COMPARISONS.items():
        chosen = {each.id for each in problems.values() if each.comparison == comparison}
        if comparison not in ("equal", "not_none"):
            assert chosen == set(tasks) & set(problems)
    assert {each.comparison for each in problems.values()} <= set(COMPARISONS)
    chosen = {each.entry_point for each in problems.values() if each.comparison == "not_none"}
    assert chosen == {"check_str", "text_match_three", "text_starta_endb"} & {
        each.entry_point for each in problems.values()
    }


def test_tolerances_are_kept(problems: dict[str, Problem]) -> None:
    assert problems["HumanEval/32"].atol == 1e-4
    assert problems["HumanEval/0"].atol == 0


def test_what_references_import_is_loaded_beforehand(sets: dict[str, Dataset]) -> None:
    assert "typing" in sets["humaneval"].preload
    assert {"math", "re"} <= set(sets["mbpp"].preload)


def test_what_runs_models_stays_out(evalplus_data: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "from experiments.problems import load_evalplus\n"
        "load_evalplus('humaneval')\n"
        "print([name for name in ('torch', 'transformers', 'vllm')"
        " if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **evalplus_data},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.strip() == "[]"


# --- mistakes


def test_an_unknown_set() -> None:
    with pytest.raises(DatasetError, match=r"no data set 'human_eval'\. Did you mean 'humaneval'"):
        load_evalplus("human_eval")


def test_a_named_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tmp_path / "nothing.jsonl"))
    with pytest.raises(DatasetError) as caught:
        load_evalplus("humaneval_plus")
    assert str(caught.value) == (
        f"HUMANEVAL_OVERRIDE_PATH names {tmp_path}/nothing.jsonl, which cannot be read: No such "
        "file or directory. Name the unpacked .jsonl file, or unset it to have evalplus download "
        "the data."
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b'{"task_id": "HumanEval/0"}', b'{"id": 3}', b"\xff\xfe", b"[1]",
     gzip.compress(b"{}", mtime=0)],
)  # fmt: skip
def test_a_named_file_that_is_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "other.jsonl").write_bytes(content)
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(tmp_path / "other.jsonl"))
    with pytest.raises(DatasetError) as caught:
        load_evalplus("mbpp")
    text = str(caught.value)
    assert text.startswith(
        f"MBPP_OVERRIDE_PATH names {tmp_path}/other.jsonl, which is no file of the tasks Mbpp/*: "
    )
    assert text.endswith("/releases and unpack it.")


def test_the_file_of_another_set(
    evalplus_data: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", evalplus_data["HUMANEVAL_OVERRIDE_PATH"])
    with pytest.raises(DatasetError, match=r"which is no file of the tasks Mbpp/\*"):
        load_evalplus("mbpp_plus")


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has no data, as evalplus sees it; the folder that it keeps them in."""
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tmp_path / "nothing.jsonl"))
    with pytest.raises(DatasetError):
        load_evalplus("humaneval")  # imports evalplus
    monkeypatch.delenv("HUMANEVAL_OVERRIDE_PATH")
    monkeypatch.setattr(sys.modules["evalplus.data.utils"], "CACHE_DIR", str(tmp_path))
    return tmp_path


def test_no_network_and_no_file(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    with pytest.raises(DatasetError) as caught:
        load_evalplus("humaneval")
    assert str(caught.value) == (
        "The tasks HumanEval/* are not on this machine and cannot be downloaded ([Errno -2] Name "
        "or service not known). Connect to a network; or fetch the .jsonl.gz from "
        "https://github.com/evalplus/humanevalplus_release/releases, unpack it and set "
        "HUMANEVAL_OVERRIDE_PATH to the file."
    )
    assert socket.getdefaulttimeout() is None


def test_a_download_that_ended_half_way(no_data: Path) -> None:
    (no_data / "HumanEvalPlus-v0.1.10.jsonl").write_text('{"task_id": "Hu')
    with pytest.raises(DatasetError) as caught:
        load_evalplus("humaneval")
    assert f"The tasks HumanEval/* in {no_data} are damaged" in str(caught.value)
    assert str(caught.value).endswith("Remove that folder; evalplus downloads it again.")


def test_a_set_is_at_hand_where_its_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for variable in ("HUMANEVAL_OVERRIDE_PATH", "MBPP_OVERRIDE_PATH"):
        monkeypatch.delenv(variable, raising=False)
    assert not is_at_hand("humaneval_plus")
    (tmp_path / "evalplus").mkdir()
    (tmp_path / "evalplus" / "HumanEvalPlus-v0.1.10.jsonl").write_text(json.dumps({}))
    assert is_at_hand("humaneval")
    assert not is_at_hand("mbpp")
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", "somewhere")
    assert is_at_hand("mbpp")
