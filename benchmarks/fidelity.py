"""Are the figures of `experiments fidelity` those of llama.cpp's own tool, on the same texts?

    python benchmarks/fidelity.py --tool PATH/llama-perplexity
    python benchmarks/fidelity.py --tool PATH/llama-perplexity --levels q8_0,q2_k --chunks 20

Both read this project's problems, joined and cut into chunks of 512 tokens of which the second
half is scored, with the demo model. Compared are the mean and the 99th percentile of the
divergence, the share of tokens whose most likely token is the same, and the perplexity: also of the
reference compared with itself, since the tool cuts what it tells of the reference off 16 nats below
the most likely token. The exit code tells whether one differs by more than 1 % (agreement: by 0.1
points; divergence: 1 % or 0.00005 nats).

The tool is in the sources that come with llama-cpp-python's source package, in vendor/llama.cpp
(`cmake -B build && cmake --build build --target llama-perplexity`). Build it of the version that
is installed: other kernels round in other ways.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models" / "demo" / "demo-f16.gguf"
CHUNK = 512
FIGURES = {
    "divergence": r"Mean +KLD: +([-\d.]+)",
    "divergence_p99": r"99\.0% +KLD: +([-\d.]+)",
    "same_token": r"Same top p: +([\d.]+)",
    "perplexity": r"Mean PPL\(Q\) +: +([\d.]+)",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True, type=Path, help="llama-perplexity")
    parser.add_argument("--levels", default="q8_0,q4_0,q2_k", help="default: %(default)s")
    parser.add_argument("--chunks", type=int, default=40, help="default: %(default)s")
    chosen = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "texts.txt"
        text.write_text("\n".join(p.read_text() for p in sorted(ROOT.glob("problems/*/*.py"))))
        files = [DEMO, DEMO, *(_quantized(level, folder) for level in chosen.levels.split(","))]
        ours = _ours(files, text, chosen.chunks, folder)
        _tool(chosen, DEMO, folder, "-f", str(text))
        print(f"{'level':10}{'figure':22}{'ours':>12}{'llama.cpp':>12}{'differs by':>12}")
        for file, found in zip(files[1:], ours, strict=True):
            for figure, peer in _figures(chosen, file, folder).items():
                own = found[figure] * (100 if figure == "same_token" else 1)
                scale = 10 if figure == "same_token" else max(peer, 0.005)
                by = abs(own - peer) / scale
                worst = max(worst, by)
                print(f"{file.stem:10}{figure:22}{own:12.5f}{peer:12.5f}{100 * by:11.2f}%")
    return int(worst > 0.01)


def _figures(chosen: argparse.Namespace, file: Path, folder: Path) -> dict[str, float]:
    """Return the tool's figures of a level; on a busy machine it ends before its log does."""
    while True:
        said = _tool(chosen, file, folder, "--kl-divergence")
        found = {figure: re.search(pattern, said) for figure, pattern in FIGURES.items()}
        if all(found.values()):
            return {figure: float(match[1]) for figure, match in found.items() if match}


def _tool(chosen: argparse.Namespace, file: Path, folder: Path, *more: str) -> str:
    """Return what llama.cpp's tool says."""
    command = [
        *(str(chosen.tool), "-m", str(file), "-c", str(CHUNK), "-b", str(CHUNK), "-fa", "off"),
        *("--chunks", str(chosen.chunks), "--kl-divergence-base", str(folder / "base"), *more),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def _quantized(level: str, folder: Path) -> Path:
    """Return the demo model at a level, made here."""
    import llama_cpp

    path = folder / f"{level}.gguf"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{level.upper()}")
    if llama_cpp.llama_model_quantize(str(DEMO).encode(), str(path).encode(), parameters):
        raise SystemExit(f"{level} could not be made")
    return path


def _ours(files: Sequence[Path], text: Path, chunks: int, folder: Path) -> list[dict[str, float]]:
    """Return our figures of all files but the first, which is the reference."""
    import llama_cpp.llama_cpp as llama

    from experiments.backends.llama_cpp.engine import Settings
    from experiments.backends.llama_cpp.evaluating import Evaluator, Text
    from experiments.backends.llama_cpp.model import Model
    from experiments.stats.divergence import Scores, compare

    silence = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(silence, ctypes.c_void_p(0))
    scores = []
    for file in files:
        model = Model(str(file))
        tokens = model.tokens(text.read_text(), is_chat=True)
        texts = []
        for start in range(0, min(len(tokens) // CHUNK, chunks) * CHUNK, CHUNK):
            chunk = tokens[start : start + CHUNK]
            begin = model.tokens("", is_chat=True)
            texts.append(Text(str(start), begin + chunk[len(begin) :], CHUNK // 2 + 1))
        evaluator = Evaluator(model, Settings(1, 2, CHUNK), CHUNK)
        found = evaluator.evaluate(texts, folder / "rows", is_reference=not scores)
        scores.append({one.pop("key"): Scores(**one) for one in found})
        evaluator.close()
        model.close()
    return [
        {name: estimate.value for name, estimate in compare(scores[0], level).items()}
        for level in scores[1:]
    ]


if __name__ == "__main__":
    sys.exit(main())
