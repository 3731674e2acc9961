"""Generations are judged when the last of them is there."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import experiment
from experiments.backends import Told
from experiments.backends.scripted import Scripted
from experiments.errors import DatasetError, SandboxError
from experiments.experiment import assessing
from experiments.records import Dataset, Generation, Problem, Request, RunReport, Sampling
from experiments.schema import (
    CacheMode,
    Config,
    ModelConfig,
    PromptConfig,
    QuantizationConfig,
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
    """Recites references, and calls between answers."""

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        super().__init__(dataset=DATASET, mode="reference")
        self._between = between

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, told: Told | None = None
    ) -> Iterator[Generation]:
        for generation in super().generate(requests, sampling):
            yield generation
            self._between()


def plan(folder: Path, backend: Any, samples: int = 1, dataset: Dataset = DATASET) -> Any:
    settings = Config(
        model=ModelConfig(name="watched"),
        quantization=QuantizationConfig("q8_0", "MOSTLY_Q8_0", 8.5),
        prompt=PromptConfig("plain", user="Write {{ entry_point }}."),
        dataset={},
        backend={},
        sampling=SamplingConfig(samples=samples, max_tokens=10),
        sandbox=SandboxConfig(workers=2),
        tracking=TrackingConfig(enabled=False),
        cache=CacheMode.off,
        store=str(folder / "store"),
    )
    (folder / "run").mkdir()
    return experiment.plan(
        settings, lambda: dataset, lambda **_: backend, folder / "run", needs_weights=False
    )


def verdicts(folder: Path) -> int:
    path = folder / "run" / "verdicts.jsonl"
    return len(path.read_text().splitlines())


def test_nothing_is_judged_before_the_last_is_generated(tmp_path: Path) -> None:
    seen = []

    def look() -> None:
        time.sleep(0.2)
        seen.append((tmp_path / "run" / "verdicts.jsonl").exists())

    report = experiment.run(plan(tmp_path, Watched(look)))
    assert seen == [False] * len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1
    assert verdicts(tmp_path) == len(PROBLEMS)


def test_greedy_samples_share_a_generation_and_each_has_its_verdict(tmp_path: Path) -> None:
    report = experiment.run(plan(tmp_path, Watched(), samples=3))
    assert verdicts(tmp_path) == 3 * len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1
    assert report.metrics["count/verdicts_shared"] == 2 * len(PROBLEMS)


def test_where_judging_fails_all_generations_are_kept(tmp_path: Path) -> None:
    broken = replace(PROBLEMS[0], reference="def f(x): return object()")
    dataset = replace(DATASET, problems=(broken, *PROBLEMS[1:]))
    with pytest.raises(DatasetError, match="p0: the reference fails"):
        experiment.run(plan(tmp_path, Watched(), dataset=dataset))
    generations = (tmp_path / "run" / "generations.jsonl").read_text().splitlines()
    assert len(generations) == len(PROBLEMS)


def test_a_sandbox_that_does_not_work_is_told_before_anything_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(_: str) -> str:
        raise SandboxError("no sandbox here")

    def generated() -> None:
        raise AssertionError("something was generated")

    monkeypatch.setattr(assessing, "choose", unusable)
    with pytest.raises(SandboxError, match="no sandbox here"):
        experiment.run(plan(tmp_path, Watched(generated)))


def test_a_result_that_cannot_be_shown_is_there_all_the_same(tmp_path: Path) -> None:
    def closed(report: RunReport) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        experiment.run(plan(tmp_path, Watched()), shown=closed)
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_result_is_shown_when_it_is_there(tmp_path: Path) -> None:
    shown: list[RunReport] = []
    report = experiment.run(plan(tmp_path, Watched()), shown=shown.append)
    assert shown == [report]
