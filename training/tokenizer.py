"""A byte-level BPE in the manner of GPT-2, as llama.cpp reads it from a GGUF.

Training and encoding in plain Python: the corpus is a few hundred kilobytes. The words
that merges work within are cut as llama.cpp cuts them for the pre-tokenizer `gpt-2`; a
test holds both against each other.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

PRE_TOKENIZER = "gpt-2"
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, START, END)

# GPT-2's pattern. `re` has no \p{L} and \p{N}; for letters and decimal digits these are
# the same, and the corpus has no other numerals.
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")


@dataclass(frozen=True)
class Tokenizer:
    """Tokens in order of their ids, and merges in order of their rank.

    Both are spelled with GPT-2's printable stand-ins for bytes, except special tokens.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token to id."""
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def _cache(self) -> dict[str, list[int]]:
        return {}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; special tokens in it are read as such."""
        ids: list[int] = []
        for part in _SPECIAL.split(text):
            if part in SPECIAL_TOKENS:
                ids.append(self.ids[part])
                continue
            for word in _WORDS.findall(part):
                if word not in self._cache:
                    self._cache[word] = self._encode_word(word)
                ids.extend(self._cache[word])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids."""
        back = {character: byte for byte, character in _stand_ins().items()}
        data = bytearray()
        for number in ids:
            token = self.tokens[number]
            if token in SPECIAL_TOKENS:
                data += token.encode()
            else:
                data += bytes(back[character] for character in token)
        return data.decode(errors="replace")

    def _encode_word(self, word: str) -> list[int]:
        pieces = _spell(word)
        while len(pieces) > 1:
            pairs = [
                (self._ranks.get(pair, len(self.merges)), place)
                for place, pair in enumerate(itertools.pairwise(pieces))
            ]
            rank, place = min(pairs)
            if rank == len(self.merges):
                break
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return [self.ids[piece] for piece in pieces]


def train(texts: Iterable[str], size: int) -> Tokenizer:
    """Return a tokenizer of the given number of tokens: bytes, merges and special tokens.

    The most frequent pair is merged first; of equally frequent ones the first in
    alphabetical order, so that the same texts give the same tokenizer.

    Raises:
        ValueError: the texts have too few different words for that many merges.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        for part in _SPECIAL.split(text):
            if part not in SPECIAL_TOKENS:
                counts.update(_WORDS.findall(part))
    words = [(_spell(word), count) for word, count in sorted(counts.items())]
    merges: list[tuple[str, str]] = []
    tokens = [*SPECIAL_TOKENS, *(_stand_ins()[byte] for byte in range(256))]
    while len(tokens) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for pieces, count in words:
            for pair in itertools.pairwise(pieces):
                pairs[pair] += count
        if not pairs:
            raise ValueError(f"the corpus gives {len(tokens)} tokens, {size} were asked for")
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
        for pieces, _ in words:
            place = 0
            while place < len(pieces) - 1:
                if pieces[place] == left and pieces[place + 1] == right:
                    pieces[place : place + 2] = [left + right]
                place += 1
    return Tokenizer(tuple(tokens), tuple(merges))


def _spell(word: str) -> list[str]:
    """Return a word's bytes, each as its stand-in."""
    return [_stand_ins()[byte] for byte in word.encode()]


@lru_cache(maxsize=1)
def _stand_ins() -> dict[int, str]:
    """Return GPT-2's printable character for each byte.

    Bytes that print stand for themselves; the others, in order, for 256 onwards.
    """
    printing = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return {byte: chr(byte if byte in printing else next(others)) for byte in range(256)}
