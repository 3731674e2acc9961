"""A generation as MLflow's trace: prompt, raw text, program and verdict, assessed by code."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from experiments.records import Generation, Prompt, Solution, Verdict


@dataclass(frozen=True)
class Answer:
    """All that is known of one generation."""

    prompt: Prompt
    generation: Generation
    solution: Solution
    verdict: Verdict


def trace(experiment_id: str, run: str, answer: Answer, usage_in_span: bool) -> tuple[Any, Any]:
    """Return a generation as MLflow's trace and its only span, assessed by code.

    Args:
        experiment_id: MLflow's.
        run: id of the run that it is part of.
        answer: the generation.
        usage_in_span: whether the span has the number of tokens as well. If not, MLflow looks
            for them; if so, servers before MLflow 3.12 count them twice.
    """
    from mlflow.entities import AssessmentSource, Feedback, Span, TraceInfo, TraceState
    from mlflow.entities.trace_location import TraceLocation

    generation, verdict, solution = answer.generation, answer.verdict, answer.solution
    seconds = generation.prefill_seconds + generation.decode_seconds
    end = time.time_ns()
    start = end - int(seconds * 1e9)
    number = secrets.token_bytes(16)
    trace_id = f"tr-{number.hex()}"
    messages = [{"role": m.role, "content": m.content} for m in answer.prompt.messages]
    inputs = {"messages": messages} if messages else {"prompt": answer.prompt.completion}
    outputs = {
        **({"thought": generation.thought} if generation.thought else {}),
        "text": generation.text,
        "program": _fenced(solution.program, "python"),
        "verdict": _fenced(_rationale(verdict)),
    }
    usage = {
        "input_tokens": generation.prompt_tokens,
        "output_tokens": generation.new_tokens,
        "total_tokens": generation.prompt_tokens + generation.new_tokens,
    }
    attributes: dict[str, Any] = {
        "mlflow.traceRequestId": trace_id,
        "mlflow.spanType": "LLM",
        "mlflow.spanInputs": inputs,
        "mlflow.spanOutputs": outputs,
        "sample": generation.sample,
        "finish_reason": str(generation.finish_reason),
        "prompt_tokens": generation.prompt_tokens,
        "new_tokens": generation.new_tokens,
        "thought_tokens": generation.thought_tokens,
        "prefill_seconds": generation.prefill_seconds,
        "decode_seconds": generation.decode_seconds,
        "cached": generation.cached,
    }
    if usage_in_span:
        attributes["mlflow.chat.tokenUsage"] = usage
    span = Span.from_dict(
        {
            "trace_id": base64.b64encode(number).decode(),
            "span_id": base64.b64encode(secrets.token_bytes(8)).decode(),
            "parent_span_id": None,
            "name": generation.problem_id,
            "start_time_unix_nano": start,
            "end_time_unix_nano": end,
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {k: json.dumps(v, ensure_ascii=False) for k, v in attributes.items()},
            "events": [],
        }
    )
    source = AssessmentSource(source_type="CODE", source_id="experiments.judge")
    passed = verdict.plus == "passed"
    assessments = [
        Feedback("passed", passed, source=source, rationale=_rationale(verdict)),
        Feedback("format_kept", solution.format_kept, source=source),
    ]
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=start // 1_000_000,
        execution_duration=int(seconds * 1000),
        state=TraceState.OK,
        request_preview=_preview(messages[-1]["content"] if messages else inputs["prompt"]),
        response_preview=_preview(solution.program or generation.text),
        trace_metadata={
            "mlflow.sourceRun": run,
            "mlflow.trace_schema.version": "3",
            "mlflow.trace.tokenUsage": json.dumps(usage),
        },
        tags={
            "mlflow.traceName": generation.problem_id,
            "outcome": str(verdict.plus),
            "problem": generation.problem_id,
        },
        assessments=assessments,
    )
    return info, span


def _preview(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= 1000 else f"{shown[:997]}..."


def _fenced(text: str, language: str = "") -> str:
    """Return a text as Markdown that keeps its lines: MLflow shows a trace's texts as such."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}" if text else ""


def _rationale(verdict: Verdict) -> str:
    told = f"{verdict.plus}: {verdict.tests_passed} of {verdict.tests_total} tests passed"
    if verdict.failure is None:
        return told
    failure = verdict.failure
    expected = f"expected {failure.expected}\n" if failure.expected else ""
    return f"{told}\n{failure.call}\n{expected}got {failure.actual}"
