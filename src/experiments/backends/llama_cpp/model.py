"""A model in memory, and its vocabulary: texts → tokens → bytes.

Runs in the worker process only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama


class EngineError(Exception):
    """llama.cpp refused; its own messages say why."""


class Model:
    """A loaded model and its vocabulary.

    Args:
        path: of the GGUF.
        memory_map: map the file instead of reading it.
        shown: texts; control tokens that are a part of them are not left out of what is generated.

    Attributes:
        has_state: it keeps a state per sequence, which cannot be cut back to a prefix.

    Raises:
        EngineError: llama.cpp cannot load it.
    """

    def __init__(self, path: str, memory_map: bool = True, shown: Sequence[str] = ()) -> None:
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        if not memory_map:
            parameters.load_mode = llama.llama_load_mode_from_str(b"none")
        self.pointer = llama.llama_model_load_from_file(path.encode(), parameters)
        if not self.pointer:
            raise EngineError("llama.cpp could not load the model")
        self.has_state = bool(
            llama.llama_model_is_recurrent(self.pointer)
            or llama.llama_model_is_hybrid(self.pointer)
        )
        self.vocabulary = llama.llama_model_get_vocab(self.pointer)
        self.size = llama.llama_vocab_n_tokens(self.vocabulary)
        self._begin = (
            [llama.llama_vocab_bos(self.vocabulary)]
            if llama.llama_vocab_get_add_bos(self.vocabulary)
            else []
        )
        self._shown = [text.encode() for text in shown]
        self._pieces: list[bytes | None] = [None] * self.size
        self._is_end: dict[int, bool] = {}

    def tokens(self, text: str, is_chat: bool) -> list[int]:
        """Return the prompt's tokens, with exactly one begin token where the model wants it."""
        tokens = self.tokens_of(text, has_special=is_chat)
        if tokens[:1] != self._begin:
            tokens = self._begin + tokens
        return tokens

    def tokens_of(self, text: str, has_special: bool) -> list[int]:
        """Return the tokens of a text, as it stands.

        Args:
            text: to be read.
            has_special: the names of special tokens in it stand for them.
        """
        content = text.encode()
        size = len(content) + 8
        while True:
            room = (llama.llama_token * size)()
            count = llama.llama_tokenize(
                self.vocabulary, content, len(content), room, size, False, has_special
            )
            if count >= 0:
                return list(room[:count])
            size = -count

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; nothing for control tokens that are not to be shown."""
        found = self._pieces[token]
        if found is None:
            found = self._piece(token, with_control=False)
            if not found:
                name = self._piece(token, with_control=True)
                found = name if any(name in text for text in self._shown) else b""
            self._pieces[token] = found
        return found

    def _piece(self, token: int, with_control: bool) -> bytes:
        room = ctypes.create_string_buffer(1024)
        size = len(room)
        length = llama.llama_token_to_piece(self.vocabulary, token, room, size, 0, with_control)
        if length < 0:
            size = -length
            room = ctypes.create_string_buffer(size)
            llama.llama_token_to_piece(self.vocabulary, token, room, size, 0, with_control)
        return room.raw[: abs(length)]

    def is_end(self, token: int) -> bool:
        """Tell whether the token ends a generation."""
        found = self._is_end.get(token)
        if found is None:
            found = self._is_end[token] = bool(llama.llama_vocab_is_eog(self.vocabulary, token))
        return found

    def must_have_whole_context(self) -> bool:
        """Tell whether the model's arithmetic depends on the size of the context."""
        room = ctypes.create_string_buffer(64)
        length = llama.llama_model_meta_val_str(
            self.pointer, b"general.architecture", room, len(room)
        )
        name = room.value + b".rope.scaling.original_context_length" if length > 0 else b""
        return bool(llama.llama_model_meta_val_str(self.pointer, name, room, len(room)) >= 0)

    def close(self) -> None:
        """Free the memory."""
        if self.pointer:
            llama.llama_model_free(self.pointer)
            self.pointer = None
