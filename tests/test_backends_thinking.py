"""Thoughts are told from answers in the engine, whatever markers a model has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_model import write_reciting_model

from experiments.backends import Backend
from experiments.backends.llama_cpp import LlamaCpp, host
from experiments.backends.scripted import Scripted
from experiments.extract.thoughts import STYLES, Style
from experiments.records import FinishReason, Generation, Message, Prompt, Thinking, Weights
from experiments.schema import Sampling
from experiments.weights import read_header

DRAFT = "A draft:\n```python\ndef f(x):\n    return -1\n```\nNo, STOP."
ANSWER = "Here:\n```python\ndef f(x):\n    return x\n```"
PROMPT = Prompt("p", "f", messages=(Message("user", "Write f."),))
WAYS = [(style, marker) for style in STYLES for marker in style.opens]
IDS = [marker for _, marker in WAYS]


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    host.close_worker()


def generation(made: Backend, **sampling: Any) -> Generation:
    chosen = Sampling(**sampling)
    (found,) = made.generate(made.prepare([PROMPT], chosen, 0), chosen)
    return found


def local(path: Path, thinking: Thinking | None = None, **settings: Any) -> LlamaCpp:
    template = read_header(path).text("tokenizer.chat_template")
    known = Weights(path, str(path), "tiny", "f16", 1, 16.0, 1, template, "gguf")
    return LlamaCpp(known, thinking, **{"threads": 1, "parallel": 1} | settings)


def pieces_of(style: Style, marker: str) -> tuple[list[str], list[str]]:
    """Return the tokens of a thought and its answer, and those that are control tokens."""
    control = {
        "<|channel|>analysis<|message|>": ["<|channel|>", "<|message|>", "<|end|>", "<|start|>"],
        "<|channel|>commentary<|message|>": ["<|channel|>", "<|message|>"],
        "<|channel>thought": ["<|channel>", "<channel|>"],
    }.get(marker, [marker, style.close])
    # A token comes once in what is recited, so line ends before and after a marker are apart.
    before = [style.before_close] if style.before_close else []
    answer = style.after_close + ANSWER
    pieces = [*_cut(marker, control), DRAFT, *before, style.close, answer]
    return pieces, [*control, style.close]


def _cut(marker: str, control: list[str]) -> list[str]:
    """Return the tokens of a marker."""
    parts, rest = [], marker
    while rest:
        first = next((name for name in control if rest.startswith(name)), None)
        if first is None:
            ends = [rest.index(name) for name in control if name in rest]
            first = rest[: min(ends, default=len(rest))]
        parts.append(first)
        rest = rest[len(first) :]
    return parts


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
def test_the_engine_tells_a_thought_from_its_answer(
    style: Style, marker: str, tmp_path: Path
) -> None:
    pieces, control = pieces_of(style, marker)
    path = write_reciting_model(tmp_path / "thinks.gguf", pieces, control)
    found = generation(local(path, stop=["STOP"]))
    assert (found.thought, found.text.strip()) == (DRAFT, ANSWER)
    assert found.finish_reason is FinishReason.ANSWER_COMPLETE
    assert found.thought_finished
    assert found.is_split
    assert 0 < found.thought_tokens < found.new_tokens == len(pieces)
    assert 0 < found.thought_seconds < found.decode_seconds

    cut_off = generation(local(path), max_tokens=len(_cut(marker, control)) + 1)
    assert (cut_off.thought, cut_off.text, cut_off.thought_finished) == (DRAFT, "", False)
    assert cut_off.finish_reason is FinishReason.TOKEN_LIMIT
    assert cut_off.thought_tokens == cut_off.new_tokens


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
def test_a_thought_that_the_prompt_opens_is_none_of_the_answer(
    style: Style, marker: str, tmp_path: Path
) -> None:
    pieces, control = pieces_of(style, marker)
    pieces = pieces[len(_cut(marker, control)) :]
    template = "{{ messages[0].content }}" + marker + "\n"
    path = write_reciting_model(tmp_path / "opened.gguf", pieces, control, template)
    found = generation(local(path))
    assert (found.thought, found.text.strip()) == (DRAFT, ANSWER)


def test_at_its_budget_a_thought_is_closed_and_the_answer_begins(tmp_path: Path) -> None:
    pieces = ["[THINK]", "Hm. ", "[/THINK]", ANSWER]
    path = write_reciting_model(tmp_path / "m.gguf", pieces, ["[THINK]", "[/THINK]"], again="Hm. ")
    endless = generation(local(path), max_tokens=50)
    assert (endless.thought_finished, endless.text, endless.new_tokens) == (False, "", 50)
    for warm in ({}, {"temperature": 0.01, "repeat_penalty": 1.1}):
        found = generation(local(path, Thinking(budget=20)), **warm)
        assert (found.thought, found.text) == (("Hm. " * 19).strip(), ANSWER)
        assert found.thought_tokens == 21  # the closing marker is one of them
    short = generation(local(path, Thinking(budget=200)), max_tokens=50)
    assert not short.thought_finished


def test_a_model_may_have_markers_of_its_own(tmp_path: Path) -> None:
    pieces = ["<ponder>", DRAFT, "</ponder>", ANSWER]
    path = write_reciting_model(tmp_path / "own.gguf", pieces, ["<ponder>", "</ponder>"])
    thinking = Thinking(open="<ponder>", close="</ponder>")
    assert generation(local(path, thinking)).thought == DRAFT
    assert generation(local(path)).text.startswith(DRAFT[:8])  # its control tokens are not shown


def test_thinking_is_part_of_the_key_of_models_that_think(tmp_path: Path) -> None:
    thinks = write_reciting_model(tmp_path / "a.gguf", [DRAFT], template="{{ '<think>' }}")
    plain = write_reciting_model(tmp_path / "b.gguf", [DRAFT], template="{{ 'Hello' }}")

    def key(path: Path, **thinking: Any) -> str:
        return local(path, Thinking(**thinking)).prepare([PROMPT], Sampling(), 0)[0].key

    assert len({key(thinks), key(thinks, budget=5), key(thinks, budget=6)}) == 3
    assert key(plain, mode="on") == key(plain)


def test_the_template_is_asked_to_think(tmp_path: Path) -> None:
    source = "{{ messages[0].content }}|{{ 'thinks' if enable_thinking else 'does not' }}|{{ to }}"
    path = write_reciting_model(tmp_path / "m.gguf", [ANSWER], template=source)
    asked = Thinking(arguments={"enable_thinking": True, "to": "you"}, switch="/think")
    (request,) = local(path, asked).prepare([PROMPT], Sampling(), 0)
    assert request.text == "Write f. /think|thinks|you"


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
def test_the_scripted_backend_thinks_as_well(style: Style, marker: str) -> None:
    text = f"{marker}{DRAFT}{style.closing}{ANSWER}"
    found = generation(Scripted(answers={"p": text}))
    assert (found.thought, found.text.strip(), found.thought_finished) == (DRAFT, ANSWER, True)
    assert not generation(Scripted(answers={"p": f"{marker}{DRAFT}"})).thought_finished
