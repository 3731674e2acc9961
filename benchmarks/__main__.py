"""All benchmarks that have a peer or a limit, one after the other, and docs/performance.md.

    python benchmarks full      everything, an hour on a quiet machine (`make bench`)
    python benchmarks quick     the same tables of less, in five minutes (`make bench-quick`)
    python benchmarks quick --only judging generating

Each part is a script of this folder, whose own help says what is measured. What a part prints
goes to the page as it is, with the command that prints it. Close other programs first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
SIZES = ("full", "quick", "smoke")


@dataclass(frozen=True)
class Part:
    """Some commands that answer one question.

    Attributes:
        name: by which it is asked for.
        title: of its section.
        beside: what the figures are compared with.
        commands: by size, the arguments of each script.
    """

    name: str
    title: str
    beside: str
    commands: dict[str, Sequence[str]]


PARTS = (
    Part(
        "judging",
        "Judging",
        "EvalPlus's own judge, on the same programs and with as many workers. A row has the number "
        "of programs, how many of them differ, our wall time, that of one program, EvalPlus's wall "
        "time, and its ratio to ours. The last figure is our wall time over half of the programs' "
        "own CPU time: 1 is the limit of two workers.",
        {
            "full": ("judge.py",),
            "quick": (
                "judge.py --only references --programs 40",
                "judge.py --only small --programs 200",
                "judge.py --only answers --programs 150",
            ),
            "smoke": ("judge.py --only small --programs 4",),
        },
    ),
    Part(
        "generating",
        "Generating",
        "`Llama.create_completion` in a loop (end to end), and bare calls of `llama_decode` on the "
        "same batches (decoding), which is the limit that the machine sets. Figures are tokens per "
        "second, of models with random weights.",
        {
            "full": ("generation.py",),
            "quick": ("generation.py medium --prompts 16 --new-tokens 96",),
            "smoke": ("generation.py demo --prompts 2 --new-tokens 4",),
        },
    ),
    Part(
        "tracking",
        "Tracking",
        "the same run without MLflow, in pairs; for a run of seconds also a process that does "
        "nothing but log the same.",
        {
            "full": ("tracking.py large", "tracking.py demo"),
            "quick": ("tracking.py demo --repeats 3 --limit 30",),
            "smoke": ("tracking.py demo --repeats 1 --limit 2",),
        },
    ),
    Part(
        "starting",
        "Starting",
        "what Hydra, argparse and llama-cpp-python take alone.",
        {
            "full": ("startup.py",),
            "quick": ("startup.py --repeats 3",),
            "smoke": ("startup.py --repeats 1",),
        },
    ),
)


def main() -> int:
    """Run what was asked for, print it, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=SIZES, help="smoke only tells whether all of them work")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART")
    parser.add_argument("--out", type=Path, default=PAGE, help=f"default: {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    began, missed = time.time(), []
    text = beginning(chosen.size, began)
    for part in PARTS:
        if chosen.only and part.name not in chosen.only:
            continue
        print(f"\n{part.title}, compared with: {part.beside}", flush=True)
        text += f"\n## {part.title}\n\nCompared with: {part.beside}\n"
        for command in part.commands[chosen.size]:
            print(f"\n$ python benchmarks/{command}", flush=True)
            printed, code = run(command.split())
            missed += [command] if code else []
            text += f"\n    python benchmarks/{command}\n\n```text\n{printed.strip()}\n```\n"
    text += ending(missed, time.time() - began)
    chosen.out.write_text(text, encoding="utf-8")
    print(f"\nWritten: {chosen.out}")
    return 1 if missed else 0


def run(command: Sequence[str]) -> tuple[str, int]:
    """Run a script, show what it prints as it comes, and return that and its exit code."""
    lines = []
    with subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / command[0]), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return last_table("".join(lines)), process.returncode


def last_table(printed: str) -> str:
    """Return what was printed, without the tables that a later one repeats with more rows."""
    blocks = [block for block in printed.split("\n\n") if block.strip()]
    heads = [block.strip().splitlines()[0] for block in blocks]
    kept = [each for n, each in enumerate(blocks) if heads[n] not in heads[n + 1 :]]
    return "\n\n".join(kept)


def beginning(size: str, began: float) -> str:
    """Return the head of the page: when, on what machine, how busy it was."""
    from experiments.environment.provenance import provenance

    found = provenance()
    machine, versions = found["machine"], found["versions"]
    names = ("llama-cpp-python", "evalplus", "mlflow", "hydra-core")
    shown = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    remark = "\n**This page only says that all parts work; its figures mean nothing.**\n"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    return f"""# Performance

<!-- Made by `python benchmarks {size}`. -->

`make bench` measures all of this on your machine and writes this page, `make bench-quick` less
of it in five minutes. Figures vary by some 5 % from time to time, by far more on a busy machine.
{remark if size == "smoke" else ""}
| | |
|---|---|
| measured | {time.strftime("%Y-%m-%d", time.localtime(began))}, `python benchmarks {size}` |
| processor | {machine["processor"]}, {machine["cores"]} cores |
| memory | {machine["memory_gigabytes"]} GiB |
| system | {machine["system"]} |
| software | Python {sys.version.split()[0]}, {shown} |
| load before it began | {load} |
"""


def ending(missed: Sequence[str], seconds: float) -> str:
    """Return the foot of the page."""
    names = ", ".join(f"`{each}`" for each in missed)
    bars = f"Missed a bar or failed: {names}." if missed else "No bar was missed."
    return f"\n{bars} All of it took {seconds / 60:.0f} minutes.\n"


if __name__ == "__main__":
    sys.exit(main())
