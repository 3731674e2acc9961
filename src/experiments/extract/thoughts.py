"""Where the thought of a model ends and its answer begins.

Many models think before they answer, between markers of their own. A thought is no answer:
nothing in it ends a generation or holds the program. A thought stands at the head of a text. It
may have been opened by the prompt already, since some templates end in the opening marker.

The markers are those that the makers document or their templates write; a model's file may name
others (`model.thinking.open`, `model.thinking.close`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """The markers of one way to think.

    Attributes:
        opens: texts that begin a thought.
        close: the text that ends it; the answer follows.
        before_close: what its makers' models write before `close`, and is part of no thought.
        after_close: what they write behind it.
    """

    opens: tuple[str, ...]
    close: str
    before_close: str = "\n"
    after_close: str = "\n\n"

    @property
    def closing(self) -> str:
        """What ends a thought from outside, as the model itself would."""
        return self.before_close + self.close + self.after_close


STYLES = (
    # DeepSeek-R1, Qwen3, SmolLM3, Nemotron, Phi-4-reasoning and most others.
    Style(("<think>",), "</think>"),
    # Magistral and the reasoning models of Ministral 3.
    Style(("[THINK]",), "[/THINK]", before_close="", after_close=""),
    # gpt-oss: a message per channel; commentary comes before calls of tools.
    Style(
        ("<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>"),
        "<|channel|>final<|message|>",
        before_close="<|end|><|start|>assistant",
        after_close="",
    ),
    # Gemma 4.
    Style(("<|channel>thought",), "<channel|>", after_close=""),
    # Seed-OSS.
    Style(("<seed:think>",), "</seed:think>", before_close="", after_close=""),
    # Cohere's Command A Reasoning and Command R7B.
    Style(
        ("<|START_THINKING|>",),
        "<|END_THINKING|>",
        before_close="",
        after_close="<|START_RESPONSE|>",
    ),
    # Apertus.
    Style(("<|inner_prefix|>",), "<|inner_suffix|>", before_close="", after_close=""),
    # MiniMax M3.
    Style(("<mm:think>",), "</mm:think>", before_close="", after_close=""),
    # Solar Open: a message for the thought, and one for the answer.
    Style(("<|think|>",), "<|content|>", before_close="<|end|><|begin|>assistant", after_close=""),
)
"""All that are known, and that no model writes as plain words. No marker of one style begins with
a marker of another."""


@dataclass(frozen=True)
class Parts:
    """A text in its two parts.

    Attributes:
        thought: without its markers; empty if there is none.
        answer: all that follows the thought; empty while it is open.
        is_finished: no thought is open at the end.
    """

    thought: str
    answer: str
    is_finished: bool = True


class ThoughtReader:
    """Follows a growing text up to where its answer begins.

    Args:
        styles: that are looked for.
        opened: the style of a thought that the prompt has opened; None: it has not.

    Attributes:
        answer: where the answer begins in the text, in bytes; None: not yet.
    """

    def __init__(self, styles: Sequence[Style] = STYLES, opened: Style | None = None) -> None:
        self.answer: int | None = None
        self.style = opened
        self._styles = styles
        self._start = 0  # of the thought, behind its marker
        self._end = 0
        self._searched = 0

    @property
    def is_thinking(self) -> bool:
        """Whether a thought is open."""
        return self.style is not None and self.answer is None

    def follow(self, text: bytearray) -> int | None:
        """Return where the answer begins, or None; costs next to nothing per token.

        Args:
            text: all that was generated so far; only ever grows between calls.
        """
        if self.answer is None and self.style is None:
            self._begin(text)
        if self.is_thinking:
            assert self.style is not None
            close = self.style.close.encode()
            found = text.find(close, max(self._start, self._searched - len(close)))
            self._searched = len(text)
            if found >= 0:
                self._end, self.answer = found, found + len(close)
        return self.answer

    def parts(self, text: bytearray) -> Parts:
        """Return a finished text in its two parts."""
        if self.style is None:
            return Parts("", decoded(text))
        if self.answer is None:
            return Parts(decoded(text[self._start :]).strip(), "", is_finished=False)
        thought = decoded(text[self._start : self._end]).strip()
        thought = thought.removesuffix(self.style.before_close.strip()).rstrip()
        answer = decoded(text[self.answer :])
        return Parts(thought, answer.removeprefix(self.style.after_close))

    def _begin(self, text: bytearray) -> None:
        """See whether the text begins with a thought, as soon as that can be told."""
        head = bytes(text).lstrip()
        place = len(text) - len(head)
        undecided = not head
        for style in self._styles:
            for marker in (*style.opens, style.close):
                written = marker.encode()
                if head.startswith(written):
                    self.style, self._start = style, place + len(written)
                    if marker == style.close:
                        self._start = self._end = place
                        self.answer = place + len(written)
                    return
                undecided |= written.startswith(head)
        if not undecided:
            self.answer = 0


def known(open_marker: str = "", close_marker: str = "") -> tuple[Style, ...]:
    """Return all styles, with a model's own markers first if it has any."""
    if not open_marker or not close_marker:
        return STYLES
    return (Style((open_marker,), close_marker), *STYLES)


def opened_by(prompt: str, styles: Sequence[Style] = STYLES) -> Style | None:
    """Return the style of the thought that a rendered prompt ends in; None if it ends in none."""
    tail = prompt.rstrip()
    return next((style for style in styles if tail.endswith(style.opens)), None)


def in_template(source: str, styles: Sequence[Style] = STYLES) -> bool:
    """Tell whether a chat template names the markers of a thought, so that its model may think."""
    return any(style.close in source or style.opens[0] in source for style in styles)


def split(text: str, styles: Sequence[Style] = STYLES) -> Parts:
    """Return a finished text, of which nothing else is known, in its two parts.

    The prompt may have opened the thought, and servers cut opening markers off: a closing
    marker at the end of a line closes a thought that began with the text.
    """
    reader = ThoughtReader(styles)
    content = bytearray(text.encode(errors="replace"))
    reader.follow(content)
    if reader.style is not None:
        return reader.parts(content)
    for style in styles:
        found = re.search(re.escape(style.close) + r"[ \t]*$", text, re.MULTILINE)
        if found:
            thought = text[: found.start()].rstrip().removesuffix(style.before_close.strip())
            return Parts(thought.strip(), text[found.end() :])
    return Parts("", text)


def decoded(text: bytes | bytearray) -> str:
    """Return the text; a character that was cut off at the end is left out."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(text), final=False)
