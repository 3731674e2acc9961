"""A sample as MLflow's trace: prompt, completion, program and verdict, assessed by code."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.errors import TrackingAway, printable
from experiments.records import Generation, Prompt, Solution, Verdict

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace

FOUND_AT_ONCE = 200
DELETED_AT_ONCE = 100


@dataclass(frozen=True)
class Sample:
    """All that is known of one sample: from its prompt to its verdict."""

    prompt: Prompt
    generation: Generation
    solution: Solution
    verdict: Verdict


def log_samples(samples: Sequence[Sample]) -> None:
    """Log each sample as a trace of the active run, those that are there already but once.

    Raises:
        TrackingError: MLflow gave up a trace; by itself it only warns of that.
    """
    from mlflow import MlflowClient, active_run

    client, run = MlflowClient(), active_run().info
    known = _mended(client, run.experiment_id, run.run_id)
    for sample in samples:
        if _key(sample) not in known:
            _assess(_log(sample), sample)
    known = _mended(client, run.experiment_id, run.run_id)
    for sample in samples:
        trace = known.get(_key(sample))
        if trace is None:
            raise TrackingAway(f"MLflow did not take the trace of {_key(sample)[0]}")
        _assess(trace.info.trace_id, sample, {each.name for each in trace.info.assessments})


def _key(sample: Sample) -> tuple[str, int]:
    return sample.generation.problem_id, sample.generation.sample


def _mended(client: MlflowClient, experiment: str, run_id: str) -> dict[tuple[str, int], Trace]:
    """Return a run's traces by their samples; those cut short or there twice are deleted.

    A request that MLflow gave up may have been carried out all the same.
    """
    known: dict[tuple[str, int], Trace] = {}
    broken = []
    for trace in traces_of(client, experiment, run_id):
        span = trace.data.spans[0] if trace.data.spans else None
        if span is not None and "sample" not in span.attributes:
            continue  # somebody else's
        sample = (span.name, int(span.attributes["sample"])) if span is not None else None
        if sample is None or sample in known or trace.info.tags.get("problem") is None:
            broken.append(trace.info.trace_id)
        else:
            known[sample] = trace
    for start in range(0, len(broken), DELETED_AT_ONCE):
        client.delete_traces(experiment, trace_ids=broken[start : start + DELETED_AT_ONCE])
    return known


def _log(sample: Sample) -> str:
    """Log a trace of one span, and return its id.

    Its length is the time that the completion took; its end is the moment of logging.
    """
    import mlflow
    from mlflow.entities import NoOpSpan, SpanType

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
        raise TrackingAway(f"MLflow did not begin the trace of {generation.problem_id}")
    span.set_outputs(
        {
            "program": fenced(solution.program, "python"),
            "verdict": fenced(explanation(verdict)),
            "text": generation.text,
            **({"thought": generation.thought} if generation.thought else {}),
        }
    )
    span.end(end_time_ns=end)
    return str(span.trace_id)


def _assess(trace: str, sample: Sample, known: Collection[str] = ()) -> None:
    """Add the verdict and the kept format to a trace as assessments by code, unless it has them."""
    import mlflow
    from mlflow import MlflowException
    from mlflow.entities import AssessmentSource, AssessmentSourceType

    verdict = sample.verdict
    assessments = (
        ("passed", verdict.plus == "passed", explanation(verdict)),
        ("format_kept", bool(sample.solution.format_kept), None),
    )
    for name, value, rationale in assessments:
        if name in known:
            continue
        try:
            mlflow.log_feedback(
                trace_id=trace,
                name=name,
                value=value,
                source=AssessmentSource(AssessmentSourceType.CODE, "experiments.judge"),
                rationale=rationale,
            )
        except MlflowException as error:
            if error.get_http_status_code() != 404:
                raise
            raise TrackingAway(
                f"MLflow did not take the trace of {sample.generation.problem_id}"
            ) from error


def traces_of(client: MlflowClient, experiment: str, run_id: str | None = None) -> Iterator[Trace]:
    """Yield the traces of an experiment, or those of a run with their spans."""
    token = None
    while True:
        page = client.search_traces(
            locations=[experiment],
            run_id=run_id,
            max_results=FOUND_AT_ONCE,
            page_token=token,
            include_spans=run_id is not None,
        )
        yield from page
        token = page.token
        if not token:
            return


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
    return f"{fence}{language}\n{printable(text.rstrip())}\n{fence}" if text else ""


def explanation(verdict: Verdict) -> str:
    """Return the verdict in words, with the first input that failed."""
    result = f"{verdict.plus}: {verdict.tests_text}"
    if verdict.failure is None:
        return result
    failure = verdict.failure
    expected = f"expected {failure.expected}\n" if failure.expected else ""
    return f"{result}\n{failure.call}\n{expected}got {failure.actual}"
