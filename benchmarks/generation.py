"""How fast is generation, beside llama-cpp-python's own loop, in one run on this machine?

    python benchmarks/generation.py                     everything that has a bar
    python benchmarks/generation.py demo                the small model alone
    python benchmarks/generation.py medium              0.1 B, made in seconds; held to nothing
    python benchmarks/generation.py large --levels q4_0 --only end_to_end
    python benchmarks/generation.py large --prompts 8 --new-tokens 64
    python benchmarks/generation.py settings            what each setting is worth
    python benchmarks/generation.py architectures       what prompts share on each kind of model

Measures, with the ratio that they are held to:

- end to end: `LlamaCpp` against `Llama.create_completion` in a loop, which reuses the common
  prefix itself. Loading is left out on both sides.
- decoding: the engine against bare `llama_decode` calls on the same batches, without
  sampling: the limit that the machine sets.
- demo: the same as end to end on a model of 4 million parameters, where Python is the limit;
  it is held to nothing.

The models have random weights and llama's shape, are made here (package `gguf`, the group
`dev`), and are kept in outputs/benchmarks. Their end token is never the most likely one, so
each text has its full length. Prompts have 300 tokens, of which 200 are shared.

On two quiet cores, expect about 6 minutes end to end and 3 for decoding for each of the two
levels, half a minute for the small model, and, once, 4 minutes for making the models: some 25
in all. `settings` takes another hour and a half. The exit code tells whether a bar was missed.

Close other programs first: threads that wait for each other make a busy machine several
times slower, for both sides, and not equally.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "outputs" / "benchmarks"
SHARED_TOKENS, PROMPT_TOKENS = 200, 300
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # one token each, in the vocabulary below


@dataclass(frozen=True)
class Shape:
    """A llama with random weights."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int


LARGE = Shape("llama-1.1b", 2048, 22, 32, 4, 5632, 32_000)
MEDIUM = Shape("llama-0.1b", 768, 12, 12, 4, 2048, 32_000)
SMALL = Shape("llama-4m", 256, 4, 4, 4, 768, 1536)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str
    model: str
    ours: float
    peer: float
    bar: float | None

    @property
    def ratio(self) -> float:
        """How many times the peer."""
        return self.ours / self.peer


def main() -> int:
    """Measure what was asked for and print it as a table."""
    options = _options()
    _silence()
    rows: list[Row] = []
    if options.what in ("all", "large"):
        for level in options.levels:
            path = model(LARGE, level)
            prompts = prompt_texts(options.prompts)
            if options.only != "decoding":
                rows.append(end_to_end(path, prompts, options.new_tokens, 1.8, options))
                print_table(rows)
            for parallel in options.batches if options.only != "end_to_end" else ():
                rows.append(decoding(path, parallel, options))
                print_table(rows)
    if options.what == "medium":
        path = model(MEDIUM, "q4_0")
        prompts = prompt_texts(options.prompts)
        rows.append(end_to_end(path, prompts, options.new_tokens, None, options))
        rows += [replace(decoding(path, n, options), bar=None) for n in options.batches]
    if options.what in ("all", "demo"):
        path = model(SMALL, "q8_0")
        prompts = prompt_texts(options.prompts)
        if options.only != "decoding":
            rows.append(end_to_end(path, prompts, options.new_tokens, None, options))
    if options.what == "settings":
        settings(options)
        return 0
    if options.what == "architectures":
        return architectures()
    print_table(rows)
    missed = [row for row in rows if row.bar is not None and row.ratio < row.bar]
    return 1 if missed else 0


def end_to_end(
    path: Path,
    prompts: list[str],
    new_tokens: int,
    bar: float | None,
    options: argparse.Namespace,
) -> Row:
    """Return new tokens per second of the backend and of the loop, best of the repeats."""
    ours, peers = [], []
    for _ in range(options.repeat):  # by turns, so that a slow minute hits both
        ours.append(batched(path, prompts, new_tokens, options))
        peers.append(loop(path, prompts, new_tokens, options))
    tokens = len(prompts) * new_tokens
    return Row("end to end", path.stem, tokens / min(ours), tokens / min(peers), bar)


