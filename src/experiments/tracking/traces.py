"""A sample as MLflow's trace: prompt, completion, program and verdict, assessed by code."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.errors import TrackingError
from experiments.records import Generation, Prompt, Solution, Verdict


@dataclass(frozen=True)
class Sample:
    """All that is known of one sample: from its prompt to its verdict."""

    prompt: Prompt
    generation: Generation
    solution: Solution
    verdict: Verdict


def log_samples(samples: Sequence[Sample]) -> None:
    """Log each sample as a trace of the active run.

    Raises:
        TrackingError: MLflow gave up a trace; by itself it only warns of that.
    """
    for sample in samples:
        _log(sample)


def _log(sample: Sample) -> None:
    """Log a trace of one span, with the verdict and the kept format as assessments by code.

    Its length is the time that the completion took; its end is the moment of logging.
    """
    import mlflow
    from mlflow.entities import AssessmentSource, AssessmentSourceType, NoOpSpan, SpanType

    generation, solution, verdict = sample.generation, sample.solution, sample.verdict
    end = time.time_ns()
    seconds = generation.prefill_seconds + generation.decode_seconds
    span = mlflow.start_span_no_context(
        generation.problem_id,
        span_type=SpanType.LLM,
        inputs=_inputs(sample.prompt),
        attributes=_attributes(generation),
        tags={"problem": generation.problem_id, "outcome": str(verdict.plus)},
        start_time_ns=end - int(seconds * 1e9),
    )
    if isinstance(span, NoOpSpan):
        raise TrackingError(f"MLflow did not begin the trace of {generation.problem_id}")
    told = explanation(verdict)
    span.set_outputs(
        {
            "program": fenced(solution.program, "python"),
            "verdict": fenced(told),
            "text": generation.text,
            **({"thought": generation.thought} if generation.thought else {}),
        }
    )
    span.end(end_time_ns=end)
    assessments = (
        ("passed", verdict.plus == "passed", told),
        ("format_kept", solution.format_kept, None),
    )
    for name, value, rationale in assessments:
        mlflow.log_feedback(
            trace_id=span.trace_id,
            name=name,
            value=value,
            source=AssessmentSource(AssessmentSourceType.CODE, "experiments.judge"),
            rationale=rationale,
        )


def _inputs(prompt: Prompt) -> dict[str, Any]:
    if not prompt.messages:
        return {"prompt": prompt.completion}
    return {"messages": [{"role": each.role, "content": each.content} for each in prompt.messages]}


def _attributes(generation: Generation) -> dict[str, Any]:
    """Return what the generation took; MLflow sums the token usage up for the trace."""
    return {
        "sample": generation.sample,
        "finish_reason": str(generation.finish_reason),
        "thought_tokens": generation.thought_tokens,
        "prefill_seconds": generation.prefill_seconds,
        "decode_seconds": generation.decode_seconds,
        "cached": generation.cached,
        "mlflow.chat.tokenUsage": {
            "input_tokens": generation.prompt_tokens,
            "output_tokens": generation.new_tokens,
            "total_tokens": generation.prompt_tokens + generation.new_tokens,
        },
    }


def fenced(text: str, language: str = "") -> str:
    """Return a text as Markdown that keeps its lines: MLflow shows a trace's texts as such."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}" if text else ""


def explanation(verdict: Verdict) -> str:
    """Return the verdict in words, with the first input that failed."""
    result = f"{verdict.plus}: {verdict.tests_text}"
    if verdict.failure is None:
        return result
    failure = verdict.failure
    expected = f"expected {failure.expected}\n" if failure.expected else ""
    return f"{result}\n{failure.call}\n{expected}got {failure.actual}"
