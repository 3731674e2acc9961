"""A run's folder: which files it has, what stands in each, and the version of their form.

| file | content |
|---|---|
| `generations.jsonl` | what the model wrote, and what it cost |
| `verdicts.jsonl` | what became of each program, with the first failing input |
| `samples.jsonl` | the programs, in EvalPlus's form |
| `problems.jsonl` | what a report shows of the problems |
| `run.yaml` | the whole run as one file, for `python run.py run.yaml` elsewhere |
| `prompts.jsonl` | what the model was asked, by problem |
| `manifest.json` | labels, versions, digests, machine |
| `audit.json` | one prompt as the model reads it |
| `metrics.json` | the numbers; written last, so that a folder with it is a finished run |
| `sanitizer.jsonl` | verdicts on the programs that EvalPlus's sanitizer finds |
| `failure.txt` | why a job has no result |
| `tracking.json` | where the run is in MLflow, and what of it |
| `fidelity.json` | levels of its model held against this run's, where that was asked |
| `.lock` | what the folder is for, and who works there (see `claims`) |
| `reviews.jsonl`, `review.json`, `review-key.json` | a person's grades (see `reviews`) |

`manifest.json` and `metrics.json` carry the version of the form as `format`. Files without
one are of version 1, whose metrics and generations had other names; they stay readable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from experiments.errors import StoreError, masked, printable
from experiments.records import (
    Generation,
    Message,
    Problem,
    ProblemInfo,
    Prompt,
    RunReport,
    Solution,
    Verdict,
)
from experiments.store.files import (
    DRAFT,
    known_fields,
    read_lines,
    to_generation,
    to_verdict,
    write_records,
    write_text,
)

FORMAT = 2
"""Version of the form of `manifest.json` and `metrics.json` that is written."""

GENERATIONS = "generations.jsonl"
VERDICTS = "verdicts.jsonl"
SAMPLES = "samples.jsonl"
PROBLEMS = "problems.jsonl"
SHARED = "run.yaml"
PROMPTS = "prompts.jsonl"
MANIFEST = "manifest.json"
AUDIT = "audit.json"
METRICS = "metrics.json"
SANITIZED = "sanitizer.jsonl"
FAILURE = "failure.txt"
TRACKED = "tracking.json"
SWEEP = "sweep.json"
"""In the folder of a sweep: where it is in MLflow, and what of it."""
HYDRA = ".hydra"
"""The folder with what Hydra kept of the configuration."""
CONFIGURATION = f"{HYDRA}/config.yaml"
RACE = "race.json"
"""In the folder of a sweep that was a race: its settings, findings and curves."""
FIDELITY = "fidelity.json"


def write_run(
    folder: Path,
    *,
    generations: Sequence[Generation] | None = None,
    verdicts: Sequence[Verdict],
    programs: Iterable[Solution],
    problems: Iterable[Problem | ProblemInfo],
    manifest: Mapping[str, Any],
    metrics: Mapping[str, float],
    audit: Mapping[str, Any] | None = None,
    prompts: Iterable[Prompt] = (),
) -> None:
    """Write the files of a run, the numbers last.

    Args:
        folder: of the run; exists.
        generations: None where nothing was generated: the file is left out.
        verdicts: in the order of the problems.
        programs: in the same order.
        problems: that were asked.
        manifest: what is needed to repeat the run, as plain data.
        metrics: those that are not finite are left out.
        audit: one prompt as the model reads it; None as above.
        prompts: one for each problem; none where nothing was generated.

    Raises:
        StoreError: a file could not be written; the former one is untouched.
    """
    if generations is not None:
        write_records(folder / GENERATIONS, generations)
        _write_lines(folder / PROMPTS, map(asdict, prompts))
    write_records(folder / VERDICTS, verdicts)
    _write_lines(folder / PROBLEMS, map(_described, problems))
    _write_lines(folder / SAMPLES, map(_sample, programs))
    _write_json(folder / MANIFEST, {"format": FORMAT, **manifest})
    if audit is not None:
        _write_json(folder / AUDIT, audit)
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    _write_json(folder / METRICS, {"format": FORMAT, **finite})


def add_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Add numbers to those of a finished run.

    Raises:
        StoreError: its file is damaged, or cannot be written.
    """
    path = folder / METRICS
    _write_json(path, {**_read_json(path), **metrics})


def begin(folder: Path) -> None:
    """Take away what an attempt before this one left that says how it ended."""
    for name in (METRICS, FAILURE):
        folder.joinpath(name).unlink(missing_ok=True)


