"""The judge beside EvalPlus's own, on the same programs, both on two workers.

    python benchmarks/judge.py                      the table (a quiet machine, 15 minutes)
    python benchmarks/judge.py --only answers --programs 300
    python benchmarks/judge.py --conformance 5000   where the two disagree on mutants

Needs HUMANEVAL_OVERRIDE_PATH and MBPP_OVERRIDE_PATH, or the data sets in evalplus's cache, or
the archives in `../shared/data`. EvalPlus gets its ground truth ready-made, as ours does.

What is compared
    references      the reference solutions of HumanEval+ on all inputs.
    mutants         800 single-change mutants of them, both stopping at the first failure.
    small           a short correct program on 4 base and 4 extra tests: overhead is all.
    answers         1,230 programs as models write them: many equal, many right, some wrong, some
                    that never end or end on some inputs only. Ours stops at the first failure
                    in one row, and is given all inputs in another; EvalPlus stops in both.
    memory          growth of this process over 10,000 small programs.

Columns: how many programs, how many of them different; wall time, of one program, of EvalPlus,
EvalPlus's over ours; and ours over half of the CPU time of the different programs (two workers),
where those that were judged twice count twice.
"""

import argparse
import gzip
import json
import os
import pickle
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARCHIVES = ROOT.parent / "shared" / "data"
CACHE = ROOT / "outputs" / "cache" / "benchmarks"
WORKERS = 2
Programs = Sequence[tuple[Any, str]]
LAST = "    return _inner(*values)\n"
CASES = ("references", "mutants", "small", "answers", "memory")


def main() -> None:
    """Measure, or compare verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--conformance", type=int, metavar="PROGRAMS", default=0)
    parser.add_argument(
        "--dataset", choices=("humaneval_plus", "mbpp_plus"), help="conformance on one set only"
    )
    parser.add_argument("--out", type=Path, help="file for the differences, as JSON lines")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--programs", type=int, help="at most so many per case")
    parser.add_argument("--without-evalplus", action="store_true", help="measure ours only")
    chosen = parser.parse_args()
    _find_data()
    sys.path.insert(0, str(ROOT / "src"))
    if chosen.conformance:
        names = (chosen.dataset,) if chosen.dataset else ("humaneval_plus", "mbpp_plus")
        conformance(names, chosen.conformance, chosen.seed, chosen.out)
    else:
        for name in (chosen.only,) if chosen.only else CASES:
            measure(name, chosen.seed, chosen.programs, not chosen.without_evalplus)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Leaves the description as it is written."""


def measure(case: str, seed: int, most: int | None, with_evalplus: bool) -> None:
    """Print what both take for one case."""
    from experiments.problems import load_evalplus

    if case == "memory":
        _memory(_small())
        return
    data = _small() if case == "small" else load_evalplus("humaneval_plus")
    programs = {
        "references": lambda: [(problem, problem.reference) for problem in data.problems],
        "mutants": lambda: _mutants(data, 800, seed),
        "small": lambda: list(_different(data, 500)),
        "answers": lambda: _answers(data, 1230, seed),
    }[case]()[:most]
    different = len({(problem.id, program) for problem, program in programs})
    evalplus_stops = case in ("mutants", "answers")
    theirs = _evalplus(data, programs, evalplus_stops) if with_evalplus else 0.0
    for stop in (True, False) if case == "answers" else (evalplus_stops,):
        ours, cpu_seconds, outcomes = _ours(data, programs, stop)
        print(
            f"{case:11}{'stopping' if stop else 'all inputs':11}{len(programs):6}{different:6}"
            f"{ours:8.1f} s{1e3 * ours / different:7.1f} ms  EvalPlus{theirs:7.1f} s"
            f"{theirs / ours:6.2f} times  over CPU time {WORKERS * ours / cpu_seconds:.2f}"
            f"  {outcomes}",
            flush=True,
        )


def _small() -> Any:
    from experiments.records import Dataset, Problem

    problem = Problem(
        id="small/0",
        entry_point="larger",
        prompt="def larger(a, b):\n",
        reference="def larger(a, b):\n    return a if a > b else b\n",
        base_inputs=tuple((a, 2) for a in range(4)),
        extra_inputs=tuple((a, 20) for a in range(18, 22)),
    )
    return Dataset("small", "small", (problem,))


def _different(data: Any, count: int, *programs: str) -> Iterator[tuple[Any, str]]:
    """Yield programs that are equal but for their last line, the reference if none is given."""
    (problem,) = data.problems
    programs = programs or (problem.reference,)
    for number in range(count):
        yield problem, f"{programs[number % len(programs)]}\n# {number}\n"


