"""Messages → the text that a chat model reads, by the model's own template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.errors import WeightsError
from experiments.records import Message, Thinking, Weights

if TYPE_CHECKING:
    from jinja2 import Template


class ChatTemplate:
    """The chat template of one model.

    Templates come with a downloaded file, so they run in Jinja2's sandbox. A template that
    refuses a system message gets its text at the head of the first user message.

    Args:
        weights: whose template it is.
        thinking: how the model is asked to think; the variables that the template is given.

    Raises:
        WeightsError: there is no template, or it is broken.
    """

    def __init__(self, weights: Weights, thinking: Thinking | None = None) -> None:
        if not weights.chat_template:
            raise WeightsError(
                f"{weights.path} has no chat template, so its messages cannot be written as it "
                "was trained to read them",
                "Set model.chat_template to the one of the model's card (or a name: chatml, "
                "llama2, …), or model.kind=completion for a base model.",
            )
        self._weights = weights
        self._thinking = thinking or Thinking()
        self._template = self._compiled(weights.chat_template)

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt up to where the assistant's turn begins.

        Raises:
            WeightsError: the template fails on these messages.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        if self._thinking.switch:
            turns[-1]["content"] += f" {self._thinking.switch}"
        try:
            try:
                return self._filled(turns)
            except _Refused:
                merged = _without_system(turns)
                if merged == turns:
                    raise
                return self._filled(merged)
        except Exception as error:  # it came with the file, and may raise anything
            raise self._broken(error) from error

    def _filled(self, turns: list[dict[str, str]]) -> str:
        return self._template.render(
            {
                **self._thinking.arguments,
                "messages": turns,
                "add_generation_prompt": True,
                "bos_token": self._weights.bos_token,
                "eos_token": self._weights.eos_token,
            }
        )

    def _compiled(self, source: str) -> Template:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        environment.filters["tojson"] = _to_json
        # `strftime_now` is left undefined on purpose: with it some templates put today's date
        # into the prompt, and no run could be repeated tomorrow. They have a fixed date else.
        try:
            return environment.from_string(source)
        except TemplateError as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> WeightsError:
        return WeightsError(
            f"The chat template of {self._weights.path} fails: {error}",
            "Set model.chat_template to a corrected one.",
        )


class _Refused(Exception):
    """The template called `raise_exception`."""


def _refuse(message: str) -> NoReturn:
    raise _Refused(message)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    others = [dict(turn) for turn in turns if turn["role"] != "system"]
    if system and others:
        others[0]["content"] = "\n\n".join([*system, others[0]["content"]])
    return others
