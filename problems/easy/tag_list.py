"""Tags as people type them into a form."""

from collections.abc import Iterator
from random import Random

ID = "easy/tag_list"
TITLE = "Tidy a line of tags"
DIFFICULTY = "easy"
TOPICS = ("strings", "parsing", "duplicates")
ENTRY_POINT = "tag_list"


def tag_list(line: str) -> list[str]:
    """Return the tags that someone typed into the tag field of an article.

    Tags are separated by commas. Each tag is put into lower case (as `str.lower` does it);
    spaces and tabs around it are dropped, and a run of them inside it becomes one space. Tags
    that are empty after that are left out. Of tags that are then equal only the first is kept.
    The tags stay in the order in which they were typed. A line without any tag gives an
    empty list.

    >>> tag_list("Garden, bees,GARDEN")
    ['garden', 'bees']
    >>> tag_list("  open   source ,, Öl ,")
    ['open source', 'öl']
    >>> tag_list(" , ")
    []
    """
    tags = [" ".join(part.lower().split()) for part in line.split(",")]
    return list(dict.fromkeys(tag for tag in tags if tag))


BASE_INPUTS = [
    ("Garden, bees,GARDEN",),
    ("  open   source ,, Öl ,",),
    (" , ",),
    ("",),
    ("news",),
    ("zebra,Apple,mango,apple ,ZEBRA",),
    ("to do,todo, to  do",),
    ("semi;colon,two words here",),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for line in (",", ",,,,", "   ", "\t", "A,a,A ,\ta", "a b,a  b,a\tb,ab", "É,é,e", "x" * 500):
        yield (line,)
    words = ["Bees", "bees", "Honey", "HONEY", "city", "New", "York", "ÄPFEL", "äpfel", "3d", "-"]
    gaps = ["", " ", "  ", "\t", " \t "]
    for size in range(100):
        parts = []
        for _ in range(size // 3):
            chosen = random.choices(words, k=random.randrange(3))
            inner = random.choice(gaps[1:]).join(chosen)
            parts.append(random.choice(gaps) + inner + random.choice(gaps))
        yield (",".join(parts),)
