"""Messages → the text that a chat model reads, by the model's own template."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import WeightsError
from experiments.records import Message, Thinking, Weights
from experiments.sandbox import confinement

RENDERING = Path(__file__).with_name("rendering.py")

TODAY = "2024-07-26"
"""The date that templates are told, on every day: tomorrow, a run shall have the same prompts. It
is the one that Llama's templates have where they are told none."""

PATIENCE_SECONDS = 120.0
"""Wall clock of all prompts of a run; the process has a limit of CPU time of its own."""


class ChatTemplate:
    """The chat template of one model.

    Templates come with a downloaded file, so they are filled in a process with limits; see
    `rendering`.

    Args:
        weights: whose template it is.
        thinking: how the model is asked to think; the variables that the template is given.

    Raises:
        WeightsError: there is no template.
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

    def render(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        """Return the prompt of each chat, up to where the assistant's turn begins.

        Raises:
            WeightsError: the template is broken or fails on these messages.
        """
        if not chats:
            return []
        turns = [[{"role": m.role, "content": m.content} for m in chat] for chat in chats]
        if self._thinking.switch:
            for chat in turns:
                chat[-1]["content"] += f" {self._thinking.switch}"
        tokens = {"bos_token": self._weights.bos_token, "eos_token": self._weights.eos_token}
        request = {
            "source": self._weights.chat_template,
            "variables": {**self._thinking.arguments, **tokens},
            "today": TODAY,
            "chats": turns,
        }
        try:
            done = subprocess.run(
                confinement.command([str(RENDERING)], options=["-I"]),
                input=json.dumps(request),
                capture_output=True,
                encoding="utf-8",
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._broken("it does not come to an end") from None
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise self._broken("it does not come to an end")
        if done.returncode:
            raise self._broken(f"its process died: {done.stderr.strip()[-300:]}")
        reply = json.loads(done.stdout)
        if "failed" in reply:
            raise self._broken(reply["failed"])
        texts: list[str] = reply["texts"]
        return texts

    def _broken(self, reason: str) -> WeightsError:
        return WeightsError(
            f"The chat template of {self._weights.path} fails: {reason}",
            "Set model.chat_template to a corrected one.",
        )