def files_below(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of this name in folders of runs below one, but for what is being imported."""
    for path in folder.rglob(name):
        if not any(part.startswith(DRAFT) for part in path.relative_to(folder).parts):
            yield path


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return folder.joinpath(METRICS).exists()


def read_report(folder: Path) -> RunReport:
    """Return labels and numbers of a finished run.

    Raises:
        StoreError: there is no finished run, its files are damaged, or a newer version of
            this project wrote them.
    """
    metrics, manifest = _read_json(folder / METRICS), read_manifest(folder)
    metrics.pop("format", None)
    try:
        numbers = {_FORMER_METRICS.get(k, k): float(value) for k, value in metrics.items()}
        labels = {
            printable(str(name)): masked(printable(str(value)))
            for name, value in manifest["labels"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from None
    return RunReport(numbers, folder, labels, printable(str(manifest.get("note") or "")))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what is needed to repeat a run.

    Raises:
        StoreError: as `read_report`.
    """
    return _read_json(folder / MANIFEST)


def read_generations(folder: Path) -> list[Generation]:
    """Return what the model wrote; nothing for programs from elsewhere.

    Raises:
        StoreError: the file cannot be read. So for all that read lines.
    """
    return read_lines(folder / GENERATIONS, to_generation)


def read_prompts(folder: Path) -> list[Prompt]:
    """Return what the model was asked; nothing in folders of earlier versions."""

    def prompt(line: dict[str, Any]) -> Prompt:
        messages = tuple(Message(**each) for each in line["messages"])
        return Prompt(**{**line, "messages": messages})

    return read_lines(folder / PROMPTS, prompt)


def read_verdicts(folder: Path) -> list[Verdict]:
    """Return what became of the programs."""
    return read_lines(folder / VERDICTS, to_verdict)


def read_sanitized(folder: Path) -> list[Verdict] | None:
    """Return the verdicts on what the sanitizer finds; None if it was not asked."""
    path = folder / SANITIZED
    return read_lines(path, to_verdict) if path.exists() else None


def write_sanitized(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Keep the verdicts on what the sanitizer finds."""
    write_records(folder / SANITIZED, verdicts)


def read_problems(folder: Path) -> list[ProblemInfo]:
    """Return what is shown of the problems; nothing in folders of early versions."""
    return read_lines(folder / PROBLEMS, _problem)


def read_programs(folder: Path) -> list[Solution]:
    """Return the programs, numbered within each problem where the file has no numbers."""
    numbers: dict[str, int] = {}

    def program(line: dict[str, Any]) -> Solution:
        problem = line["task_id"]
        number = line.get("sample", numbers.get(problem, 0))
        numbers[problem] = number + 1
        source = str(line.get("solution", ""))
        return Solution(problem, number, source, line.get("format_kept"), line.get("syntax_valid"))

    return read_lines(folder / SAMPLES, program)


def read_failure(folder: Path) -> str:
    """Return the last line of why a job has no result; empty if no reason is there."""
    try:
        text = folder.joinpath(FAILURE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


_FORMER_METRICS = {
    "speed/reading_tokens_per_second": "speed/prefill_tokens_per_second",
    "speed/decoding_tokens_per_second": "speed/decode_tokens_per_second",
    "engine/reading_tokens_per_second": "engine/prefill_tokens_per_second",
    "engine/decoding_tokens_per_second": "engine/decode_tokens_per_second",
    "engine/read_tokens": "engine/prefill_tokens",
    "engine/decoded_tokens": "engine/decode_tokens",
}
"""Names of metrics of version 1."""


def _described(problem: Problem | ProblemInfo) -> dict[str, Any]:
    return {field.name: getattr(problem, field.name) for field in fields(ProblemInfo)}


def _problem(line: dict[str, Any]) -> ProblemInfo:
    known = known_fields(ProblemInfo, line)
    return ProblemInfo(**{**known, "topics": tuple(line.get("topics", ()))})


def _sample(solution: Solution) -> dict[str, Any]:
    """Return a program in the form of EvalPlus, which ignores what it does not know."""
    known = {"format_kept": solution.format_kept, "syntax_valid": solution.syntax_valid}
    return {
        "task_id": solution.problem_id,
        "solution": solution.program,
        "sample": solution.sample,
        **{name: value for name, value in known.items() if value is not None},
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(
            f"{path.parent} holds no finished run: {path.name} is missing",
            "Name the folder of one run, such as outputs/2026-01-31/12-00-00",
        ) from None
    except (OSError, ValueError) as error:
        reason = "it is empty" if _is_empty(path) else str(error)
        raise _damaged(path, reason) from None
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no names and values")
    version = content.get("format", 1)
    if not isinstance(version, int) or version > FORMAT:
        raise StoreError(
            f"{path} has format {version}, and this version of the project knows formats up "
            f"to {FORMAT}",
            "Update the project: git pull",
        )
    return content


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path} cannot be read: {reason}", "Make the run again: it is damaged.")


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(f"{json.dumps(line)}\n" for line in lines))


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
