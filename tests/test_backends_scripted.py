from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from experiments.backends import Backend
from experiments.backends.keys import seed_of
from experiments.backends.scripted import Scripted
from experiments.errors import BackendError, ConfigError
from experiments.records import Dataset, Message, Problem, Prompt, Weights
from experiments.schema import Sampling

PROBLEMS = tuple(
    Problem(f"easy/{name}", name, f"def {name}():\n", f"def {name}():\n    return 1\n", ((),))
    for name in ("one", "two")
)
DATASET = Dataset("problems", "digest", PROBLEMS)
PROMPTS = [
    Prompt(p.id, p.entry_point, messages=(Message("user", f"Write {p.prompt}"),)) for p in PROBLEMS
]


def load_dataset() -> Dataset:
    return DATASET


def answers(backend: Backend, sampling: Sampling | None = None) -> list[str]:
    sampling = sampling or Sampling()
    requests = backend.prepare(PROMPTS, sampling, 0)
    return [generation.text for generation in backend.generate(requests, sampling)]


def test_references_are_recited_in_a_block() -> None:
    assert answers(Scripted(dataset=DATASET, mode="reference")) == [
        "```python\ndef one():\n    return 1\n```",
        "```python\ndef two():\n    return 1\n```",
    ]


def test_a_completion_goes_on_from_the_prompt() -> None:
    backend = Scripted(dataset=DATASET, mode="reference")
    prompt = Prompt("easy/one", "one", completion="def one():\n")
    requests = backend.prepare([prompt], Sampling(), 0)
    (generation,) = backend.generate(requests, Sampling())
    names: dict[str, object] = {}
    exec(prompt.completion + generation.text, names)
    assert names["one"]() == 1  # type: ignore[operator]


def test_mixed_is_right_and_wrong_by_turns() -> None:
    right, wrong = answers(Scripted(dataset=DATASET, mode="mixed"))
    assert "return 1" in right
    assert "return None" in wrong


def test_prose_has_no_program() -> None:
    assert all("def" not in text for text in answers(Scripted(mode="prose")))


def test_given_answers_come_before_the_mode() -> None:
    one, two = answers(Scripted(answers={"easy/one": "mine"}))
    assert one == "mine"
    assert "return None" in two
    assert answers(Scripted(answers=lambda prompt: prompt.entry_point)) == ["one", "two"]


def test_another_answer_has_another_key() -> None:
    keys = {
        request.key
        for text in ("a", "b")
        for request in Scripted(answers=lambda _, t=text: t).prepare(PROMPTS, Sampling(), 0)
    }
    assert len(keys) == 4


def test_greedy_samples_share_a_key_and_others_do_not() -> None:
    backend = Scripted()
    greedy = backend.prepare(PROMPTS, Sampling(samples=3), 0)
    assert [r.sample for r in greedy] == [0, 1, 2, 0, 1, 2]
    assert len({r.key for r in greedy}) == 2
    assert len({r.key for r in backend.prepare(PROMPTS, Sampling(3, temperature=0.5), 0)}) == 6


def test_the_key_is_of_what_decides_the_text() -> None:
    backend = Scripted()

    def key(seed: int = 0, **changed: Any) -> str:
        return backend.prepare(PROMPTS, Sampling(**changed), seed)[0].key

    assert key() == key(seed=1) == key(top_k=3) == key(samples=2)  # greedy
    warm = key(temperature=0.5)
    others: list[dict[str, Any]] = [
        {"seed": 1},
        {"top_k": 3},
        {"top_p": 0.5},
        {"min_p": 0.2},
        {"max_tokens": 7},
    ]
    keys = [key(temperature=0.5, **other) for other in others]
    assert len({key(), warm, *keys, key(repeat_penalty=1.1)}) == 8


def test_equal_prompts_of_two_data_sets_share_a_key_when_greedy() -> None:
    backend = Scripted()
    other = [Prompt("other/id", p.entry_point, messages=p.messages) for p in PROMPTS]
    for mine, theirs in zip(PROMPTS, other, strict=True):
        (a,) = backend.prepare([mine], Sampling(), 0)
        (b,) = backend.prepare([theirs], Sampling(), 0)
        assert a.key == b.key


def test_seeds_differ_by_run_problem_and_sample() -> None:
    seeds = {seed_of(r, p, s) for r in range(3) for p in ("a", "b") for s in range(3)}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(0, "easy/one", 0) == 2_677_733_747  # stays as it is: stored keys depend on it


def test_it_fails_where_it_was_told_to_and_keeps_what_it_said() -> None:
    backend = Scripted(fails_after=1)
    requests = backend.prepare(PROMPTS, Sampling(), 0)
    stream = backend.generate(requests, Sampling(), lambda remark: None)
    assert next(stream).problem_id == "easy/one"
    with pytest.raises(BackendError, match="after 1 answers"):
        next(stream)


def test_an_unknown_mode_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"no backend\.mode 'refrence'\. Did you mean 'reference'"
    ):
        Scripted(mode="refrence")


def test_references_need_a_data_set() -> None:
    with pytest.raises(ConfigError, match="there is none"):
        Scripted(mode="reference")


def test_hydra_makes_it_from_its_file_with_the_runs_data_set() -> None:
    config = OmegaConf.create(
        {
            "dataset": {"_target_": "test_backends_scripted.load_dataset"},
            "backend": OmegaConf.load(Path("conf/backend/scripted.yaml")),
        }
    )
    weights = Weights(Path("x.gguf"), "0" * 64, "demo", "q8_0", 1, 8.0, 1)
    backend = instantiate(config.backend, weights=weights)
    assert isinstance(backend, Scripted)
    assert answers(backend)[0].count("return 1") == 1
    assert not backend.needs_weights
    assert backend.describe() == {"name": "scripted", "mode": "reference"}
    assert backend.statistics() == {}
