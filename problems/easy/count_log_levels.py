"""The first look at a log file."""

from collections.abc import Iterator
from random import Random

ID = "easy/count_log_levels"
TITLE = "Count log levels"
DIFFICULTY = "easy"
TOPICS = ("logs", "counting", "parsing")
ENTRY_POINT = "count_log_levels"


def count_log_levels(lines: list[str]) -> dict[str, int]:
    """Return how many lines of a log there are of each level.

    A log line reads "<date> <time> <level> <message>", for example
    "2024-05-01 12:00:03 ERROR disk full". Words are separated by one or more spaces, and the
    message may be missing. The third word is the level. The levels DEBUG, INFO, WARNING and
    ERROR are counted, written exactly like this. Every other line is ignored: lines with
    fewer than three words, or with anything else as the third word. Dates and times are not
    checked. The result has always all four levels as keys; their order does not matter.

    >>> count_log_levels(["2024-05-01 12:00:03 ERROR disk full", "  Traceback follows"])
    {'DEBUG': 0, 'INFO': 0, 'WARNING': 0, 'ERROR': 1}
    >>> count_log_levels(["a b INFO", "a b INFO no ERROR here", "INFO"])
    {'DEBUG': 0, 'INFO': 2, 'WARNING': 0, 'ERROR': 0}
    """
    counts = {"DEBUG": 0, "INFO": 0, "WARNING": 0, "ERROR": 0}
    for line in lines:
        words = line.split()
        if len(words) >= 3 and words[2] in counts:
            counts[words[2]] += 1
    return counts


BASE_INPUTS = [
    (["2024-05-01 12:00:03 ERROR disk full", "  Traceback follows"],),
    (["a b INFO", "a b INFO no ERROR here", "INFO"],),
    ([],),
    (["", "   ", "DEBUG", "x WARNING"],),
    (["2024-05-01  12:00:03   WARNING low  battery", "2024-05-01 12:00:04 warning no"],),
    (["d t DEBUG", "d t INFO", "d t WARNING", "d t ERROR"],),
    (["d t CRITICAL fire", "d t ERROR: colon", "ERROR INFO DEBUG WARNING", "d DEBUG INFO"],),
    (["d t ERROR e", "d t ERROR e", "d t ERROR f", "d t DEBUG d"],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["ERROR ERROR ERROR ERROR"],)
    yield (["d t", "d t ", " d t INFO", "d t INFO "],)
    yield (["d t ERROR"] * 1000,)
    words = ["DEBUG", "INFO", "WARNING", "ERROR", "error", "Info", "ERRORS", "[INFO]", "NOTICE"]
    words += ["2024-05-01", "12:00:03", "done", "-", "größe", "0"]
    for size in range(100):
        lines = []
        for _ in range(size // 2):
            chosen = random.choices(words, k=random.randrange(6))
            if random.random() < 0.6:
                chosen[:0] = ["2024-05-01", "23:59:59"]
            lines.append(random.choice((" ", "  ")).join(chosen))
        yield (lines,)
