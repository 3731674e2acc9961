"""Where thoughts end and answers begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.extract import extract
from experiments.extract.thoughts import (
    STYLES,
    Parts,
    Style,
    ThoughtReader,
    decoded,
    in_template,
    known,
    opened_by,
    split,
)

DRAFT = "A draft:\n```python\ndef f(x):\n    return -1\n```\nNo."
ANSWER = "Here:\n```python\ndef f(x):\n    return x\n```"
WAYS = [(style, marker) for style in STYLES for marker in style.opens]
IDS = [marker for _, marker in WAYS]


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_the_answer_begins_behind_the_thought(style: Style, marker: str, step: int) -> None:
    text = f"{marker}{DRAFT}{style.closing}{ANSWER}"
    content, grown, reader = text.encode(), bytearray(), ThoughtReader()
    seen = []
    for start in range(0, len(content), step):
        grown += content[start : start + step]
        seen.append(reader.follow(grown))
    before = text.index(style.close) + len(style.close)
    assert seen[-1] == before
    assert all(place is None for n, place in enumerate(seen) if (n + 1) * step < before)
    parts = reader.parts(grown)
    assert (parts.thought, parts.answer.strip(), parts.is_finished) == (DRAFT, ANSWER, True)
    assert split(text) == parts


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
def test_a_prompt_that_ends_in_an_open_thought_is_seen(style: Style, marker: str) -> None:
    prompt = f"<|user|>What is {marker}?<|assistant|>"
    assert opened_by(prompt) is None
    assert opened_by(prompt + marker + "\n") == style
    assert opened_by(prompt + marker + style.closing) is None  # thinking is off
    reader = ThoughtReader(opened=style)
    text = bytearray(f"{DRAFT}{style.closing}{ANSWER}".encode())
    reader.follow(text)
    assert reader.parts(text).thought == DRAFT
    assert reader.parts(text).answer.strip() == ANSWER


@pytest.mark.parametrize(("style", "marker"), WAYS, ids=IDS)
def test_no_program_is_found_in_a_thought(style: Style, marker: str) -> None:
    for text in (f"{marker}{DRAFT}", f"{marker}{DRAFT}{style.closing}", f"\n {marker}\n{DRAFT}"):
        assert extract(text, "def f(x):\n", "f").program == ""
    whole = extract(f"{marker}{DRAFT}{style.closing}{ANSWER}", "def f(x):\n", "f")
    assert "return x" in whole.program
    assert whole.format_kept
    assert not split(f"{marker}{DRAFT}").is_finished


def test_a_thought_whose_opening_marker_was_cut_off_is_told_where_it_closes() -> None:
    assert split(f"{DRAFT}\n</think>\n\n{ANSWER}") == Parts(DRAFT, f"\n\n{ANSWER}")
    program = f"```python\ndef f(x):\n    return x.replace('</think>', '')\n```\n{ANSWER}"
    assert split(program) == Parts("", program)  # in the middle of a line, it is text


def test_an_answer_may_begin_at_once_in_the_channel_for_it() -> None:
    assert split(f"<|channel|>final<|message|>{ANSWER}") == Parts("", ANSWER)
    assert split(f"</think>\n\n{ANSWER}").answer.strip() == ANSWER


def test_the_end_of_a_message_of_gpt_oss_is_not_the_end_of_its_turn() -> None:
    text = (
        f"<|channel|>analysis<|message|>{DRAFT}\n<|end|>\n<|start|>assistant"
        f"<|channel|>final<|message|>{ANSWER}<|return|>"
    )
    assert "return x" in extract(text, "def f(x):\n", "f").program


def test_a_model_may_have_markers_of_its_own() -> None:
    styles = known("<ponder>", "</ponder>")
    assert split(f"<ponder>{DRAFT}</ponder>{ANSWER}", styles) == Parts(DRAFT, ANSWER)
    assert split(f"<ponder>{DRAFT}</ponder>{ANSWER}").thought == ""
    assert known("", "") == STYLES
    assert in_template("{{ '<ponder>' }}", styles)
    assert not in_template("{{ messages }}", styles)


def test_no_marker_begins_with_a_marker_of_another_style() -> None:
    for style, marker in WAYS:
        others = [m for other, m in WAYS if other is not style]
        assert not any(marker.startswith(other) for other in others)


PIECES = [m for style in STYLES for m in (*style.opens, style.close)] + ["<", "\n", "a", "é", " "]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.integers(1, 9))
def test_a_text_that_grows_is_split_like_the_whole(text: str, step: int) -> None:
    content, grown, reader = text.encode(), bytearray(), ThoughtReader()
    for start in range(0, len(content), step):
        grown += content[start : start + step]
        reader.follow(grown)
    whole = ThoughtReader()
    whole.follow(bytearray(content))
    assert reader.parts(grown) == whole.parts(bytearray(content))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("é€😀".encode(), "é€😀"),
        ("a😀".encode()[:-1], "a"),
        ("a😀".encode()[:-3], "a"),
        (b"a\xffb", "a\ufffdb"),
        (b"\xe2\x82", ""),
        (b"", ""),
    ],
)
def test_characters_come_out_whole(content: bytes, text: str) -> None:
    assert decoded(bytearray(content)) == text