def batched(path: Path, prompts: list[str], new_tokens: int, options: argparse.Namespace) -> float:
    """Return the seconds that the backend takes, the process and its pipes included."""
    from experiments.schema import Sampling

    backend = _backend(path, options)
    sampling = Sampling(max_tokens=new_tokens)
    _warm_up(backend, sampling)
    before = backend.statistics()
    requests = backend.prepare(_prompts(prompts), sampling, 0)
    began = time.perf_counter()
    generations = list(backend.generate(requests, sampling))
    seconds = time.perf_counter() - began
    _expect({g.new_tokens for g in generations} == {new_tokens}, "texts ended early")
    after = backend.statistics()
    read = after["prefill_tokens"] - before["prefill_tokens"]
    print(f"  ours: {seconds:.1f} s, {read:.0f} tokens prefilled", file=sys.stderr)
    from experiments.backends.llama_cpp import host

    host.close_worker()
    return seconds


def loop(path: Path, prompts: list[str], new_tokens: int, options: argparse.Namespace) -> float:
    """Return the seconds that `Llama.create_completion` takes, one prompt after the other."""
    import llama_cpp

    context = PROMPT_TOKENS + new_tokens + 8
    peer = llama_cpp.Llama(
        str(path),
        n_ctx=context,
        n_threads=options.threads,
        n_threads_batch=options.threads,
        verbose=False,
    )
    peer.create_completion(LETTERS, max_tokens=2, temperature=0.0)
    peer.reset()
    began = time.perf_counter()
    for prompt in prompts:
        answer: Any = peer.create_completion(
            prompt, max_tokens=new_tokens, temperature=0.0, repeat_penalty=1.0
        )
        _expect(answer["usage"]["completion_tokens"] == new_tokens, "a text ended early")
    seconds = time.perf_counter() - began
    print(f"  loop: {seconds:.1f} s", file=sys.stderr)
    peer.close()
    return seconds


def decoding(path: Path, parallel: int, options: argparse.Namespace) -> Row:
    """Return decoded tokens per second of the engine and of bare calls, best of the repeats.

    Both decode as many sequences, of as many tokens, from as long a prompt.
    """
    steps = min(options.new_tokens, 128)
    ours, bare = [], []
    for _ in range(options.repeat):
        ours.append(_engine_decoding(path, parallel, steps, options))
        bare.append(_bare_decoding(path, parallel, steps, options))
    return Row(f"decoding, {parallel} at once", path.stem, max(ours), max(bare), 0.95)


def _engine_decoding(path: Path, parallel: int, steps: int, options: argparse.Namespace) -> float:
    """Return tokens per second of the steps in which all sequences are decoded."""
    from experiments.backends.llama_cpp.engine import Engine, Settings
    from experiments.backends.llama_cpp.model import Model
    from experiments.backends.llama_cpp.sequence import Job
    from experiments.schema import Sampling

    model = Model(str(path))
    engine = Engine(
        model,
        Settings(
            parallel,
            options.threads,
            PROMPT_TOKENS + steps + 64,
            flash_attention=options.flash_attention,
        ),
    )
    jobs = [Job(str(n), text, 0, False, "f") for n, text in enumerate(prompt_texts(parallel))]
    spans: list[float] = []
    last: list[float] = []

    def on_step(active: int) -> None:
        now = time.perf_counter()
        decoded, read = engine.counters.decode_tokens, engine.counters.prefill_tokens
        if last and decoded - last[1] == parallel and read == last[2]:
            spans.append(now - last[0])
        last[:] = [now, decoded, read]

    list(engine.complete(jobs, Sampling(max_tokens=steps), on_step))
    engine.close()
    model.close()
    return parallel * len(spans) / sum(spans)


