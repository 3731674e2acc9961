"""One request to a server that speaks JSON, bounded in time as a whole and in size.

It uses Python's own client: no session is kept, nothing is asked again, no redirect is followed.
Proxies come from the environment, as usual (`HTTPS_PROXY`, `NO_PROXY`).
"""

from __future__ import annotations

import base64
import json
import math
import random
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

CONNECT_SECONDS = 5.0
"""Until there is a connection; a server that takes longer counts as one that is not there."""

LONGEST_DELAY_SECONDS = 60.0
"""Before a request is made again."""

MOST_BYTES = 64 * 2**20
"""Of one reply: far more than any text."""


class Trouble(Enum):
    """What became of a request that has no reply to use."""

    UNREACHED = "no connection was made"
    BROKEN = "the connection broke, or it took too long"
    REFUSED = "the server refused"
    UNUSABLE = "the reply is nothing to work with"


class ServerError(Exception):
    """The server did not give what was asked for.

    Attributes:
        trouble: the kind.
        status: of its reply; 0: there was none.
        code, field: what it calls the reason, and the field of the request that it names.
        retry_after: how long it asks to wait, as it says it.
    """

    def __init__(self, trouble: Trouble, words: str, reply: Any = None, status: int = 0) -> None:
        error = reply.get("error", reply) if isinstance(reply, dict) else reply
        detail = error if isinstance(error, dict) else {"message": error}
        super().__init__(str(detail.get("message") or words))
        self.trouble = trouble
        self.status = status
        self.code = str(detail.get("code") or "")
        self.field = str(detail.get("param") or "")
        self.retry_after = ""

    @property
    def is_of_the_way(self) -> bool:
        """Whether it is the connection that failed, and not the server that refused."""
        return self.trouble in (Trouble.UNREACHED, Trouble.BROKEN)

    @property
    def is_out_of_money(self) -> bool:
        """Whether the account has no credit left."""
        return self.code in ("insufficient_quota", "billing_hard_limit_reached")

    @property
    def is_too_long(self) -> bool:
        """Whether the prompt is longer than the model's context."""
        words = str(self).lower()
        return self.code == "context_length_exceeded" or (
            "context" in words and ("exceed" in words or "maximum" in words)
        )

    @property
    def may_pass(self) -> bool:
        """Whether asking again may help."""
        refused = self.status in (408, 409, 425, 429) or self.status >= 500
        return self.is_of_the_way or (refused and not self.is_out_of_money)

    def delay(self, attempt: int, first: float) -> float:
        """Return the seconds to wait: what the server asks for, else doubled each time.

        A random part keeps requests that failed together from coming back together.
        """
        try:
            seconds = float(self.retry_after)
        except ValueError:  # there is none, or it is a date
            seconds = math.nan
        if math.isnan(seconds):
            longest = min(first * float(2 ** (attempt - 1)), LONGEST_DELAY_SECONDS)
            return longest * random.uniform(0.5, 1.0)
        return min(max(seconds, 0.0), LONGEST_DELAY_SECONDS)

    def told(self, key: str) -> str:
        """Return its words, short, in one line and without the key."""
        line = " ".join(f"{self.status or ''} {self}".split())
        if key:
            line = line.replace(key, "[key]")
            # Servers shorten a key that they repeat: no long beginning or end of it, either.
            for length in range(len(key) - 1, 7, -1):
                line = line.replace(key[:length], "[key]").replace(key[-length:], "[key]")
        line = "".join(character if character.isprintable() else "?" for character in line)
        return line if len(line) <= 300 else line[:299] + "…"


_NO_PAGE = (
    HTTPStatus.OK,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
)
"""With these, a web page comes from another kind of server; with others, from a proxy before it."""


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Any:
    """Return the reply to a JSON object that is posted.

    Args:
        url: without user, password and query.
        body: what is sent.
        headers: beside those of JSON.
        seconds: for all of it, once there is a connection.

    Raises:
        ServerError: there is no connection, it broke or took too long; the server refused; or
            what it sent is too large or no JSON.
    """
    connection, path, account = _connection(url)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise ServerError(Trouble.UNREACHED, str(error) or type(error).__name__) from error
    opened = connection.sock
    opened.settimeout(None)  # the clock below is for all of it
    has_expired = threading.Event()

    def expire() -> None:
        has_expired.set()
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)  # wakes whoever reads

    clock = threading.Timer(seconds, expire)
    clock.daemon = True
    clock.start()
    try:
        content = json.dumps(body).encode()
        described = {"Content-Type": "application/json", **account, **headers}
        connection.request("POST", path, content, described)
        with connection.getresponse() as response:
            reply = _json(_read(response), response)
    except (OSError, HTTPException) as error:
        if not has_expired.is_set():
            raise ServerError(Trouble.BROKEN, f"it broke off ({type(error).__name__})") from error
    except ServerError:
        if not has_expired.is_set():
            raise
    finally:
        clock.cancel()
        connection.close()
    if has_expired.is_set():
        raise ServerError(Trouble.BROKEN, f"no reply within {seconds:g} s")
    if response.status >= 300:
        words = response.reason
        if place := response.headers.get("Location"):
            words, reply = f"it redirects to {place}", None
        refusal = ServerError(Trouble.REFUSED, words, reply, response.status)
        refusal.retry_after = response.headers.get("Retry-After", "")
        raise refusal
    return reply


def _connection(url: str) -> tuple[HTTPConnection, str, dict[str, str]]:
    """Return what connects to a server or its proxy, the path to ask for, and further headers."""
    parts = urlsplit(url)
    host, is_safe = parts.hostname or "", parts.scheme == "https"
    kind = HTTPSConnection if is_safe else HTTPConnection
    proxy = None if proxy_bypass(host) else getproxies().get(parts.scheme)
    if not proxy:
        return kind(host, parts.port, timeout=CONNECT_SECONDS), parts.path, {}
    over = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    account = {}
    if over.username:
        words = f"{unquote(over.username)}:{unquote(over.password or '')}"
        account["Proxy-Authorization"] = "Basic " + base64.b64encode(words.encode()).decode()
    connection = kind(over.hostname or "", over.port, timeout=CONNECT_SECONDS)
    if is_safe:
        connection.set_tunnel(host, parts.port, account)
        return connection, parts.path, {}
    return connection, url, account


def _read(response: HTTPResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ServerError(Trouble.UNUSABLE, "it sends a compressed reply, which nobody asked for")
    content = bytearray()
    while chunk := response.read(65536):
        content += chunk
        if len(content) > MOST_BYTES:
            raise ServerError(Trouble.UNUSABLE, f"its reply has more than {MOST_BYTES >> 20} MiB")
    if response.length:
        raise HTTPException("it ended early")
    return bytes(content)


def _json(content: bytes, response: HTTPResponse) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        is_page = content.lstrip().startswith(b"<")
        if is_page and response.status in _NO_PAGE:
            words = "it sends a web page, and no JSON"
            raise ServerError(Trouble.UNUSABLE, words, status=response.status) from None
        if response.status >= 300:
            return content[:300].decode(errors="replace")
        raise ServerError(Trouble.BROKEN, "its reply is no JSON") from None
