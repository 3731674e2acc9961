"""A hub on loopback: speaks the part of the Hugging Face hub's protocol that fetching uses.

It cuts connections, lies about digests, and refuses, as a test tells it to.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked.

    Attributes:
        files: "owner/name/file" to content.
        cut_after: connections are cut after so many bytes, `cuts` times; with `reset`, they
            end with a reset instead of an end.
        corrupt: content is changed on its way.
        digest: told instead of the true one.
        refuse: status and error code of every answer.
        token: needed to read anything.
        chunk_seconds: waited before each chunk.
        asked: method, path and Range of each request.
        authorised: paths that were asked for with a token.
        sent: bytes of content that went out.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: int = 0
    cuts: int = 0
    reset: bool = False
    corrupt: bool = False
    digest: str = ""
    refuse: tuple[int, str] | None = None
    token: str = ""
    chunk_seconds: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    authorised: list[str] = field(default_factory=list)
    sent: int = 0
    address: str = ""

    @property
    def downloads(self) -> list[str]:
        """The Range of each request for content, empty for a whole file."""
        return [
            ranged for method, path, ranged in self.asked if method == "GET" and "/cdn/" in path
        ]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the hub on a free port of loopback."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_TREE = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)/tree/.*")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        hub = self.hub
        path = self.path.partition("?")[0]
        hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if self.headers.get("Authorization"):
            hub.authorised.append(path)
        if hub.refuse:
            self._refuse(*hub.refuse)
        elif path.startswith("/cdn/"):
            self._content(hub.files[path.removeprefix("/cdn/")])
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._refuse(403, "GatedRepo")
        elif match := _TREE.fullmatch(path):
            prefix = f"{match['repository']}/"
            names = [name.removeprefix(prefix) for name in hub.files if name.startswith(prefix)]
            self._json([{"type": "file", "path": n, "size": 1, "oid": "0" * 40} for n in names])
        elif match := _RESOLVE.fullmatch(path):
            self._resolve(match)
        else:
            self._refuse(404, "")

    def _resolve(self, match: re.Match[str]) -> None:
        hub = self.hub
        if not any(name.startswith(f"{match['repository']}/") for name in hub.files):
            return self._refuse(404, "RepoNotFound")
        if match["revision"] not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        name = f"{match['repository']}/{match['file']}"
        if name not in hub.files:
            return self._refuse(404, "EntryNotFound")
        content = hub.files[name]
        self.send_response(302)
        # Another host, as the hub's own store of large files is.
        store = hub.address.replace("127.0.0.1", "localhost")
        self.send_header("Location", f"{store}/cdn/{name}")
        self.send_header("X-Repo-Commit", COMMIT)
        digest = hub.digest or hashlib.sha256(content).hexdigest()
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _content(self, content: bytes) -> None:
        hub = self.hub
        start = 0
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(ranged[1])
        rest = content[start:]
        if hub.corrupt:
            rest = bytes([rest[0] ^ 1]) + rest[1:] if len(rest) < 2 else rest[:-1] + b"?"
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = hub.cuts > 0
        if cut:
            hub.cuts -= 1
            rest = rest[: hub.cut_after]
        for begin in range(0, len(rest), 65536):
            time.sleep(hub.chunk_seconds)
            self.wfile.write(rest[begin : begin + 65536])
        self.wfile.flush()
        hub.sent += len(rest)
        if cut:
            self.close_connection = True
            if hub.reset:
                time.sleep(0.1)  # what was sent is read first
                lingering = struct.pack("ii", 1, 0)  # not at all: the kernel sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                os.close(self.connection.detach())
            else:
                self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", "refused by the test")
        self.send_header("Content-Length", "0")
        self.end_headers()