def _bare_decoding(path: Path, parallel: int, steps: int, options: argparse.Namespace) -> float:
    """Return tokens per second of `llama_decode` alone, on batches that are filled before."""
    import llama_cpp.llama_cpp as llama

    from experiments.backends.llama_cpp.model import Model

    model = Model(str(path))
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = (-(-(PROMPT_TOKENS + steps + 64) // 256) * 256) * parallel
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_seq_max = parameters.n_outputs_max = parallel
    parameters.n_threads = parameters.n_threads_batch = options.threads
    parameters.flash_attn_type = 1 if options.flash_attention else 0
    parameters.kv_unified = False
    parameters.no_perf = True
    context = llama.llama_init_from_model(model.pointer, parameters)
    batch = llama.llama_batch_init(512, 0, 1)
    tokens = [model.tokens(text, is_chat=False) for text in prompt_texts(parallel)]
    for number, prompt in enumerate(tokens):
        for row, token in enumerate(prompt):
            _fill(batch, row, token, row, number, row == len(prompt) - 1)
        batch.n_tokens = len(prompt)
        _expect(llama.llama_decode(context, batch) == 0, "llama_decode failed")
    batch.n_tokens = parallel
    seconds = 0.0
    for step in range(steps - 1):
        for number in range(parallel):
            _fill(batch, number, 100 + (step + number) % 100, len(tokens[0]) + step, number, True)
        began = time.perf_counter()
        _expect(llama.llama_decode(context, batch) == 0, "llama_decode failed")
        llama.llama_synchronize(context)
        seconds += time.perf_counter() - began
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    model.close()
    return parallel * (steps - 1) / seconds


def _fill(batch: Any, row: int, token: int, position: int, sequence: int, output: bool) -> None:
    batch.token[row] = token
    batch.pos[row] = position
    batch.n_seq_id[row] = 1
    batch.seq_id[row][0] = sequence
    batch.logits[row] = output


def settings(options: argparse.Namespace) -> None:
    """Print the seconds of the end-to-end measure for one changed setting at a time."""
    changes: list[tuple[str, dict[str, Any]]] = [
        ("as it is", {}),
        *[(f"parallel={n}", {"parallel": n}) for n in (1, 2, 4, 8, 32)],
        ("flash_attention", {"flash_attention": True}),
        ("kv_type=q8_0", {"flash_attention": True, "kv_type": "q8_0"}),
        ("kv_type=bf16", {"kv_type": "bf16"}),
        ("kv_type=f32", {"kv_type": "f32"}),
        ("micro_batch_tokens=64", {"micro_batch_tokens": 64}),
        ("micro_batch_tokens=128", {"micro_batch_tokens": 128}),
        ("batch_tokens=2048", {"batch_tokens": 2048, "micro_batch_tokens": 2048}),
        ("threads + 1", {"threads": options.threads + 1}),
    ]
    for path in [model(LARGE, level) for level in options.levels] + [model(SMALL, "q8_0")]:
        for name, changed in changes:
            varied = argparse.Namespace(**{**vars(options), "changed": changed})
            prompts = prompt_texts(options.prompts)
            seconds = min(
                batched(path, prompts, options.new_tokens, varied) for _ in range(options.repeat)
            )
            rate = len(prompts) * options.new_tokens / seconds
            print(f"{path.stem:24} {name:24} {rate:10.1f} new tokens/s", flush=True)


def architectures() -> int:
    """Print what six few-shot prompts prefill on tiny models; tell whether texts stay the same."""
    sys.path.insert(0, str(ROOT / "tests"))
    from tiny_architectures import ARCHITECTURES, write_architecture

    FOLDER.mkdir(parents=True, exist_ok=True)
    shared = "".join(LETTERS[(n * 7 + n // 26) % 26] for n in range(1500))
    prompts = [shared + f"{number}" * 20 for number in range(6)]
    differ = 0
    print(f"{'architecture':16} {'tokens':>7} {'prefilled':>9}  texts")
    for name in ARCHITECTURES:
        path = write_architecture(FOLDER / f"tiny-{name}.gguf", name)
        alone = {text: _completed(path, [text], 1)[0][text] for text in prompts}
        together, prefilled, asked = _completed(path, prompts, 4)
        differ += together != alone
        same = "as in a fresh context" if together == alone else "DIFFER"
        print(f"{name:16} {asked:7} {prefilled:9}  {same}", flush=True)
    return 1 if differ else 0


def _completed(path: Path, prompts: list[str], parallel: int) -> tuple[dict[str, Any], int, int]:
    """Return the tokens of each prompt's text, the tokens prefilled, and those of the prompts."""
    from experiments.backends.llama_cpp.engine import Engine, Settings
    from experiments.backends.llama_cpp.model import Model
    from experiments.backends.llama_cpp.sequence import Job
    from experiments.schema import Sampling

    model = Model(str(path))
    engine = Engine(model, Settings(parallel, 1, 2048))
    jobs = [Job(text, text, 0, False, "f") for text in prompts]
    found = {one.key: one for one in engine.complete(jobs, Sampling(max_tokens=24))}
    engine.close()
    model.close()
    asked = sum(one.prompt_tokens for one in found.values())
    ids = {key: one.token_ids for key, one in found.items()}
    return ids, engine.counters.prefill_tokens, asked


def prompt_texts(count: int) -> list[str]:
    """Return prompts of 300 tokens, of which the first 200 are the same (the begin token too)."""
    shared = "".join(LETTERS[(n * 7 + n // 26) % 26] for n in range(SHARED_TOKENS - 1))
    own = PROMPT_TOKENS - SHARED_TOKENS
    return [
        shared + "".join(LETTERS[(n * n + 3 * number + n) % 26] for n in range(own))
        for number in range(count)
    ]


def model(shape: Shape, level: str) -> Path:
    """Return a GGUF of this shape, made if it is not there."""
    path = FOLDER / f"{shape.name}-{level}.gguf"
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    source = FOLDER / f"{shape.name}-f16.gguf"
    if not source.exists():
        print(f"making {source.name} ...", file=sys.stderr)
        _write_once(source, lambda draft: _write_model(draft, shape))
    print(f"quantizing {path.name} ...", file=sys.stderr)
    _write_once(path, lambda draft: _quantize(source, draft, level))
    return path


def _write_once(path: Path, write: Callable[[Path], None]) -> None:
    draft = path.with_suffix(".part")
    write(draft)
    draft.replace(path)


def _write_model(path: Path, shape: Shape) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from tiny_model import write_tiny_model

    # The end token's logit is that of a row of zeros: among thousands never the largest.
    write_tiny_model(
        path,
        layers=shape.layers,
        width=shape.width,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        feed_forward=shape.feed_forward,
        vocabulary=shape.vocabulary,
        template=None,
        end_bias=None,
    )


def _quantize(source: Path, target: Path, level: str) -> None:
    import llama_cpp.llama_cpp as llama

    _silence()
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{level.upper()}")
    code = llama.llama_model_quantize(str(source).encode(), str(target).encode(), parameters)
    _expect(code == 0, "quantizing failed")


def print_table(rows: list[Row]) -> None:
    """Print what was measured so far."""
    print(f"\n{'measure':24} {'model':20} {'ours':>9} {'peer':>9} {'ratio':>6} {'bar':>5}")
    for row in rows:
        bar = f"{row.bar:5.2f}" if row.bar is not None else ""
        mark = "" if row.bar is None or row.ratio >= row.bar else "  missed"
        print(
            f"{row.measure:24} {row.model:20} {row.ours:9.1f} {row.peer:9.1f} "
            f"{row.ratio:6.2f} {bar}{mark}",
            flush=True,
        )


def _backend(path: Path, options: argparse.Namespace) -> Any:
    from experiments.backends.llama_cpp import LlamaCpp
    from experiments.records import Weights

    weights = Weights(path, str(path), path.stem, "", path.stat().st_size, 0.0, 0)
    given: dict[str, Any] = {
        "threads": options.threads,
        "flash_attention": options.flash_attention,
        "context_tokens": 1024,
        "stop_when_complete": False,
    }
    if options.parallel:
        given["parallel"] = options.parallel
    return LlamaCpp(weights, **(given | options.changed))


def _prompts(texts: list[str]) -> list[Any]:
    from experiments.records import Prompt

    return [Prompt(f"p/{n}", "f", completion=text) for n, text in enumerate(texts)]


def _warm_up(backend: Any, sampling: Any) -> None:
    """Load the model, and make a context of the size that is needed."""
    short = replace(sampling, max_tokens=2)
    text = "Z" * (PROMPT_TOKENS + sampling.max_tokens - 3)
    requests = backend.prepare(_prompts([text]), short, 0)
    list(backend.generate(requests, short))


def _silence() -> None:
    import llama_cpp

    @llama_cpp.llama_log_callback
    def log(level: int, text: bytes, data: ctypes.c_void_p) -> None:
        if level in (3, 4):
            sys.stderr.write(text.decode(errors="replace"))

    llama_cpp.llama_log_set(log, None)
    _kept.append(log)


_kept: list[Any] = []


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"benchmark: {otherwise}")


def _options() -> argparse.Namespace:
    from experiments.environment.machine import cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        default="all",
        choices=("all", "large", "medium", "demo", "settings", "architectures"),
    )
    add("--only", choices=("end_to_end", "decoding"), help="one of the two measures")
    add("--prompts", type=int, default=32)
    add("--new-tokens", type=int, default=256)
    add("--levels", nargs="+", default=["q4_0", "q4_k_m"])
    add("--batches", nargs="+", type=int, default=[1, 4, 16], help="sequences when decoding")
    add("--parallel", type=int, default=0, help="sequences end to end; 0: as by default")
    add("--threads", type=int, default=cores())
    add("--repeat", type=int, default=1, help="the best of so many")
    add("--flash-attention", action="store_true")
    options = parser.parse_args()
    options.changed = {}
    return options


if __name__ == "__main__":
    sys.exit(main())
