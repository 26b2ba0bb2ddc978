"""Headless Chromium, driven through its debugging pipe: real clicks and keys, any width, light or dark."""

import base64
import json
import os
import shutil
import subprocess
import threading

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 300  # a browser that hangs ends, and its test fails
KEYS = {"Backspace": (8, ""), "Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}


class Browser:
    """One tab. A context manager: the process ends with it."""

    def __init__(self, profile):
        theirs_read, ours_write = os.pipe()
        ours_read, theirs_write = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        # Chromium reads commands from descriptor 3 and answers on 4; a shell puts the pipes there.
        renamed = 'exec "$@" 3<&"$READ" 4>&"$WRITE"'
        self.process = subprocess.Popen(
            ["bash", "-c", renamed, "bash", PROGRAM, *flags, f"--user-data-dir={profile}", "about:blank"],
            env=os.environ | {"READ": str(theirs_read), "WRITE": str(theirs_write)},
            pass_fds=(theirs_read, theirs_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.limit = threading.Timer(SECONDS, self.process.kill)
        self.limit.start()
        os.close(theirs_read)
        os.close(theirs_write)
        self.commands, self.answers = os.fdopen(ours_write, "wb", 0), os.fdopen(ours_read, "rb")
        self.number, self.session, self.waiting, self.said = 0, None, b"", []
        target = next(target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()
        self.commands.close()
        self.answers.close()

    def call(self, method, **parameters):
        """The result of a command of the protocol. Events on the way are kept in `said`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.said.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self):
        while b"\0" not in self.waiting:
            part = self.answers.read1(2**20)
            assert part, "the browser has ended"
            self.waiting += part
        message, _, self.waiting = self.waiting.partition(b"\0")
        return json.loads(message)

    def open(self, path, *, width=1280, height=900, dark=False):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.said.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(message.get("method") == "Page.loadEventFired" for message in self.said):
            self.said.append(self._next())

    def run(self, script):
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def events(self, method):
        return [message["params"] for message in self.said if message.get("method") == method]

    def click(self, selector, nth=0):
        """A real click in the middle of an element, scrolled to if need be."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{nth}];"
            " e.scrollIntoView({block: 'center'}); const b = e.getClientRects()[0];"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        code, text = KEYS[key] if key in KEYS else (ord(key.upper()), key)
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
