"""Weights from a file or a URL: verified, resumed, cached, and refused with advice."""

import hashlib
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch

from siamla.errors import UserError
from siamla.files import cache_folder
from siamla.model.backbones.resnet50 import ResNet50
from siamla.model.settings import Weights
from siamla.model.weights import locate, read_state


def content() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(1000.0)}, buffer)
    return buffer.getvalue()


CONTENT = content()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(HTTPServer):
    """Serves CONTENT; notes the Range headers; ignores them when `ranges` is off.

    It ends an answer after `most` bytes, though it says that there are more.
    """

    ranges = True
    most = len(CONTENT)
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path != "/w.pth":
            self.send_error(404)
            return
        start = (
            int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        )
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.server.most])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = Server(("127.0.0.1", 0), Handler)
    served.asked = []
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


def url(server: Server, name: str = "w.pth") -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_fetched_once_and_verified(server: Server) -> None:
    weights = Weights(url=url(server), sha256=SHA256)
    path = locate(weights)
    assert path.read_bytes() == CONTENT
    assert locate(weights) == path
    assert server.asked == [None]
    assert read_state(path)["weight"].sum() == 499500


@pytest.mark.parametrize(("ranges", "there"), [(True, 1000), (False, 1000), (True, len(CONTENT))])
def test_a_cut_transfer_goes_on(server: Server, ranges: bool, there: int) -> None:
    server.ranges = ranges
    partial = cache_folder() / "weights" / f"{SHA256}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:there])
    assert locate(Weights(url=url(server), sha256=SHA256)).read_bytes() == CONTENT
    assert server.asked == [f"bytes={there}-"]
    assert not partial.exists()


def test_an_answer_that_ends_early_is_kept_and_goes_on(server: Server) -> None:
    server.most = len(CONTENT) // 2 + 1
    weights = Weights(url=url(server), sha256=SHA256)
    with pytest.raises(UserError, match=rf"ended after {server.most} of {len(CONTENT)} bytes"):
        locate(weights)
    assert locate(weights).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={server.most}-"]


def test_of_two_who_want_a_file_one_fetches_it(server: Server) -> None:
    weights = Weights(url=url(server), sha256=SHA256)
    with ThreadPoolExecutor(4) as pool:
        paths = {path.read_bytes() for path in pool.map(locate, [weights] * 4)}
    assert paths == {CONTENT}
    assert server.asked == [None]


def test_what_is_wrong_is_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=f"SHA-256 is {SHA256}, expected {'0' * 64}: .*correct weights.url"
    ):
        locate(Weights(url=url(server), sha256="0" * 64))
    assert not list(cache_folder().rglob("*.p*"))
    with pytest.raises(UserError, match=r"answered 404 .*weights.path"):
        locate(Weights(url=url(server, "absent"), sha256=SHA256))
    with pytest.raises(UserError, match=r"cannot fetch .*run again to resume"):
        locate(Weights(url="http://127.0.0.1:9/x", sha256=SHA256))
    with pytest.raises(UserError, match=r"absent.pth not found; put the file there"):
        locate(Weights(path=tmp_path / "absent.pth", sha256=SHA256))
    (tmp_path / "w.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=r"w.pth: SHA-256 is .* check the file"):
        locate(Weights(path=tmp_path / "w.pth", sha256=SHA256))


def test_torchvision_shortcuts_do_not_fit() -> None:
    with torch.device("meta"):
        network = ResNet50()
    state = network.state_dict()
    state["layer2.0.downsample.0.weight"] = torch.zeros(512, 256, 1, 1, device="meta")
    with pytest.raises(
        UserError, match=r"r.pth: layer2.0.downsample.0.weight .* use pysot's resnet50.model"
    ):
        network.load_imagenet(state, "r.pth")
    del state["conv1.weight"]
    with pytest.raises(UserError, match=r"no key conv1.weight"):
        network.load_imagenet(state, "r.pth")
