"""Weights from a file or a URL: verified, cached, and refused with advice."""

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
    """Serves CONTENT, of which an answer ends after `most` bytes, and notes what was asked."""

    most = len(CONTENT)
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path != "/w.pth":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: self.server.most])

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


def test_of_many_who_want_a_file_one_fetches_it(server: Server) -> None:
    weights = Weights(url=url(server), sha256=SHA256)
    with ThreadPoolExecutor(4) as pool:
        (path,) = set(pool.map(locate, [weights] * 4))
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/w.pth"]
    assert read_state(path)["weight"].sum() == 499500


def test_an_answer_that_ends_early_leaves_no_weights(server: Server) -> None:
    server.most = len(CONTENT) // 2
    weights = Weights(url=url(server), sha256=SHA256)
    with pytest.raises(UserError, match=r"weights\.url: "):
        locate(weights)
    assert not list(cache_folder().rglob("*.pth*"))
    server.most = len(CONTENT)
    assert locate(weights).read_bytes() == CONTENT


def test_what_is_wrong_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(CONTENT[:-1])
    zeros = "0" * 64
    for weights, message in (
        (Weights(url=url(server), sha256=zeros), f'"{zeros}", got "{SHA256}".*weights.sha256'),
        (Weights(url=url(server, "absent"), sha256=SHA256), r"absent \(.*404.*weights.path"),
        (Weights(url="http://127.0.0.1:9/x", sha256=SHA256), r"cannot fetch http://127.0.0.1:9/x"),
        (Weights(path=tmp_path / "no.pth", sha256=SHA256), "no.pth not found; put the file there"),
        (
            Weights(path=tmp_path / "w.pth", sha256=SHA256),
            "w.pth: SHA-256 is .* says",
        ),
    ):
        with pytest.raises(UserError, match=message):
            locate(weights)
    assert not list(cache_folder().rglob("*.pth*"))


def test_torchvision_shortcuts_do_not_fit() -> None:
    with torch.device("meta"):
        network = ResNet50()
    state = network.state_dict()
    state["layer2.0.downsample.0.weight"] = torch.zeros(512, 256, 1, 1, device="meta")
    message = r"r.pth: layer2.0.downsample.0.weight .* use pysot's resnet50.model"
    with pytest.raises(UserError, match=message):
        network.load_imagenet(state, "r.pth")
    del state["conv1.weight"]
    with pytest.raises(UserError, match=r"no key conv1.weight"):
        network.load_imagenet(state, "r.pth")