def _answers(data: Any, count: int, seed: int) -> Programs:
    """Return programs as models write them, drawn at random but always the same."""
    choice = random.Random(seed)
    mutants: dict[str, list[str]] = {}
    for problem, program in _mutants(data, 3 * len(data.problems), seed):
        mutants.setdefault(problem.id, []).append(program)
    found = []
    for _ in range(count):
        problem = choice.choice(data.problems)
        header = f"def {problem.entry_point}(*values):\n"
        some = f"    if zlib.crc32(repr(values).encode()) % 7 == 0:\n        {{}}\n{LAST}"
        inner = f"import zlib\n{problem.reference}\n_inner = {problem.entry_point}\n{header}"
        kinds = {
            problem.reference: 50,
            choice.choice(mutants.get(problem.id, [problem.reference])): 32,
            f"{header}    return None\n": 6,
            f"{header}    return values[0].nothing\n": 4,
            "Here is the function:\n": 4,
            f"{header}    while True:\n        pass\n": 0.6,
            inner + some.format("while True: pass"): 0.6,
            inner + some.format("for _ in range(10**6): pass"): 0.3,
        }
        found.append((problem, choice.choices(list(kinds), list(kinds.values()))[0]))
    return found


def conformance(names: Sequence[str], count: int, seed: int, out: Path | None) -> None:
    """Judge mutants with both and print where base or extra verdicts differ.

    A difference is looked at twice more, one program at a time, since EvalPlus's verdicts
    depend on how busy the machine is; only what stays is told.
    """
    from experiments.problems import load_evalplus

    differences = []
    for name in names:
        data = load_evalplus(name)
        programs = [(problem, problem.reference) for problem in data.problems]
        programs += _mutants(data, count // len(names), seed)
        ours = _our_verdicts(data, programs, False)
        theirs = list(_evalplus_verdicts(data, programs, True))
        verdicts = Counter(zip(ours, theirs, strict=True))
        print(f"{name}: {len(programs)} programs; (base, extra) ours and EvalPlus's:", flush=True)
        for (one, other), times in sorted(verdicts.items()):
            print(f"    {one} {other}: {times}")
        for (problem, program), one, other in zip(programs, ours, theirs, strict=True):
            for _ in range(2):
                if one != other:
                    one = _our_verdicts(data, [(problem, program)], False)[0]
                    other = next(_evalplus_verdicts(data, [(problem, program)], True))
            if one != other:
                change = _difference(problem.reference, program)
                found = {"problem": problem.id, "ours": one, "evalplus": other, "change": change}
                differences.append(found)
                print("   ", json.dumps(found), flush=True)
    if out is not None:
        out.write_text("".join(json.dumps(each) + "\n" for each in differences))
    print(f"{len(differences)} differences remain")


def _mutants(data: Any, count: int, seed: int) -> list[tuple[Any, str]]:
    """Return mutants, as evenly spread over the problems as their numbers allow."""
    from experiments.problems.validate.mutation import mutants

    choice = random.Random(seed)
    per_problem = []
    for problem in data.problems:
        found = [(problem, each.source) for each in mutants(problem.reference, problem.entry_point)]
        choice.shuffle(found)
        per_problem.append(found)
    chosen: list[tuple[Any, str]] = []
    rank = 0
    while len(chosen) < count and any(len(found) > rank for found in per_problem):
        chosen += [found[rank] for found in per_problem if len(found) > rank]
        rank += 1
    return chosen[:count]


def _judging(data: Any, programs: Programs, stop: bool) -> Any:
    from experiments.judge import judge
    from experiments.records import Solution
    from experiments.schema import SandboxConfig

    settings = SandboxConfig(workers=WORKERS, stop_at_first_failure=stop, rejudge=True)
    solutions = [Solution(p.id, number, source) for number, (p, source) in enumerate(programs)]
    return judge(solutions, data, settings, CACHE)


def _ours(data: Any, programs: Programs, stop: bool) -> tuple[float, float, dict[str, int]]:
    """Return seconds of wall time, CPU seconds of the different programs, and outcomes.

    Outputs of the references are at hand.
    """
    for _ in _judging(data, [(problem, "") for problem in data.problems], stop):
        pass
    started = time.perf_counter()
    verdicts = list(_judging(data, programs, stop))
    seconds = time.perf_counter() - started
    different = {(each.problem_id, programs[each.sample][1]): each for each in verdicts}.values()
    cpu_seconds = sum(each.cpu_seconds * (1 + each.retried) for each in different)
    return seconds, cpu_seconds, dict(Counter(each.plus.value for each in verdicts))


def _our_verdicts(data: Any, programs: Programs, stop: bool) -> list[Any]:
    """Return whether base tests and extra tests pass, by program."""
    found = {
        verdict.sample: (
            verdict.base_passed == verdict.base_total,
            verdict.extra_passed == verdict.extra_total,
        )
        for verdict in _judging(data, programs, stop)
    }
    return [found[number] for number in range(len(programs))]


def _evalplus(data: Any, programs: Programs, stop: bool) -> float:
    list(_evalplus_verdicts(data, programs[:2], stop))
    started = time.perf_counter()
    list(_evalplus_verdicts(data, programs, stop))
    return time.perf_counter() - started


def _evalplus_verdicts(data: Any, programs: Programs, stop: bool) -> Iterator[tuple[bool, bool]]:
    """What EvalPlus's workers do for each program: the base tests, then the extra ones."""
    kept = CACHE / "evalplus" / f"{data.name}-{data.digest[:16]}.pickle"
    wanted = {problem.id: problem for problem, _ in programs}
    expected: dict[str, Any] = {}
    if kept.exists():
        expected = pickle.loads(kept.read_bytes())
    for problem in wanted.values():
        if problem.id not in expected:
            expected[problem.id] = _evalplus_expected(problem)
    kept.parent.mkdir(parents=True, exist_ok=True)
    if len(wanted) == len(data.problems):
        kept.write_bytes(pickle.dumps(expected))
    name = data.name.removesuffix("_plus")
    with ProcessPoolExecutor(WORKERS) as pool:
        jobs = [
            pool.submit(_evalplus_check, name, problem, program, expected[problem.id], stop)
            for problem, program in programs
        ]
        for job in jobs:
            yield job.result()


def _evalplus_expected(problem: Any) -> Any:
    from evalplus.gen.util import trusted_exec

    not_none = problem.comparison == "not_none"
    return [
        trusted_exec(problem.reference, inputs, problem.entry_point, True, not_none)
        if inputs
        else ([], [])
        for inputs in (problem.base_inputs, problem.extra_inputs)
    ]


def _evalplus_check(
    name: str, problem: Any, program: str, expected: Any, stop: bool
) -> tuple[bool, bool]:
    from evalplus.eval import PASS, untrusted_check

    found = []
    inputs = (problem.base_inputs, problem.extra_inputs)
    for arguments, (outputs, seconds) in zip(inputs, expected, strict=True):
        status, _ = untrusted_check(
            name,
            program,
            deepcopy(list(arguments)),
            problem.entry_point,
            outputs,
            problem.atol,
            seconds,
            fast_check=stop,
        )
        found.append(status == PASS)
    return found[0], found[1]


def _memory(small: Any) -> None:
    """Print the growth over 10,000 programs, some of them wrong, after 500 to warm up."""
    (problem,) = small.problems
    wrong = (problem.reference.replace(">", "<"), "def larger(a, b):\n    1 / 0")
    kinds = (problem.reference, *wrong)
    for _ in _judging(small, list(_different(small, 500, *kinds)), False):
        pass
    before = _resident()
    started = time.perf_counter()
    most = 0.0
    for number, _ in enumerate(_judging(small, list(_different(small, 10_000, *kinds)), False)):
        if number % 500 == 0:
            most = max(most, _resident())
    seconds = time.perf_counter() - started
    print(f"memory: 10,000 programs grow this process by {most - before:.1f} MB ({seconds:.0f} s)")


def _resident() -> float:
    """Megabytes of this process in memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return pages * resource.getpagesize() / 1e6


def _difference(reference: str, program: str) -> str:
    """Return the lines that a mutant has and the reference has not."""
    if reference == program:
        return "(the reference)"
    known = {line.strip() for line in reference.splitlines()}
    return " | ".join(line.strip() for line in program.splitlines() if line.strip() not in known)[
        :200
    ]


def _find_data() -> None:
    """Point evalplus at unpacked archives beside the project, if it is pointed nowhere."""
    names = {"HUMANEVAL_OVERRIDE_PATH": "HumanEvalPlus", "MBPP_OVERRIDE_PATH": "MbppPlus"}
    for variable, name in names.items():
        archive = ARCHIVES / f"{name}.jsonl.gz"
        if variable in os.environ or not archive.exists():
            continue
        unpacked = Path(tempfile.gettempdir(), f"experiments-benchmark-{name}.jsonl")
        unpacked.write_bytes(gzip.decompress(archive.read_bytes()))
        os.environ[variable] = str(unpacked)


if __name__ == "__main__":
    main()
