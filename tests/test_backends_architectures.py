"""Texts are the same in company and alone, and prompts are shared, on other architectures too."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_backends_llama_cpp import _quiet, backend, completed, generate, weights_of  # noqa: F401
from tiny_architectures import ARCHITECTURES, write_architecture
from tiny_model import write_tiny_model

from experiments.backends.llama_cpp import LlamaCpp, host
from experiments.backends.llama_cpp.sequence import Job
from experiments.errors import BackendError, WeightsError
from experiments.schema import Sampling

SHARED = "Here are some examples of programs that were written well, and one that was not. " * 2
OWN = 75
"""More tokens than what a prompt below does not share."""

NAMES = sorted(ARCHITECTURES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("architectures")


def model(folder: Path, name: str) -> Path:
    path = folder / f"{name}.gguf"
    return path if path.exists() else write_architecture(path, name)


def jobs(count: int, samples: int = 1) -> list[Job]:
    return [
        Job(
            f"{n}.{sample}",
            f"{SHARED}Problem {n}: " + "write it. " * (4 + n % 3) + f"{n}" * 3,
            n,
            False,
            "f",
        )
        for n in range(count)
        for sample in range(samples)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parallel", [3, 8])
def test_texts_are_those_of_a_fresh_context(folder: Path, name: str, parallel: int) -> None:
    path, work, sampling = model(folder, name), jobs(5, samples=2), Sampling(max_tokens=24)
    fresh = {
        job.key: completed(path, [job], sampling, parallel=1)[job.key].token_ids
        for job in work[::2]
    }
    assert len({tuple(ids) for ids in fresh.values()}) > 2
    together = completed(path, work, sampling, parallel)
    for job in work:
        assert together[job.key].token_ids == fresh[f"{job.key.partition('.')[0]}.0"]


@pytest.mark.parametrize("name", NAMES)
def test_the_common_beginning_is_prefilled_once(folder: Path, name: str) -> None:
    results = completed(model(folder, name), jobs(6), Sampling(max_tokens=4), parallel=4)
    first, *others = [results[f"{n}.0"] for n in range(6)]
    assert first.shared_tokens == 0
    assert all(one.prompt_tokens - one.shared_tokens < OWN for one in others)


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_a_prompt_prefill_it_once(folder: Path, name: str) -> None:
    sampling = Sampling(max_tokens=6, temperature=1.0)
    results = completed(model(folder, name), jobs(3, samples=4), sampling, parallel=3)
    for n in range(3):
        first, *others = [results[f"{n}.{sample}"] for sample in range(4)]
        assert {one.shared_tokens for one in others} == {first.prompt_tokens - 1}
        assert (first.prompt_tokens - first.shared_tokens < OWN) == (n > 0)


def test_a_micro_batch_is_a_multiple_of_the_streams(folder: Path) -> None:
    work, sampling = jobs(4), Sampling(max_tokens=6)
    usual = completed(model(folder, "lfm2"), work, sampling, 3)
    for batch, micro in ((64, 7), (16, 3), (512, 512)):
        some = completed(
            model(folder, "lfm2"), work, sampling, 3, batch_tokens=batch, micro_batch_tokens=micro
        )
        assert {k: v.token_ids for k, v in some.items()} == {
            k: v.token_ids for k, v in usual.items()
        }


@pytest.mark.parametrize(
    ("name", "kind"), [("llada", "a diffusion model"), ("bert", "an encoder"), ("t5", "an encoder")]
)
def test_what_does_not_write_from_left_to_right_is_refused(
    tmp_path: Path, name: str, kind: str
) -> None:
    known = replace(weights_of(tmp_path / "m.gguf"), architecture=name)
    with pytest.raises(WeightsError, match=rf"m\.gguf is {kind} \({name}\)"):
        LlamaCpp(known).prepare([], Sampling(), 0)


def test_an_unknown_architecture_is_no_reason_to_try_again(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "new.gguf")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"llama", b"lorem"))
    try:
        with pytest.raises(BackendError, match="does not know 'lorem'") as failure:
            generate(backend(path))
    finally:
        host.close_worker()
    assert "the same command goes on" not in str(failure.value)
