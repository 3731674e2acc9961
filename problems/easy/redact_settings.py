"""Settings that may go into a bug report."""

from collections.abc import Iterator
from random import Random

ID = "easy/redact_settings"
TITLE = "Hide secrets in settings"
DIFFICULTY = "easy"
TOPICS = ("dictionaries", "strings", "configuration")
ENTRY_POINT = "redact_settings"


def redact_settings(settings: dict[str, str]) -> dict[str, str]:
    """Return the settings of a program in a form that may be shown in a bug report.

    A setting is secret if its name contains "password", "secret" or "token" anywhere, in
    upper, lower or mixed case. The value of a secret setting is replaced by three asterisks,
    however long it was. A secret setting whose value is the empty string keeps it, so that
    the reader sees that nothing was set. All other settings are returned unchanged; whether
    their value contains one of the three words does not matter.

    >>> redact_settings({"DB_PASSWORD": "hunter2", "DB_HOST": "localhost"})
    {'DB_PASSWORD': '***', 'DB_HOST': 'localhost'}
    >>> redact_settings({"apiToken": "", "note": "secret"})
    {'apiToken': '', 'note': 'secret'}
    """
    redacted = {}
    for name, value in settings.items():
        secret = any(word in name.lower() for word in ("password", "secret", "token"))
        redacted[name] = "***" if secret and value else value
    return redacted


BASE_INPUTS = [
    ({"DB_PASSWORD": "hunter2", "DB_HOST": "localhost"},),
    ({"apiToken": "", "note": "secret"},),
    ({},),
    ({"Secret": "a", "TOKENS": "b", "secretary": "Ann"},),
    ({"passworth": "a", "secretion": "b", "secre": "c", "toke-n": "d", "ssword": "e"},),
    ({"password": "", "host": "", "client-secret-2": " "},),
    ({"pass_word": "x", "user": "password"},),
    ({"token": "***", "PassWord": "a much longer value than the rest"},),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({"": "x", " ": "token"},)
    yield ({"pass": "a", "word": "b", "passwor": "c", "assword": "d", "toke": "e", "oken": "f"},)
    yield ({"tokèn": "accent", "пароль": "other script"},)
    words = ["db", "user", "Password", "TOKEN", "secret", "pass", "word", "Host", "toKen", "s"]
    values = ["", "0", "***", "localhost", "p4ss", "ü", "token"]
    for size in range(110):
        names = [
            "_".join(random.choices(words, k=random.randrange(1, 4))) for _ in range(size // 6)
        ]
        yield ({name: random.choice(values) for name in names},)
