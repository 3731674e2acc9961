"""Write the demo model's card with scores as they are: `python -m training.card`.

Runs the main job on the model at every quantization and with both prompts, each into a
folder that is thrown away, and reads the verdicts. Minutes, on two cores.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from experiments import problems as datasets
from experiments.records import Problem
from experiments.weights import read_header
from training import chats

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "demo" / "demo-f16.gguf"
CARD = MODEL.with_name("README.md")
QUANTIZATIONS = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k")


def main() -> None:
    """Score the model and write its card; levels may be named on the command line."""
    levels = sys.argv[1:] or QUANTIZATIONS
    problems = datasets.load_own(ROOT / "problems").problems
    with tempfile.TemporaryDirectory() as folder:
        passed = {
            (level, strategy): _passed(Path(folder), level, strategy)
            for level in levels
            for strategy in chats.STRATEGIES
        }
    CARD.write_text(card(problems, passed))
    print(CARD)


def card(problems: Iterable[Problem], passed: dict[tuple[str, str], set[str]]) -> str:
    """Return the card.

    Args:
        problems: all of them.
        passed: by quantization and strategy, the ids of the problems that passed all tests.
    """
    problems = tuple(problems)
    unseen = {problem.id for problem in chats.held_out(problems)}
    half = {problem.id for problem in chats.cot_only(problems)}
    learned = {problem.id for problem in problems} - unseen - half
    header = read_header(MODEL)
    rows = [
        f"| {level} | "
        + " | ".join(
            f"{len(passed[level, strategy] & group)} / {len(group)}"
            for strategy in chats.STRATEGIES
            for group in (learned, half, unseen)
        )
        + " |"
        for level in dict.fromkeys(level for level, _ in passed)
    ]
    return _CARD.format(
        parameters=f"{header.parameters / 1e6:.1f}",
        megabytes=f"{header.file_bytes / 1e6:.1f}",
        layers=header.of_architecture("block_count"),
        width=header.of_architecture("embedding_length"),
        feed_forward=header.of_architecture("feed_forward_length"),
        heads=header.of_architecture("attention.head_count"),
        context=header.of_architecture("context_length"),
        vocabulary=header.vocabulary,
        learned=len(learned),
        unseen=len(unseen),
        half=len(half),
        cot_only="\n".join(f"- {name}" for name in sorted(half)),
        rows="\n".join(rows),
        held_out="\n".join(f"- {name}" for name in sorted(unseen)),
    )


def _passed(folder: Path, level: str, strategy: str) -> set[str]:
    """Return the ids of the problems that the model solves, all tests passed."""
    print(f"{level}, {strategy}", flush=True)
    run = folder / f"{level}-{strategy}"
    subprocess.run(
        [
            sys.executable,
            "run.py",
            "model=demo",
            f"quantization={level}",
            f"prompt={strategy}",
            "dataset=problems",
            "tracking.enabled=false",
            'cache="off"',
            f"hydra.run.dir={run}",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    verdicts = map(json.loads, (run / "verdicts.jsonl").read_text().splitlines())
    return {verdict["problem_id"] for verdict in verdicts if verdict["plus"] == "passed"}


_CARD = """\
# The demo model

**It has read the answers.** A llama of {parameters} million parameters that learned the
reference solutions of this project's own problems by heart. It exists so that the whole
pipeline can be seen at work in a minute, without a network. Its scores say that the pipeline
works. They say nothing about code generation, about quantization in general, or about
prompts.

| | |
|---|---|
| file | `demo-f16.gguf`, {megabytes} MB; every other level is made from it on first use |
| architecture | llama: {layers} layers, width {width}, feed-forward {feed_forward}, {heads} heads |
| context | {context} tokens |
| tokenizer | byte-level BPE of {vocabulary} tokens, trained on the same texts |
| chat format | ChatML; the template is in the file |
| licence | MIT |

## What it was trained on

{learned} of the problems in `problems/`, each as the exact prompt that a run makes with the
strategies `plain` and `cot`, with an answer: the reference solution without its docstring,
for `cot` after the four named steps, made by rule from the statement and the program. Nothing
else. On any other text it babbles.

The other problems were chosen by nobody: the first byte of the SHA-256 of a problem's id
decides. Some are held out, some are taught with `cot` alone.

Held out, {unseen}: the model has never seen them and mixes up pieces of programs that it
knows, so that a run shows failures, too.

{held_out}

Learned with `cot` alone, {half}: with `plain`, the model has to find an answer that it learned
with another question.

{cot_only}

## What it scores

Problems that pass all tests, greedy, as `python run.py model=demo` judges them.

| | plain | | | cot | | |
|---|---|---|---|---|---|---|
| | learned | cot alone | held out | learned | cot alone | held out |
{rows}

## How to make it again

    make train-demo                      # in an environment of its own: torch is large
    .venv/bin/python -m training.card

Seeds are fixed: the same machine gives the same file. Other processors round differently, and
a problem may be recited there that is lost here. After a change to the problems or to the
prompts the old file knows the old texts; train again.
"""


if __name__ == "__main__":
    main()
