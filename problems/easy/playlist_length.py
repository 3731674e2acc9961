"""Durations with a base of sixty."""

from collections.abc import Iterator
from random import Random

ID = "easy/playlist_length"
TITLE = "Length of a playlist"
DIFFICULTY = "easy"
TOPICS = ("durations", "parsing", "formatting")
ENTRY_POINT = "playlist_length"


def playlist_length(tracks: list[str]) -> str:
    """Return how long a playlist plays, given the lengths of its tracks.

    Each track length reads "minutes:seconds". The seconds always have two digits, 00 to 59;
    the minutes have one or more digits and may be 60 or more ("75:00" is an hour and a
    quarter).

    A total below one hour is written in the same way, without leading zeros in the minutes:
    "0:07", "59:59". From one hour on it reads "hours:minutes:seconds", with two digits for
    minutes and seconds and as many for the hours as they need: "1:02:03", "30:00:00". An empty
    playlist plays "0:00".

    >>> playlist_length(["3:45", "4:20"])
    '8:05'
    >>> playlist_length(["59:58", "2:05"])
    '1:02:03'
    >>> playlist_length([])
    '0:00'
    """
    total = 0
    for track in tracks:
        minutes, seconds = track.split(":")
        total += 60 * int(minutes) + int(seconds)
    hours, rest = divmod(total, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60}:{rest % 60:02d}"


BASE_INPUTS = [
    (["3:45", "4:20"],),
    (["59:58", "2:05"],),
    ([],),
    (["0:07"],),
    (["59:59"],),
    (["59:59", "0:01"],),
    (["75:00"],),
    (["119:59"],),
    (["90:30", "1709:30"],),
    (["02:09", "0:51", "12:00"],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["0:00"],)
    yield (["0:00", "0:59", "0:01"],)
    yield (["1:00"] * 59,)
    yield (["1:00"] * 60,)
    yield (["1:01"] * 60,)
    yield (["61:01"],)
    yield (["600:00"],)
    yield (["6000:00", "0:09"],)
    for size in range(100):
        longest = random.choice((4, 12, 70, 200))
        tracks = [f"{random.randrange(longest)}:{random.randrange(60):02d}" for _ in range(size)]
        yield (tracks,)
