"""Prompts → generations.

A backend is anything that `Backend` describes. `llama_cpp` runs a GGUF of this disk, `openai`
asks a server, `scripted` recites answers without a model. All are made by Hydra from
`conf/backend/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from experiments.errors import UserError
from experiments.records import Generation, Prompt, Request
from experiments.schema import Sampling

Progress = Callable[[str], None]
"""Is called now and then, while a model works, with a few words for a person."""


@dataclass(frozen=True)
class Memory:
    """What generating takes of this machine's memory.

    Attributes:
        needed: bytes, the weights included.
        there: bytes that are free now.
        refusal: why it cannot begin, with what would fit; None if it can.
    """

    needed: float
    there: float
    refusal: UserError | None = None


class Backend(Protocol):
    """Generates an answer to each prompt."""

    needs_weights: ClassVar[bool]
    """Whether it runs a GGUF of this disk."""

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[Request]:
        """Return one request per generation, in the order of prompts and samples.

        A request has the prompt as the model reads it and a key of everything that decides
        the text. No model is loaded. Samples that cannot differ (greedy) share one key.

        Args:
            prompts: what is asked.
            sampling: how tokens are chosen.
            seed: of the run; each generation has its own, made from it, the problem and the
                number of the sample.

        Raises:
            UserError: the prompts do not go with the model.
        """

    def memory(self, requests: Sequence[Request], sampling: Sampling) -> Memory | None:
        """Return what generating takes of this machine's memory; None if the model is elsewhere.

        Raises:
            BackendError: what generating would lack otherwise, such as the key of a server.
        """

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_progress: Progress | None = None,
    ) -> Iterator[Generation]:
        """Yield generations as they are finished, in any order.

        A model is loaded only if there is a request. What was yielded is complete, whatever
        happens to the rest.

        Raises:
            BackendError: the model could not go on.
        """

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says about this backend, as plain data."""

    def statistics(self) -> dict[str, float]:
        """Return what was measured since construction; empty if nothing was generated."""
