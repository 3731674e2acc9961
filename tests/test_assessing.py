"""Generations are judged when the last of them is there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import experiment
from experiments.backends.scripted import Scripted
from experiments.errors import DatasetError
from experiments.records import Dataset, Generation, Problem, RunReport
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


def reciting() -> Scripted:
    return Scripted(dataset=DATASET, mode="reference")


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


def test_greedy_samples_share_a_generation_and_each_has_its_verdict(tmp_path: Path) -> None:
    report = experiment.run(plan(tmp_path, reciting(), samples=3))
    assert verdicts(tmp_path) == 3 * len(PROBLEMS)
    assert report.metrics["pass_at_1/plus"] == 1


def test_a_reference_that_fails_ends_the_run_when_all_is_generated(tmp_path: Path) -> None:
    broken = replace(PROBLEMS[0], reference="def f(x): return object()")
    dataset = replace(DATASET, problems=(broken, *PROBLEMS[1:]))
    with pytest.raises(DatasetError, match="p0: the reference fails"):
        experiment.run(plan(tmp_path, reciting(), dataset=dataset))
    generations = tmp_path / "run" / "generations.jsonl"
    assert len(generations.read_text().splitlines()) == len(PROBLEMS)


def test_a_result_that_cannot_be_shown_is_there_all_the_same(tmp_path: Path) -> None:
    def closed(report: RunReport) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        experiment.run(plan(tmp_path, reciting()), shown=closed)
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_result_is_shown_when_it_is_there(tmp_path: Path) -> None:
    shown: list[RunReport] = []
    report = experiment.run(plan(tmp_path, reciting()), shown=shown.append)
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
