"""What a folder says of its run in MLflow: what is to be logged, where, and how far that is.

The note is written before MLflow is asked for anything, so that whoever comes later, after a
crash or when the server is back, knows the run: by its key, which MLflow has as a tag.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from experiments.store import runs, write_text
from experiments.store.files import known_fields
from experiments.tracking.opening import without_password

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run ended, in MLflow's words."""

KEY = "run_key"
"""The tag by which MLflow finds a run that a folder has noted."""


@dataclass(frozen=True)
class NewRun:
    """What a run in MLflow begins with.

    Attributes:
        uri, artifacts, experiment: as `open_experiment` takes them.
        name: of the run.
        folder: of the run or the sweep, which has the note.
        parent: id of the sweep's run.
        tags: what it is found by, besides its parameters.
        system_metrics: log CPU, memory, disk and network of the machine, where psutil is.
        parameters: settings under their dotted names.
        dataset: name, digest and number of problems.
        traces: log each sample as a trace.
        identity: digest of all that decides the result: of the same one, a run goes on.
    """

    uri: str
    artifacts: str | None
    experiment: str
    name: str
    folder: Path
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    system_metrics: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dataset: tuple[str, str, int] | None = None
    traces: bool = True
    identity: str = ""


@dataclass(frozen=True)
class Note:
    """A run in MLflow as its folder knows it.

    Attributes:
        new: what it begins with.
        key: tells it from all others, on whatever machine.
        began: seconds since 1970.
        run_id, experiment_id: in MLflow; empty until it is there.
        status: how it ended; empty until it has.
        description: shown by MLflow, of a sweep.
        is_complete: MLflow has all of it.
        former: id of a run that this folder had before, and that may still be open.
    """

    new: NewRun
    key: str
    began: float
    run_id: str = ""
    experiment_id: str = ""
    status: str = ""
    description: str = ""
    is_complete: bool = False
    former: str = ""

    @property
    def is_sweep(self) -> bool:
        """Whether it is the parent of a sweep's jobs."""
        return self.new.tags.get("kind") == "sweep"


def opened(new: NewRun, now: float) -> Note:
    """Return the note of a run that begins, or goes on where its folder has begun the same."""
    before = read(new.folder)
    note = Note(new, uuid.uuid4().hex, now)
    if before is not None:
        same = (new.identity, without_password(new.uri)) == (before.new.identity, before.new.uri)
        if new.identity and same:
            note = replace(before, new=new, status="", is_complete=False)
        elif not before.is_complete:
            note = replace(note, former=before.run_id)
    write(note)
    return note


def read(folder: Path) -> Note | None:
    """Return the note of a run's or a sweep's folder; None where there is none, or a damaged one.

    Earlier versions noted a run when all of it was logged: of those, nothing is left to do.
    """
    for name in (runs.TRACKED, runs.SWEEP):
        try:
            content = json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
            new = content.pop("new")
            if new["dataset"] is not None:
                new["dataset"] = tuple(new["dataset"])
            begun = NewRun(**{**known_fields(NewRun, new), "folder": folder})
            return Note(**{**known_fields(Note, content), "new": begun})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def tracked(folder: Path) -> Iterator[Path]:
    """Yield the folders below one, itself included, that say what MLflow is to have.

    A sweep comes before its jobs, whose parent it is.
    """
    found = {path.parent for name in (runs.SWEEP, runs.TRACKED) for path in folder.rglob(name)}
    yield from sorted(found, key=lambda each: (len(each.parts), each))


def lacking(folder: Path) -> int:
    """Return of how many runs in a folder, each with a result, MLflow lacks a part."""
    found = [note for each in tracked(folder) if (note := read(each)) is not None]
    return sum(note.status == "FINISHED" and not note.is_complete for note in found)


def outcome(folder: Path, said: str) -> str:
    """Return how a run ended: as its folder shows, else as somebody said."""
    if not runs.is_finished(folder):
        return said
    return "FAILED" if (folder / runs.FAILURE).exists() else "FINISHED"


def write(note: Note) -> None:
    """Keep a note in its folder.

    Raises:
        StoreError: it cannot be written.
    """
    content = asdict(note)
    del content["new"]["folder"]  # which may be moved
    content["new"]["uri"] = without_password(note.new.uri)
    content["new"]["artifacts"] = without_password(note.new.artifacts or "") or None
    content["new"]["parameters"] = dict(note.new.parameters)
    name = runs.SWEEP if note.is_sweep else runs.TRACKED
    write_text(note.new.folder / name, json.dumps(content, indent=1, default=str) + "\n")
