"""Equal programs are judged once; a kept verdict is used where nothing that decides it differs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import experiments
from experiments.judge import judge, solutions
from experiments.records import Dataset, Outcome, Problem, Solution, Verdict
from experiments.sandbox import Sandbox
from experiments.schema import Isolation, SandboxConfig

PROBLEM = Problem(
    id="p",
    entry_point="f",
    prompt="def f(x):\n",
    reference="def f(x):\n    return x + 1\n",
    base_inputs=((1,), (2,)),
    extra_inputs=((5,),),
)
SETTINGS = SandboxConfig(workers=2, minimum_cpu_seconds=0.2, memory_megabytes=512)
WRONG = "def f(x): return x"
LOOP = "def f(x):\n    while True: pass"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were run, references among them."""
    programs: list[str] = []
    run = Sandbox.run

    def running(self, program, *arguments, **settings) -> Iterator:
        programs.append(program)
        yield from run(self, program, *arguments, **settings)

    monkeypatch.setattr(Sandbox, "run", running)
    return programs


def judged(
    folder: Path | None,
    *programs: str,
    problem: Problem = PROBLEM,
    hash_seed: int = 0,
    preload: tuple[str, ...] = (),
    **settings,
) -> list[Verdict]:
    samples = [Solution(problem.id, number, program) for number, program in enumerate(programs)]
    data = Dataset("set", "digest", (problem,), preload)
    chosen = replace(SETTINGS, **settings)
    return sorted(judge(samples, data, chosen, folder, hash_seed), key=lambda each: each.sample)


def test_equal_programs_run_once_and_each_sample_has_its_verdict(ran: list[str]) -> None:
    samples = [Solution("p", number, (WRONG, WRONG + "\n")[number % 5 == 0]) for number in range(9)]
    with judge(samples, Dataset("set", "digest", (PROBLEM,)), SETTINGS) as judging:
        found = list(judging)
    assert sorted(ran) == sorted([PROBLEM.reference, WRONG, WRONG + "\n"])
    assert sorted(each.sample for each in found) == list(range(9))
    assert {each.plus for each in found} == {Outcome.WRONG_ANSWER}
    assert (judging.shared, judging.kept) == (7, 0)


def test_equal_programs_of_two_problems_are_judged_apart() -> None:
    other = replace(PROBLEM, id="q", reference=WRONG)
    data = Dataset("set", "digest", (PROBLEM, other))
    found = judge([Solution("p", 0, WRONG), Solution("q", 0, WRONG)], data, SETTINGS)
    outcomes = {each.problem_id: each.plus for each in found}
    assert outcomes == {"p": Outcome.WRONG_ANSWER, "q": Outcome.PASSED}


def test_problems_of_one_content_share_a_verdict_whatever_their_name(ran: list[str]) -> None:
    data = Dataset("set", "digest", (PROBLEM, replace(PROBLEM, id="q")))
    found = list(judge([Solution("p", 3, WRONG), Solution("q", 4, WRONG)], data, SETTINGS))
    assert sorted((each.problem_id, each.sample) for each in found) == [("p", 3), ("q", 4)]
    assert ran.count(WRONG) == 1


def test_a_later_call_runs_nothing_that_was_judged_before(tmp_path: Path, ran: list[str]) -> None:
    first = judged(tmp_path, WRONG, PROBLEM.reference, "", LOOP)
    del ran[:]
    samples = [Solution("p", n, p) for n, p in enumerate((WRONG, PROBLEM.reference, "", LOOP))]
    with judge(samples, Dataset("set", "digest", (PROBLEM,)), SETTINGS, tmp_path) as judging:
        found = sorted(judging, key=lambda each: each.sample)
    assert ran == []
    assert found == first
    assert (judging.kept, judging.shared, judging.retried) == (4, 0, 0)
    assert judged(tmp_path, "x = 1", WRONG)[1].failure == first[0].failure
    assert ran == ["x = 1"]


