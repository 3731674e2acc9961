"""The judge beside EvalPlus's own, on the same programs, both on two workers.

    python benchmarks/judge.py                      the table (a quiet machine, 5 to 10 minutes)
    python benchmarks/judge.py --conformance 5000   where the two disagree on mutants

Needs HUMANEVAL_OVERRIDE_PATH and MBPP_OVERRIDE_PATH, or the data sets in evalplus's cache, or
the archives in `../shared/data`. EvalPlus gets its ground truth ready-made, as ours does.

What is compared
    references      the reference solutions of HumanEval+. The floor is their own run time in
                    one process, on two cores: half of it.
    mutants         800 single-change mutants of them, both stopping at the first failure.
    small           a short correct program on 4 base and 4 extra tests: overhead is all.
    memory          growth of this process over 10,000 small programs.
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
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARCHIVES = ROOT.parent / "shared" / "data"
CACHE = ROOT / "outputs" / "cache"
WORKERS = 2


def main() -> None:
    """Measure, or compare verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--conformance", type=int, metavar="PROGRAMS", default=0)
    parser.add_argument(
        "--dataset", choices=("humaneval_plus", "mbpp_plus"), help="conformance on one set only"
    )
    parser.add_argument("--out", type=Path, help="file for the differences, as JSON lines")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--only", choices=("references", "mutants", "small", "memory"))
    parser.add_argument("--without-evalplus", action="store_true", help="measure ours only")
    chosen = parser.parse_args()
    _find_data()
    sys.path.insert(0, str(ROOT / "src"))
    if chosen.conformance:
        names = (chosen.dataset,) if chosen.dataset else ("humaneval_plus", "mbpp_plus")
        conformance(names, chosen.conformance, chosen.seed, chosen.out)
    else:
        table(chosen.only, chosen.seed, not chosen.without_evalplus)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Leaves the description as it is written."""


def table(only: str | None, seed: int, with_evalplus: bool) -> None:
    """Print what both take."""
    from experiments.problems import load_evalplus
    from experiments.records import Dataset, Problem

    data = load_evalplus("humaneval_plus")
    references = [(problem, problem.reference) for problem in data.problems]
    small = Problem(
        id="small/0",
        entry_point="larger",
        prompt="def larger(a, b):\n",
        reference="def larger(a, b):\n    return a if a > b else b\n",
        base_inputs=tuple((a, 2) for a in range(4)),
        extra_inputs=tuple((a, 20) for a in range(18, 22)),
    )
    tiny = Dataset("small", "small", (small,))
    rows = []
    if only in (None, "references"):
        floor = _floor(data) / WORKERS
        print(f"floor of the references: {floor:.1f} s on {WORKERS} workers", flush=True)
        rows.append(("references", data, references, False, floor))
    if only in (None, "mutants"):
        rows.append(("mutants", data, _mutants(data, 800, seed), True, None))
    if only in (None, "small"):
        rows.append(("small", tiny, [(small, small.reference)] * 2000, False, None))
    print(f"{'':12}{'programs':>9}{'ours':>10}{'each':>10}{'EvalPlus':>10}{'each':>10}{'ratio':>8}")
    for name, dataset, programs, stop, floor_seconds in rows:
        ours = _ours(dataset, programs, stop)
        line = f"{name:12}{len(programs):9}{ours:9.1f}s{1000 * ours / len(programs):8.1f}ms"
        if with_evalplus:
            # EvalPlus is slow on small programs: fewer of them say as much
            fewer = programs[:200] if name == "small" else programs
            theirs = _evalplus(dataset, fewer, stop)
            each, our_each = theirs / len(fewer), ours / len(programs)
            line += f"{theirs:9.1f}s{1000 * each:8.1f}ms{our_each / each:8.2f}"
        if floor_seconds:
            line += f"   ours / floor: {ours / floor_seconds:.2f}"
        print(line, flush=True)
    if only in (None, "memory"):
        _memory(tiny, small)


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


def _floor(data: Any) -> float:
    """CPU seconds of the references on all inputs, in one process, without any judge."""
    total = 0.0
    for problem in data.problems:
        space: dict[str, Any] = {}
        exec(problem.reference, space)
        inputs = deepcopy([*problem.base_inputs, *problem.extra_inputs])
        started = time.process_time()
        for arguments in inputs:
            space[problem.entry_point](*arguments)
        total += time.process_time() - started
    return total


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


def _judging(data: Any, programs: Sequence[tuple[Any, str]], stop: bool) -> Any:
    from experiments.judge import judge
    from experiments.records import Solution
    from experiments.schema import SandboxConfig

    settings = SandboxConfig(workers=WORKERS, stop_at_first_failure=stop)
    solutions = [Solution(p.id, number, source) for number, (p, source) in enumerate(programs)]
    return judge(solutions, data, settings, CACHE)


def _ours(data: Any, programs: Sequence[tuple[Any, str]], stop: bool) -> float:
    """Seconds of wall time, ground truth cached."""
    wanted = {problem.id for problem, _ in programs}
    used = [problem for problem in data.problems if problem.id in wanted]
    for _ in _judging(data, [(problem, "") for problem in used], stop):
        pass
    started = time.perf_counter()
    judging = _judging(data, programs, stop)
    outcomes = Counter(verdict.plus.value for verdict in judging)
    seconds = time.perf_counter() - started
    print(f"    {dict(outcomes)}, {judging.retried} judged again", flush=True)
    return seconds


def _our_verdicts(data: Any, programs: Sequence[tuple[Any, str]], stop: bool) -> list[Any]:
    """Return whether base tests and extra tests pass, by program."""
    found = {
        verdict.sample: (
            verdict.base_passed == verdict.base_total,
            verdict.extra_passed == verdict.extra_total,
        )
        for verdict in _judging(data, programs, stop)
    }
    return [found[number] for number in range(len(programs))]


def _evalplus(data: Any, programs: Sequence[tuple[Any, str]], stop: bool) -> float:
    list(_evalplus_verdicts(data, programs[:2], stop))
    started = time.perf_counter()
    list(_evalplus_verdicts(data, programs, stop))
    return time.perf_counter() - started


def _evalplus_verdicts(
    data: Any, programs: Sequence[tuple[Any, str]], stop: bool
) -> Iterator[tuple[bool, bool]]:
    """What EvalPlus's workers do for each program: the base tests, then the extra ones."""
    kept = CACHE / "evalplus" / f"{data.name}-{data.digest[:16]}.pickle"
    wanted = {problem.id: problem for problem, _ in programs}
    expected: dict[str, Any] = {}
    if kept.exists():
        expected = pickle.loads(kept.read_bytes())
    for problem in wanted.values():
        if problem.id not in expected:
            expected[problem.id] = _evalplus_truth(problem)
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


def _evalplus_truth(problem: Any) -> Any:
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


def _memory(tiny: Any, small: Any) -> None:
    """Growth over 10,000 programs, some of them wrong, after 500 to warm up."""
    programs = [small.reference, small.reference.replace(">", "<"), "def larger(a, b):\n    1 / 0"]

    def some(count: int) -> Iterable[tuple[Any, str]]:
        return [(small, programs[number % len(programs)]) for number in range(count)]

    for _ in _judging(tiny, list(some(500)), False):
        pass
    before = _resident()
    started = time.perf_counter()
    most = 0.0
    for number, _ in enumerate(_judging(tiny, list(some(10_000)), False)):
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
