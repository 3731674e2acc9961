"""Is a plan's estimate of time right, held against runs of a model of 1.1 billion parameters?

    python benchmarks/plan.py                             three levels, some 15 minutes
    python benchmarks/plan.py --levels q4_k_m --prompts 16
    python benchmarks/plan.py --small --prompts 8 --new-tokens 16     does the script work?

For each level, the machine is measured as `experiments plan --measure` does it, the time is
estimated, and the same is then generated with `backend=llama_cpp`. The lengths of prompts and
answers are given to the estimate, since a model of random weights has none of its own: what is
held against the run is the model of time in `experiment/estimating.py`. The exit code tells
whether an estimate was off by more than 30 %.

The models are those of `benchmarks/generation.py`. Close other programs first. With `--small`, a
model of 4 million parameters, where Python is the limit, and no bar.
"""

from __future__ import annotations

import argparse
import sys

from generation import (
    FOLDER,
    LARGE,
    PROMPT_TOKENS,
    SHARED_TOKENS,
    SMALL,
    Shape,
    batched,
    model,
    prompt_texts,
)

BAR = 0.3


def main() -> int:
    """Estimate and run each level, and print a table in Markdown."""
    options = _options()
    shape = SMALL if options.small else LARGE
    missed = False
    print("| level | at once | threads | estimate, s | run, s | off by |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for level in options.levels:
        for parallel in options.batches:
            options.parallel = parallel
            seconds = estimated(shape, level, options)
            took = batched(
                model(shape, level), prompt_texts(options.prompts), options.new_tokens, options
            )
            off = seconds / took - 1
            missed = missed or (abs(off) > BAR and not options.small)
            print(
                f"| {level} | {parallel} | {options.threads} | {seconds:.1f} | {took:.1f} "
                f"| {100 * off:+.0f} % |",
                flush=True,
            )
    return 1 if missed else 0


def estimated(shape: Shape, level: str, options: argparse.Namespace) -> float:
    """Return the seconds that a plan says, the lengths given."""
    from experiments.backends.llama_cpp import measuring
    from experiments.experiment.estimating import Cost, Job, Past, modelled
    from experiments.schema import ModelConfig, QuantizationConfig
    from experiments.weights import Here, read_header
    from experiments.weights.levels import TENSOR_TYPES
    from experiments.weights.memory import kv_values_per_token
    from experiments.weights.workload import NUMBERS, workload

    header = read_header(model(shape, level))
    nothing = ModelConfig(name=shape.name), QuantizationConfig(level, f"MOSTLY_{level.upper()}")
    work = workload(Here(header), *nothing)
    costs = {}
    for kind in work.types:
        if kind not in _measured:
            tensor = measuring.TensorType(NUMBERS[kind], *TENSOR_TYPES[NUMBERS[kind]])
            found = measuring.measure(tensor, options.threads, FOLDER)
            print(f"  {kind}: {found}", file=sys.stderr)
            _measured[kind] = Cost.of(found)
        costs[kind] = _measured[kind]
    question = ("m", level, "p", "d", "", "")
    count = options.prompts
    past = Past(
        *question,
        completions=count,
        prompt_tokens=count * PROMPT_TOKENS,
        new_tokens=count * options.new_tokens,
    )
    job = Job(
        *question,
        completions=count,
        prompt_bytes=count * PROMPT_TOKENS,
        shared_bytes=SHARED_TOKENS,
        most_tokens=options.new_tokens,
        parallel=options.parallel,
        kv_values_per_token=kv_values_per_token(header),
    )
    return modelled(job, work, costs, [past]).value


_measured: dict = {}
"""Costs by type of tensor, measured once."""


def _options() -> argparse.Namespace:
    from experiments.environment.machine import cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--levels", nargs="+", default=["q8_0", "q4_k_m", "q4_0"])
    add("--batches", nargs="+", type=int, default=[16], help="completions at once")
    add("--prompts", type=int, default=32)
    add("--new-tokens", type=int, default=256)
    add("--threads", type=int, default=cores())
    add("--small", action="store_true")
    options = parser.parse_args()
    options.changed = {}
    options.flash_attention = False
    return options


if __name__ == "__main__":
    sys.exit(main())
