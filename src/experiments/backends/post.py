"""One request to a server that speaks JSON, bounded in time as a whole and in size.

It uses Python's own client: no session is kept, nothing is asked again, no redirect is followed.
Proxies come from the environment, as usual (`HTTPS_PROXY`, `NO_PROXY`).
"""

from __future__ import annotations

import base64
import json
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
