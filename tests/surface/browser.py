"""Chromium without a window, spoken to over its DevTools protocol: pages as people get them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-port=0"),
)


def axe_script() -> str:
    """Returns axe-core; skips the test where no package that carries it is installed."""
    for package in ("axe_playwright_python", "axe_core_python"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            (found,) = Path(spec.submodule_search_locations[0]).rglob("axe.min.js")
            return found.read_text(encoding="utf-8")
    pytest.skip("axe-core is not installed: pip install axe-core-python")


@dataclass
class Browser:
    """One tab. Everything that it asks the network for is in ``requests``."""

    socket: Any
    requests: list[str] = field(default_factory=list)
    _sent: int = 0
    _loaded: int = 0

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._sent += 1
        self.socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=120))
            self._note(message)
            if message.get("id") == self._sent:
                assert "error" not in message, message
                return message["result"]

    def open(self, page: Path, *, width: int, scheme: str) -> None:
        """Shows a file at a width, in a colour scheme, and returns when it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        before = self._loaded
        self.call("Page.navigate", url=page.as_uri())
        while self._loaded == before:
            self._note(json.loads(self.socket.recv(timeout=120)))

    def value(self, script: str) -> Any:
        """Returns what a script, or the promise that it gives, comes to."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def violations(self, axe: str) -> list[str]:
        """Returns what axe-core finds on the page, everything unfolded."""
        self.value("document.querySelectorAll('details').forEach(d => { d.open = true })")
        self.value(f"{axe};0")
        found = self.value(
            "axe.run(document, {resultTypes: ['violations']}).then(r => "
            "JSON.stringify(r.violations.map(v => [v.id, v.nodes.map(n => n.html)])))"
        )
        return [f"{name}: {nodes[:2]}" for name, nodes in json.loads(found)]

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        self._loaded += message.get("method") == "Page.loadEventFired"


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Opens a browser whose profile is in a folder; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed")
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    command = [found, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = next((line for line in process.stderr if "DevTools listening on" in line), "")
        if not line:
            pytest.skip(f"{found} does not start here")
        host = line.split("ws://")[1].split("/")[0]
        # A tab of our own: the first one may not be there yet.
        new = urllib.request.Request(f"http://{host}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(new, timeout=60) as answer:
            tab = json.load(answer)
        # Not compressed: the page and axe are big, and both ends are on this machine.
        with client.connect(tab["webSocketDebuggerUrl"], max_size=None, compression=None) as socket:
            shown = Browser(socket)
            for domain in ("Network", "Page", "Runtime"):
                shown.call(f"{domain}.enable")
            # Only so that axe can be put into the page; the page itself asks for nothing.
            shown.call("Page.setBypassCSP", enabled=True)
            yield shown
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stderr.close()
