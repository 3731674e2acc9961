"""A server may send anything, for as long as it likes: a request ends all the same."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from experiments.backends import post as module
from experiments.backends.openai import OpenAI
from experiments.backends.post import ServerError, Trouble, post
from experiments.errors import BackendError
from experiments.records import Message, Prompt
from experiments.schema import Sampling

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Behaviour = Callable[[socket.socket, bytes], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], str]]:
    """Start servers that behave as they are told to; return their addresses."""
    sockets = []

    def start(behaviour: Behaviour) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def run() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    request = b""
                    with suppress(OSError):  # the other side has had enough
                        while b"\r\n\r\n" not in request and (part := client.recv(65536)):
                            request += part
                        behaviour(client, request)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/v1/chat/completions"

    yield start
    for listening in sockets:
        listening.close()


def whole(content: bytes, *headers: bytes) -> Behaviour:
    lines = b"".join(header + b"\r\n" for header in headers)

    def behave(client: socket.socket, _: bytes) -> None:
        client.sendall(HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(content) + content)

    return behave


def trouble(url: str, seconds: float = 30.0) -> ServerError:
    with pytest.raises(ServerError) as caught:
        post(url, {"a": 1}, {}, seconds)
    return caught.value


def test_what_is_posted_comes_back(serve: Callable[[Behaviour], str]) -> None:
    seen: list[bytes] = []

    def behave(client: socket.socket, request: bytes) -> None:
        seen.append(request)
        whole(b'{"ok": true}')(client, request)

    assert post(serve(behave), {"a": "é"}, {"Authorization": "Bearer k"}, 30) == {"ok": True}
    assert seen[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"Authorization: Bearer k" in seen[0]


def test_a_reply_without_end_ends_at_a_size(
    serve: Callable[[Behaviour], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)

    def endless(client: socket.socket, _: bytes) -> None:
        client.sendall(HEAD + b"\r\n")
        while True:
            client.sendall(b" " * 65536)

    error = trouble(serve(endless))
    assert error.trouble is Trouble.UNUSABLE
    assert "more than 1 MiB" in str(error)


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"\r\n"], ids=["head", "headers", "body"])
def test_a_reply_that_drips_ends_in_time(serve: Callable[[Behaviour], str], start: bytes) -> None:
    def drip(client: socket.socket, _: bytes) -> None:
        client.sendall(start)
        while True:
            client.sendall(b"H")
            time.sleep(0.05)

    began = time.monotonic()
    error = trouble(serve(drip), seconds=0.5)
    assert error.trouble is Trouble.BROKEN
    assert "no reply within 0.5 s" in str(error)
    assert time.monotonic() - began < 10


def test_a_compressed_reply_is_not_unpacked(serve: Callable[[Behaviour], str]) -> None:
    packed = gzip.compress(b"{}")
    error = trouble(serve(whole(packed, b"Content-Encoding: gzip")))
    assert "compressed" in str(error)
    assert error.trouble is Trouble.UNUSABLE


def test_a_reply_that_breaks_off_is_no_reply(serve: Callable[[Behaviour], str]) -> None:
    def short(client: socket.socket, _: bytes) -> None:
        client.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"ok": true}')

    assert trouble(serve(short)).trouble is Trouble.BROKEN


@pytest.mark.parametrize("content", [b" <html>", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_told(serve: Callable[[Behaviour], str], content: bytes) -> None:
    assert "no JSON" in str(trouble(serve(whole(content))))


def test_a_proxy_of_the_environment_is_used(
    serve: Callable[[Behaviour], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def proxy(client: socket.socket, request: bytes) -> None:
        seen.append(request)
        whole(b"{}")(client, request)

    place = serve(proxy).removeprefix("http://").partition("/")[0]
    monkeypatch.setenv("http_proxy", f"http://me:secret@{place}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert post("http://service.invalid/v1/x", {}, {}, 30) == {}
    assert seen[0].startswith(b"POST http://service.invalid/v1/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in seen[0]


ODD: list[Any] = [
    [],
    None,
    "text",
    {"choices": "x"},
    {"choices": [7]},
    {"choices": []},
]


@pytest.mark.parametrize("reply", ODD, ids=repr)
def test_a_reply_of_odd_types_is_one_clear_line(
    serve: Callable[[Behaviour], str], reply: Any
) -> None:
    url = serve(whole(json.dumps(reply).encode()))
    made = OpenAI(model="m", base_url=url.removesuffix("/chat/completions"), retries=0)
    prompt = Prompt("p", "f", messages=(Message("user", "Write f."),))
    with pytest.raises(BackendError, match=r"without a choice\. Is it an OpenAI-compatible"):
        list(made.generate(made.prepare([prompt], Sampling(), 0), Sampling()))


def test_odd_numbers_and_texts_count_as_none(serve: Callable[[Behaviour], str]) -> None:
    message = {"content": {"a": 1}, "reasoning": 7}
    reply = {
        "choices": [{"message": message, "finish_reason": 3}],
        "usage": {"prompt_tokens": "many", "completion_tokens": True},
    }
    url = serve(whole(json.dumps(reply).encode()))
    made = OpenAI(model="m", base_url=url.removesuffix("/chat/completions"), retries=0)
    prompt = Prompt("p", "f", messages=(Message("user", "Write f."),))
    (found,) = made.generate(made.prepare([prompt], Sampling(), 0), Sampling())
    assert (found.text, found.thought, found.prompt_tokens, found.new_tokens) == ("", "", 0, 0)
