"""Generations are judged beside the model on the cores that it leaves free, and else after it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import experiment
from experiments.backends import Told
from experiments.backends.scripted import Scripted
from experiments.errors import DatasetError
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
    """Recites references, leaves as many cores free as it is told, and calls between answers."""

    def __init__(self, free: int, between: Callable[[Told], None]) -> None:
        super().__init__(dataset=DATASET, mode="reference")
        self._free = free
        self._between = between

    def free_cores(self) -> int:
        return self._free

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, told: Told | None = None
    ) -> Iterator[Generation]:
        assert told is not None
        for generation in super().generate(requests, sampling):
            yield generation
            self._between(told)


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


def test_what_is_generated_is_judged_meanwhile_where_a_core_is_free(tmp_path: Path) -> None:
    seen = 0

    def wait_for_a_verdict(told: Told) -> None:
        nonlocal seen
        if seen == len(PROBLEMS) - 1:
            return  # the last is judged when nothing is generated any more
        deadline = time.monotonic() + 60
        while verdicts(tmp_path) <= seen and time.monotonic() < deadline:
            told("waiting")
            time.sleep(0.02)
        assert verdicts(tmp_path) == seen + 1
        seen += 1

    report = experiment.run(plan(tmp_path, Watched(1, wait_for_a_verdict)))
    assert seen == len(PROBLEMS) - 1
    assert verdicts(tmp_path) == len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1


def test_nothing_is_judged_before_the_end_where_none_is(tmp_path: Path) -> None:
    def look(told: Told) -> None:
        told("looking")
        time.sleep(0.2)
        assert verdicts(tmp_path) == 0

    report = experiment.run(plan(tmp_path, Watched(0, look)))
    assert report.metrics["pass_at_1/plus"] == 1
    assert verdicts(tmp_path) == len(PROBLEMS)


def test_greedy_samples_share_a_generation_and_each_has_its_verdict(tmp_path: Path) -> None:
    report = experiment.run(plan(tmp_path, Watched(2, lambda told: None), samples=3))
    assert verdicts(tmp_path) == 3 * len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1


def test_where_judging_fails_generating_goes_on_and_the_run_fails_at_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generated = 0

    def wait(told: Told) -> None:
        nonlocal generated
        generated += 1
        deadline = time.monotonic() + 60
        while "Nothing more is judged" not in caplog.text and time.monotonic() < deadline:
            told("waiting")
            time.sleep(0.05)

    broken = replace(PROBLEMS[0], reference="def f(x): return object()")
    dataset = replace(DATASET, problems=(broken, *PROBLEMS[1:]))
    with pytest.raises(DatasetError, match="p0: the reference fails"):
        experiment.run(plan(tmp_path, Watched(1, wait), dataset=dataset))
    assert caplog.text.count("Nothing more is judged, and generating goes on. p0") == 1
    assert generated == len(PROBLEMS)


def test_a_result_that_cannot_be_shown_is_there_all_the_same(tmp_path: Path) -> None:
    def closed(report: RunReport) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        experiment.run(plan(tmp_path, Watched(1, lambda told: None)), shown=closed)
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_result_is_shown_when_it_is_there(tmp_path: Path) -> None:
    shown: list[RunReport] = []
    report = experiment.run(plan(tmp_path, Watched(1, lambda told: None)), shown=shown.append)
    assert shown == [report]
