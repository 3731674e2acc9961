"""MLflow's review queues: the only module that uses them and their label schemas.

Both are experimental since MLflow 3.14. A queue holds traces of its own, which say what a person
has to know and nothing else, in an experiment of their own. Each reviewer has a queue and traces
of her own: nobody sees what another says, and an MLflow without logins, which knows no names,
still tells who answered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from experiments.errors import TrackingError
from experiments.tracking.assessments import GRADE, REASONS
from experiments.tracking.opening import database_file, explained, open_experiment, require_database

MOST_AT_ONCE = 100
"""Items that are listed or added in one call."""


LONGEST_PREVIEW = 1000
"""Characters of a trace's preview in MLflow's own database schema."""


@dataclass(frozen=True)
class Questions:
    """What is asked of each item.

    Attributes:
        grades: one of which is taken, with a comment.
        meaning: of the grades, for the reviewer.
        reasons: any of which are taken; empty: they are not asked for.
    """

    grades: Sequence[str]
    meaning: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class Item:
    """What a reviewer sees, as Markdown by heading, the most important first."""

    asked: Mapping[str, str]
    answered: Mapping[str, str]


@dataclass(frozen=True)
class Progress:
    """How many items of a queue are in which state."""

    pending: int
    complete: int
    declined: int


def open_queue(
    uri: str, artifacts: str | None, experiment: str, name: str, reviewer: str, asks: Questions
) -> tuple[str, str]:
    """Return the ids of the experiment and of a new queue in it, or of one that is still empty.

    Args:
        uri: of the tracking server or database.
        artifacts: folder of the artifacts, for databases on this machine.
        experiment: name of the experiment of the items; made if new.
        name: of the queue.
        reviewer: who is to answer.
        asks: what.

    Raises:
        TrackingError: there is such a queue, MLflow has none, or it cannot be used.
    """
    found = open_experiment(uri, artifacts, experiment)
    with _queues(uri):
        from mlflow.genai.review_queues import (
            create_review_queue,
            list_review_queue_items,
            list_review_queues,
        )

        for queue in list_review_queues(experiment_id=found, max_results=MOST_AT_ONCE):
            if queue.name == name:
                if list_review_queue_items(queue.queue_id, max_results=1):
                    raise TrackingError(
                        f"There is a review queue '{name}' already",
                        "How far it is: --status. To add another: --name NAME",
                    )
                return found, str(queue.queue_id)
        made = create_review_queue(
            name,
            queue_type="custom",
            users=[reviewer],
            schema_ids=_schemas(found, asks),
            experiment_id=found,
        )
    return found, str(made.queue_id)


def _schemas(experiment: str, asks: Questions) -> list[str]:
    """Return the ids of the questions, which all queues of an experiment share."""
    from mlflow.genai.label_schemas import (
        InputCategorical,
        create_label_schema,
        list_label_schemas,
        update_label_schema,
    )

    known = {schema.name: schema for schema in list_label_schemas(experiment)}
    wanted = [(GRADE, asks.grades, False, asks.meaning)]
    if asks.reasons:  # asked second, and MLflow shows the newest question first
        wanted.insert(0, (REASONS, asks.reasons, True, "Any that apply, or none."))
    ids = []
    for name, options, several, instruction in wanted:
        answers = InputCategorical(options=list(options), multi_select=several)
        if name in known:
            schema = update_label_schema(
                known[name].schema_id, instruction=instruction, input=answers
            )
        else:
            schema = create_label_schema(
                name,
                type="feedback",
                input=answers,
                instruction=instruction,
                enable_comment=name == GRADE,
                experiment_id=experiment,
            )
        ids.append(str(schema.schema_id))
    return ids


def log_items(uri: str, experiment: str, items: Sequence[Item]) -> list[str]:
    """Return the ids of traces that show these items, logged in their order.

    The pages of a queue show the preview of a trace, and the rest of it a click away. A server's
    database may hold no preview of more than `LONGEST_PREVIEW` characters; SQLite does.

    Raises:
        TrackingError: MLflow cannot be used, or gave up a trace.
    """
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    os.environ["MLFLOW_TRACE_SAMPLING_RATIO"] = "1"
    os.environ.pop("MLFLOW_RUN_ID", None)
    longest = LONGEST_PREVIEW if database_file(uri) is None else None
    traces = []
    with explained(uri):
        import mlflow
        from mlflow.entities import NoOpSpan

        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(experiment_id=experiment)
        for number, item in enumerate(items, start=1):
            with mlflow.start_span(f"program {number}") as span:
                if isinstance(span, NoOpSpan):
                    raise TrackingError(f"MLflow did not begin the trace of program {number}")
                span.set_inputs(dict(item.asked))
                span.set_outputs(dict(item.answered))
                mlflow.update_current_trace(
                    request_preview=_preview(item.asked, longest),
                    response_preview=_preview(item.answered, longest),
                )
                traces.append(str(span.trace_id))
    return traces


def _preview(parts: Mapping[str, str], longest: int | None) -> str:
    """Return all parts under their headings, cut if need be."""
    text = "\n\n".join(f"**{heading}**\n\n{part}" for heading, part in parts.items())
    if longest is None or len(text) <= longest:
        return text
    end = "\n````\n… (View full trace shows the rest.)"  # closes whatever fence was open
    return text[: longest - len(end)] + end


def fill(uri: str, queue: str, traces: Sequence[str]) -> None:
    """Put traces into a queue, those that are to be read first on top of its list.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    with _queues(uri):
        from mlflow.genai.review_queues import add_items_to_review_queue

        newest_first = list(reversed(traces))  # the list shows the last attached first
        for start in range(0, len(newest_first), MOST_AT_ONCE):
            add_items_to_review_queue(queue, item_ids=newest_first[start : start + MOST_AT_ONCE])


def progress(uri: str, queue: str) -> Progress:
    """Return how far a queue is.

    Raises:
        TrackingError: MLflow cannot be used, or has no such queue.
    """
    require_database(uri)
    with _queues(uri):
        from mlflow.genai.review_queues import list_review_queue_items

        counts = {"pending": 0, "complete": 0, "declined": 0}
        token = None
        while True:
            page = list_review_queue_items(queue, max_results=MOST_AT_ONCE, page_token=token)
            for item in page:
                counts[str(item.status.value)] += 1
            token = page.token
            if not token:
                return Progress(**counts)


@contextmanager
def _queues(uri: str) -> Iterator[None]:
    """Use MLflow at an address, and say so where it has no review queues."""
    hint = "Update it (pip install 'mlflow>=3.14'), or grade in the terminal: --text"
    with explained(uri):
        import mlflow
        from mlflow import MlflowException

        mlflow.set_tracking_uri(uri)
        try:
            yield
        except ModuleNotFoundError:
            raise TrackingError("This MLflow has no review queues", hint) from None
        except MlflowException as error:
            if error.error_code != "ENDPOINT_NOT_FOUND":
                raise
            raise TrackingError(f"MLflow at '{uri}' has no review queues", hint) from None
