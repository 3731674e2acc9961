"""A run from its prompts to its numbers, with a scripted backend and the real judge."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import experiment
from experiments.backends.scripted import Scripted
from experiments.errors import DatasetError, SandboxError
from experiments.records import Dataset, Generation, Problem, Request, RunReport
from experiments.sandbox.isolation.bubblewrap import Bubblewrap
from experiments.schema import (
    CacheMode,
    Config,
    Isolation,
    ModelConfig,
    PromptConfig,
    QuantizationConfig,
    Sampling,
    SamplingConfig,
    SandboxConfig,
    TrackingConfig,
)

PROBLEMS = tuple(
    Problem(
        id=f"p{number}",
        entry_point="f",
        prompt="def f(x):\n",
        reference=f"def f(x):\n    return x + {number}\n",
        base_inputs=((1,), (2,)),
        extra_inputs=((3,),),
    )
    for number in range(4)
)
DATASET = Dataset("set", "digest", PROBLEMS)


class Watched(Scripted):
    """Recites references, and has somebody look after each."""

    def __init__(self, look: Callable[[], None] = lambda: None) -> None:
        super().__init__(dataset=DATASET, mode="reference")
        self._look = look

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, *_: object
    ) -> Iterator[Generation]:
        for generation in super().generate(requests, sampling):
            yield generation
            self._look()


def plan(
    folder: Path,
    backend: Any,
    samples: int = 1,
    dataset: Dataset = DATASET,
    isolation: Isolation = Isolation.auto,
    tracked: bool = False,
) -> Any:
    settings = Config(
        model=ModelConfig(name="watched"),
        quantization=QuantizationConfig("q8_0", "MOSTLY_Q8_0", 8.5),
        prompt=PromptConfig("plain", user="Write {{ entry_point }}."),
        dataset={},
        backend={},
        sampling=SamplingConfig(samples=samples, max_tokens=10),
        sandbox=SandboxConfig(workers=2, isolation=isolation),
        tracking=TrackingConfig(tracked, database(folder), str(folder / "artifacts")),
        cache=CacheMode.off,
        store=str(folder / "store"),
    )
    (folder / "run").mkdir()
    return experiment.plan(
        settings, lambda: dataset, lambda **_: backend, folder / "run", needs_weights=False
    )


def database(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def lines(folder: Path, name: str) -> list[str]:
    path = folder / "run" / name
    return path.read_text().splitlines() if path.exists() else []


def test_generations_are_kept_as_they_come_and_judged_when_all_are_there(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look() -> None:
        kept = [len(lines(tmp_path, f"{name}.jsonl")) for name in ("generations", "verdicts")]
        seen.append((kept[0], kept[1]))

    report = experiment.run(plan(tmp_path, Watched(look)))
    assert seen == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert report.metrics["pass_at_1/plus"] == 1
    assert len(lines(tmp_path, "verdicts.jsonl")) == len(PROBLEMS)


def test_greedy_samples_share_a_generation_and_each_has_its_verdict(tmp_path: Path) -> None:
    report = experiment.run(plan(tmp_path, Watched(), samples=3))
    assert len(lines(tmp_path, "verdicts.jsonl")) == 3 * len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1


def test_generations_are_kept_where_judging_fails(tmp_path: Path) -> None:
    broken = replace(PROBLEMS[0], reference="def f(x): return object()")
    dataset = replace(DATASET, problems=(broken, *PROBLEMS[1:]))
    with pytest.raises(DatasetError, match="p0: the reference fails"):
        experiment.run(plan(tmp_path, Watched(), dataset=dataset))
    assert len(lines(tmp_path, "generations.jsonl")) == len(PROBLEMS)


def test_a_sandbox_that_does_not_work_is_told_before_anything_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bubblewrap, "fault", lambda _: "it is not installed")
    with pytest.raises(SandboxError, match="bubblewrap does not work here"):
        experiment.run(plan(tmp_path, Watched(), isolation=Isolation.bubblewrap))
    assert lines(tmp_path, "generations.jsonl") == []


def test_what_the_isolation_lacks_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment.run(plan(tmp_path, Watched(), isolation=Isolation.process))
    assert caplog.text.count("Programs run without bubblewrap") == 1


def test_a_result_that_cannot_be_shown_is_there_all_the_same_and_in_mlflow(
    tmp_path: Path,
) -> None:
    from mlflow import MlflowClient

    def closed(report: RunReport) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        experiment.run(plan(tmp_path, Watched(), tracked=True), shown=closed)
    assert (tmp_path / "run" / "metrics.json").exists()
    deadline = time.monotonic() + 60
    while not (tmp_path / "artifacts").exists():  # the last that is logged goes on by itself
        assert time.monotonic() < deadline
        time.sleep(0.1)
    client = MlflowClient(tracking_uri=database(tmp_path))
    while (run := client.search_runs(["1"])[0]).info.status == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["pass_at_1/plus"] == 1


def test_a_result_is_shown_when_it_is_there(tmp_path: Path) -> None:
    shown: list[RunReport] = []
    report = experiment.run(plan(tmp_path, Watched()), shown=shown.append)
    assert shown == [report]


DRAFT = "```python\ndef f(x):\n    return -1\n```\n"


def test_a_thought_that_does_not_end_is_an_outcome_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right = f"<think>\n{DRAFT}</think>\n```python\ndef f(x):\n    return x\n```"
    says = {"p0": right, "p1": f"<think>\n{DRAFT}", "p2": f"<think>\n{DRAFT}</think>\n"}
    report = experiment.run(plan(tmp_path, Scripted(dataset=DATASET, answers=says)))
    assert report.metrics["outcomes/passed"] == 1
    assert report.metrics["outcomes/thought_unfinished"] == 1
    assert report.metrics["outcomes/no_code"] == 1  # it thought, and said nothing
    assert report.metrics["thoughts/unfinished"] == 0.25
    assert report.metrics["format/kept"] == 0.5
    assert report.metrics["tokens/thought"] > 0
    assert "1 of 4 thoughts were not finished within 10 tokens" in caplog.text


def test_what_an_earlier_version_kept_is_split_when_it_is_read(tmp_path: Path) -> None:
    class Former(Scripted):
        def generate(self, *arguments: Any) -> Iterator[Generation]:
            for each in super().generate(*arguments):
                text = f"<think>\n{DRAFT}</think>\n{each.text}"
                yield replace(each, text=text, thought="", is_split=False)

    report = experiment.run(plan(tmp_path, Former(dataset=DATASET, mode="reference")))
    assert report.metrics["pass_at_1/plus"] == report.metrics["format/kept"] == 1
