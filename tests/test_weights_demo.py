"""The demo model that ships: what its file says, and that llama.cpp reads it as it was meant."""

import ast
import importlib
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from experiments import weights
from experiments.extract import extract
from experiments.problems import load_own
from experiments.records import Problem
from experiments.schema import ModelConfig, QuantizationConfig

LEVELS = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k")


@pytest.fixture(scope="module")
def demo() -> Path:
    return Path(__file__).parent.parent / "models" / "demo" / "demo-f16.gguf"


@pytest.fixture(scope="module")
def training() -> ModuleType:
    """The folder `training/`, which is no part of the installed package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent))
        importlib.import_module("training.chats")
        importlib.import_module("training.tokenizer")
        return importlib.import_module("training")


@pytest.fixture(scope="module")
def problems(root: Path) -> tuple[Problem, ...]:
    return load_own(root / "problems").problems


@pytest.fixture(scope="module")
def tokenizer(demo: Path, training: ModuleType) -> Any:
    """The tokenizer of the file, as training had it."""
    fields = gguf.GGUFReader(demo).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    return training.tokenizer.Tokenizer(tuple(tokens), tuple(tuple(m.split()) for m in merges))


@pytest.fixture(scope="module")
def llama_words(demo: Path) -> Any:
    """llama.cpp with the file's vocabulary and without its weights."""
    import llama_cpp

    model = llama_cpp.Llama(str(demo), vocab_only=True, verbose=False)
    yield lambda text: model.tokenize(text.encode(), add_bos=False, special=True)
    model.close()


def test_the_file_is_small_and_says_what_it_is(demo: Path, training: ModuleType) -> None:
    assert demo.stat().st_size < 8_000_000
    header = weights.read_header(demo)
    assert (header.architecture, header.level) == ("llama", "f16")
    assert header.text("general.name") == "demo"
    assert "nothing about code generation" in header.text("general.description")
    assert header.text("tokenizer.chat_template") == training.chats.CHAT_TEMPLATE
    assert header.token("tokenizer.ggml.eos_token_id") == "<|im_end|>"
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False


def test_rows_fit_every_level_so_that_none_falls_back(demo: Path) -> None:
    for tensor in weights.read_header(demo).tensors:
        assert len(tensor.shape) == 1 or tensor.shape[0] % 256 == 0


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_made_and_has_about_its_nominal_size(
    demo: Path, root: Path, tmp_path: Path, level: str
) -> None:
    (tmp_path / "demo").mkdir()
    os.symlink(demo, tmp_path / "demo" / demo.name)
    model = OmegaConf.merge(
        OmegaConf.structured(ModelConfig), OmegaConf.load(root / "conf/model/demo.yaml")
    )
    quantization = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(QuantizationConfig),
            OmegaConf.load(root / f"conf/quantization/{level}.yaml"),
        )
    )
    made = weights.locate(OmegaConf.to_object(model), quantization, tmp_path)
    assert made.quantization == level
    assert made.bits_per_weight == pytest.approx(weights.bits(quantization), rel=0.08)


def test_llama_cpp_reads_chats_as_training_did(
    tokenizer: Any, llama_words: Any, training: ModuleType, root: Path, problems: Any
) -> None:
    for chat in training.chats.chats(problems, root / "conf" / "prompt"):
        text = chat.question + chat.answer
        assert llama_words(text) == tokenizer.encode(text)
        assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text(st.characters(max_codepoint=126, exclude_categories=["Cc"], include_characters="\n\t"))
)
def test_llama_cpp_reads_any_plain_text_as_training_does(
    tokenizer: Any, llama_words: Any, text: str
) -> None:
    assert llama_words(text) == tokenizer.encode(text)


def test_some_of_each_difficulty_are_held_out_and_most_are_not(
    training: ModuleType, problems: Any
) -> None:
    unseen = training.chats.held_out(problems)
    for difficulty in ("easy", "medium", "hard"):
        group = [problem for problem in problems if problem.difficulty == difficulty]
        share = [problem for problem in unseen if problem.difficulty == difficulty]
        assert 0 < len(share) < len(group) / 2


def test_lessons_leave_out_what_is_held_out(
    training: ModuleType, root: Path, problems: Any
) -> None:
    lessons = list(training.chats.lessons(problems, root / "conf" / "prompt"))
    asked = {(chat.problem.id, chat.strategy) for chat in lessons}
    unseen = {problem.id for problem in training.chats.held_out(problems)}
    not_plain = {problem.id for problem in training.chats.cot_only(problems)}
    assert not unseen & not_plain
    for problem in problems:
        assert ((problem.id, "cot") in asked) == (problem.id not in unseen)
        assert ((problem.id, "plain") in asked) == (problem.id not in unseen | not_plain)


def test_a_new_problem_changes_nothing_for_the_others(training: ModuleType, problems: Any) -> None:
    added = tuple(replace(problems[0], id=f"easy/{letter}") for letter in "abcdefgh")
    for chosen in (training.chats.held_out, training.chats.cot_only):
        before = [problem.id for problem in chosen(problems)]
        after = [problem.id for problem in chosen(problems + added)]
        new = {problem.id for problem in added}
        assert [name for name in after if name not in new] == before


def test_answers_keep_the_format_and_lose_nothing_but_the_docstring(
    training: ModuleType, root: Path, problems: Any
) -> None:
    for chat in training.chats.chats(problems, root / "conf" / "prompt"):
        problem = chat.problem
        text = chat.answer.removesuffix("<|im_end|>")
        found = extract(text, problem.prompt, problem.entry_point, "chat")
        assert found.format_kept, (problem.id, chat.strategy)
        assert _without_docstring(found.program, problem) == _without_docstring(
            problem.reference, problem
        )


def test_steps_are_named_and_in_order(training: ModuleType, problems: Any) -> None:
    for problem in problems:
        lines = training.chats.reasoning(problem).splitlines()
        names = [line.split(":")[0] for line in lines]
        assert names == ["Restate", "Inputs and outputs", "Edge cases", "Plan"]


@pytest.mark.slow
def test_learned_problems_are_recited_and_held_out_ones_are_not(
    demo: Path, training: ModuleType, root: Path, problems: Any
) -> None:
    import llama_cpp

    unseen = training.chats.held_out(problems)
    other = (*unseen, *training.chats.cot_only(problems))
    learned = [problem for problem in problems if problem not in other]
    some = [*learned[:: len(learned) // 6], *unseen[:: len(unseen) // 3]]
    model = llama_cpp.Llama(str(demo), n_ctx=4096, n_threads=2, verbose=False)
    recited = {}
    for chat in training.chats.chats(some, root / "conf" / "prompt"):
        if chat.strategy == "plain":
            ids = model.tokenize(chat.question.encode(), add_bos=False, special=True)
            said = model.create_completion(ids, max_tokens=1024, temperature=0)
            text = said["choices"][0]["text"]
            recited[chat.problem.id] = f"{text}<|im_end|>" == chat.answer
    model.close()
    assert sum(recited[problem.id] for problem in some if problem in learned) >= 5
    assert not any(recited[problem.id] for problem in some if problem in unseen)


def _without_docstring(program: str, problem: Problem) -> str:
    tree = ast.parse(program)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
