"""Chromium without a window, driven over a pipe: no driver, no port, no further library.

Commands and events are those of the DevTools protocol
(https://chromedevtools.github.io/devtools-protocol/), as JSON that ends in a zero byte, read
by Chromium from its file descriptor 3 and written to 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE_SECONDS = 60.0
"""Of one wait: long, since a busy machine is no failure."""

_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # the tests may run as root, and open pages of this machine only
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
)

_AT_3_AND_4 = """
import fcntl, os, sys
free = 5  # what both are moved to first, so that neither is closed by the other's move
pair = [fcntl.fcntl(int(number), fcntl.F_DUPFD, free) for number in sys.argv[1:3]]
for number, place in zip(pair, (3, 4)):
    os.dup2(number, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Program that gives its first two descriptors the numbers that Chromium expects."""


def chromium() -> str | None:
    """Return the path of Chromium on this machine, if it has one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    """One window of Chromium.

    Attributes:
        requests: addresses that the page asked for since it was opened.
        dialogs: texts of alerts since then; each is closed at once.
        errors: exceptions of the page's scripts since then.

    Args:
        program: path of Chromium.
        folder: where it keeps its profile.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self._received = bytearray()
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._session = ""
        its_in, self._out = os.pipe()
        self._in, its_out = os.pipe()
        flags = [*_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _AT_3_AND_4, str(its_in), str(its_out), program, *flags],
            pass_fds=(its_in, its_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(its_in)
        os.close(its_out)
        try:
            page = self._command("Target.createTarget", url="about:blank")["targetId"]
            attached = self._command("Target.attachToTarget", targetId=page, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Network", "Runtime"):
                self._command(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End Chromium with all of its processes."""
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def resize(self, width: int, height: int, phone: bool = False) -> None:
        """Take the size of a window, or of a phone's screen with a finger for a mouse."""
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self._command("Emulation.setTouchEmulationEnabled", enabled=phone)

    def open(self, address: str) -> None:
        """Go to an address and wait until its page is loaded."""
        self.requests.clear()
        self.dialogs.clear()
        self.errors.clear()
        failed = self._command("Page.navigate", url=address).get("errorText")
        if failed:
            raise AssertionError(f"{address} cannot be opened: {failed}")
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return the value of an expression of JavaScript, awaited if it is a promise."""
        done = self._command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise AssertionError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """Return the value of an expression once it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if value := self.run(script):
                    return value
            except AssertionError:  # the page that it was asked of is being replaced
                pass
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds:.0f} s: {script}\n\n{self.text()[:3000]}")

    def wait_for_text(self, *texts: str) -> None:
        """Wait until the page shows all of these texts."""
        for text in texts:
            self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.run("document.body.innerText"))

    def click(self, element: str) -> None:
        """Press the mouse, or a finger, on the middle of what a selector finds first."""
        finder = f"document.querySelector({json.dumps(element)})"
        self.wait(f"!!{finder}")
        x, y = self.run(
            f"(() => {{ const found = {finder}; found.scrollIntoView({{block: 'center'}});"
            "const { x, y, width, height } = found.getBoundingClientRect();"
            "return [x + width / 2, y + height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def press(self, key: str) -> None:
        """Press and release a key, such as `Escape`."""
        code = {"Escape": 27, "Enter": 13, "Tab": 9}[key]
        for kind in ("keyDown", "keyUp"):
            self._command(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def picture(self, file: Path, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, in the format of the file's name."""
        kind = file.suffix.removeprefix(".")
        lossy: dict[str, Any] = {} if kind == "png" else {"quality": 85}
        taken = self._command(
            "Page.captureScreenshot", format=kind, captureBeyondViewport=whole, **lossy
        )
        file.write_bytes(base64.b64decode(taken["data"]))

    def print(self, file: Path) -> None:
        """Write the page as it would be printed, as PDF."""
        printed = self._command("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        file.write_bytes(base64.b64decode(printed["data"]))

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        end = time.monotonic() + PATIENCE_SECONDS
        while number not in self._answers:
            self._receive(end, method)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, end: float, method: str) -> None:
        readable, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
        if not readable:
            raise AssertionError(f"Chromium does not answer {method}")
        some = os.read(self._in, 1 << 20)
        if not some:
            raise AssertionError(f"Chromium ended before it answered {method}")
        self._received += some
        *whole, rest = self._received.split(b"\0")
        self._received = bytearray(rest)
        for message in map(json.loads, whole):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif event == "Page.javascriptDialogOpening":
            self.dialogs.append(told["message"])
            self._number += 1  # its answer is of no interest
            closing = {
                "id": self._number,
                "method": "Page.handleJavaScriptDialog",
                "params": {"accept": True},
                "sessionId": self._session,
            }
            os.write(self._out, json.dumps(closing).encode() + b"\0")