def test_rejudging_runs_all_anew_and_the_last_verdict_counts(
    tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = judged(tmp_path, WRONG)
    judge_program = solutions.judge_program

    def other(*arguments) -> tuple[Verdict, bool]:
        verdict, is_doubtful = judge_program(*arguments)
        return replace(verdict, cpu_seconds=99.0), is_doubtful

    monkeypatch.setattr(solutions, "judge_program", other)
    del ran[:]
    (anew,) = judged(tmp_path, WRONG, rejudge=True)
    assert ran == [WRONG]
    assert (anew.plus, anew.cpu_seconds) == (first.plus, 99.0)
    assert judged(tmp_path, WRONG) == [anew]
    assert ran == [WRONG]


@pytest.mark.parametrize(
    "change",
    [
        {"minimum_cpu_seconds": 0.3},
        {"reference_factor": 5.0},
        {"memory_megabytes": 256},
        {"total_cpu_seconds": 50.0},
        {"load_cpu_seconds": 5.0},
        {"output_megabytes": 32},
        {"stop_at_first_failure": True},
        {"hash_seed": 1},
        {"preload": ("math",)},
        {"problem": replace(PROBLEM, atol=0.1)},
        {"problem": replace(PROBLEM, comparison="not_none")},
        {"problem": replace(PROBLEM, reference=PROBLEM.reference + "\n")},
        {"problem": replace(PROBLEM, base_inputs=((1,),), extra_inputs=((2,), (5,)))},
        {"problem": replace(PROBLEM, extra_inputs=((6,),))},
    ],
    ids=str,
)
def test_a_kept_verdict_is_not_used_under_other_limits_or_for_another_problem(
    tmp_path: Path, ran: list[str], change: dict
) -> None:
    judged(tmp_path, WRONG)
    del ran[:]
    judged(tmp_path, WRONG, **change)
    assert WRONG in ran


def test_a_kept_verdict_is_not_used_by_another_judge_or_in_another_isolation(
    tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(tmp_path, WRONG, isolation=Isolation.process)
    for name, other in (
        ("_source_digest", lambda: "another judge"),
        ("version", lambda _: "another numpy"),
        ("choose", lambda _: "bubblewrap"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(solutions, name, other)
            patch.setattr(Sandbox, "run", _forbidden)
            with pytest.raises(_RunError):
                judged(tmp_path, WRONG, isolation=Isolation.process)
    assert ran.count(WRONG) == 1


class _RunError(Exception):
    pass


def _forbidden(*_: object, **__: object) -> None:
    raise _RunError


def test_the_key_knows_every_file_of_the_judge_and_the_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: set[Path] = set()
    read_bytes = Path.read_bytes

    def reading(path: Path) -> bytes:
        read.add(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    solutions._source_digest.__wrapped__()
    package = Path(experiments.__path__[0])
    assert read == {*package.glob("judge/**/*.py"), *package.glob("sandbox/**/*.py")}


@pytest.mark.parametrize("change", [{"workers": 1}, {"problem": replace(PROBLEM, id="q")}])
def test_what_decides_no_verdict_is_no_part_of_the_key(
    tmp_path: Path, ran: list[str], change: dict
) -> None:
    judged(tmp_path, WRONG)
    del ran[:]
    judged(tmp_path, WRONG, **change)
    assert ran == []


def flaky(outcomes: list[Outcome], judgements: list[bool]):
    """A judge that is in doubt, and gives one outcome after the other."""
    judge_program = solutions.judge_program

    def judging(*arguments) -> tuple[Verdict, bool]:
        verdict, _ = judge_program(*arguments)
        outcome = outcomes[len(judgements)]
        judgements.append(arguments[-1])
        return replace(verdict, base=outcome, plus=outcome), True

    return judging


def test_a_doubtful_verdict_is_kept_if_a_second_judgement_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, passed = Outcome.TIMED_OUT, Outcome.PASSED
    judgements: list[bool] = []
    outcomes = [late, passed, late, late]
    monkeypatch.setattr(solutions, "judge_program", flaky(outcomes, judgements))
    assert judged(tmp_path, WRONG)[0].plus is passed  # the second one counts, and is not kept
    assert judged(tmp_path, WRONG)[0].plus is late  # both agree
    assert judged(tmp_path, WRONG)[0].plus is late
    assert judgements == [False, True, False, True]


@pytest.mark.parametrize(
    "program",
    [
        LOOP,
        "import os\ndef f(x): os._exit(0)",
        "def f(x): return bytearray(10**11)",
        "def f(x): raise OSError('no threads')",
        "import time\ndef f(x):\n    while time.process_time() < 0.17: pass\n    return x + 1",
    ],
)
def test_what_the_machine_may_have_decided_is_judged_twice(program: str) -> None:
    (found,) = judged(None, program)
    assert found.retried


@pytest.mark.parametrize("program", [PROBLEM.reference, WRONG, "", "1 / 0", "def f(x): return 1/0"])
def test_what_the_program_decides_is_judged_once(program: str) -> None:
    (found,) = judged(None, program)
    assert not found.retried


def test_a_damaged_verdict_is_dropped_with_a_warning_and_judged_again(
    tmp_path: Path, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first = judged(tmp_path, WRONG)
    (path,) = tmp_path.glob("verdicts/*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"wrong_answer", b"passed123456"))
    del ran[:]
    found = judged(tmp_path, WRONG)
    assert ran == [WRONG]
    assert found[0].plus is first[0].plus
    assert "1 damaged entry was dropped" in caplog.text
    assert judged(tmp_path, WRONG) == found


def test_where_nothing_can_be_kept_programs_are_judged_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = Path("/proc/self/nothing")
    assert [each.plus for each in judged(folder, WRONG)] == [Outcome.WRONG_ANSWER]
    assert "Neither verdicts nor outputs of references are kept. " in caplog.text
