"""Pictures of MLflow's page as `siamla mlflow ui` opens it, taken in Chromium: those of
docs/mlflow.md.

    python benchmarks/mlflow_screenshot.py --profile mini --out docs/images

It needs Chromium and MLflow's view of the profile (`siamla mlflow sync`). Headless Chromium is told
what to do over two pipes (its own protocol, a JSON object and a zero byte each way), so that no
driver has to be installed.
"""

import argparse
import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from siamla.errors import UserError

WIDTH, HEIGHT = 1400, 900
PATIENCE = 180.0  # seconds; the page loads megabytes of script
# the panel of MLflow's assistant takes a third of the page until one closes it
CLOSE = """[...document.querySelectorAll('button')].filter(
  (button) => /assistant.chat_panel.close$/.test(button.getAttribute('data-component-id') || '')
).forEach((button) => button.click())"""
COLORS = 128  # of the picture: a page of text and lines needs no more
# what tells that a view is drawn: the foot of the table; a chart
DRAWN = {
    "runs": "/\\d+ matching run/.test(document.body.innerText)",
    "ablation": "document.querySelectorAll('.js-plotly-plot').length > 0",
}


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, chromium: str, folder: str) -> None:
        read_by_it, self._out = os.pipe()
        self._in, written_by_it = os.pipe()

        def place() -> (
            None
        ):  # the pipes are its descriptors 3 and 4; copies first, since one may stand there
            first, second = os.dup(read_by_it), os.dup(written_by_it)
            os.dup2(first, 3)
            os.dup2(second, 4)

        own = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
        ]
        size = f"--window-size={WIDTH},{HEIGHT}"
        self.process = subprocess.Popen(
            [chromium, *own, size, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_by_it)
        os.close(written_by_it)
        self._rest, self._number, self._session = b"", 0, ""
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        size_ = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size_)

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """What Chromium answers to a call; events are passed over."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._in, 1 << 16)
                if not part:
                    raise UserError("Chromium ended before it answered")
                self._rest += part
            text, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise UserError(f"Chromium, {method}: {answer['error'].get('message')}")
                return dict(answer["result"])

    def evaluate(self, script: str) -> Any:
        """The value of a line of JavaScript in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get(
            "value"
        )

    def open(self, address: str, drawn: str) -> None:
        """Open an address and wait until `drawn` is true in it, and until it stands still."""
        self.call(
            "Page.navigate", url="about:blank"
        )  # another part behind the # alone would load nothing
        self.call("Page.navigate", url=address)
        until = time.monotonic() + PATIENCE
        while not self.evaluate(drawn):
            if time.monotonic() > until:
                raise UserError(
                    f"{address}: not drawn after {PATIENCE:.0f} s; it shows {self.text()[:300]!r}"
                )
            time.sleep(0.5)
        time.sleep(8)
        self.evaluate(CLOSE)
        time.sleep(4)

    def text(self) -> str:
        """The text that the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def picture(self) -> Image.Image:
        """The page as it looks."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium that ends with the block."""
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        raise UserError("no chromium, chromium-browser or google-chrome on the PATH")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Browser(chromium, folder)
        try:
            yield page
        finally:
            page.process.terminate()
            page.process.wait()


@contextmanager
def pages(results: Path, profile: str) -> Iterator[dict[str, str]]:
    """`siamla mlflow ui` for the block: view → the address that it prints for the profile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "siamla.cli.main",
        "mlflow",
        "ui",
        "--port",
        str(port),
        "--results",
        str(results),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        found: dict[str, str] = {}
        section = ""
        for line in server.stdout or ():
            section = line.split("  ")[0] if line.strip() and not line.startswith(" ") else section
            address = re.search(r"http\S+&viewStateShareKey=(\w+)", line)
            if address and section == profile:
                found[address[1]] = address[0]
            if found.keys() == DRAWN.keys():
                break
        else:
            raise UserError(
                f"{results}: MLflow has no views of {profile}; `siamla mlflow sync --profile"
                f" {profile}`"
            )
        yield found
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def main() -> None:
    """Write mlflow_runs.png and mlflow_ablation.png."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with pages(args.results, args.profile) as found, browser() as page:
        for view, address in found.items():
            page.open(address, DRAWN[view])
            path = args.out / f"mlflow_{view}.png"
            page.picture().quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size // 1024} kB", flush=True)


if __name__ == "__main__":
    main()
