"""Weights from a file or a URL: verified, cached, and refused with advice."""

import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of CONTENT."""
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "served.pth").write_bytes(CONTENT)
    return (tmp_path / "served.pth").as_uri()


def test_of_many_who_want_a_file_one_fetches_it(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fetched = torch.hub.download_url_to_file, []

    def fetch(url: str, *arguments: Any, **named: Any) -> None:
        fetched.append(url)
        time.sleep(0.2)
        real(url, *arguments, **named)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    weights = Weights(url=served, sha256=SHA256)
    with ThreadPoolExecutor(4) as pool:
        (path,) = set(pool.map(locate, [weights] * 4))
    assert path.read_bytes() == CONTENT
    assert fetched == [served]
    assert read_state(path)["weight"].sum() == 499500


def test_what_is_wrong_is_said(served: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(CONTENT[:-1])
    absent, cut = served.replace("served", "absent"), (tmp_path / "w.pth").as_uri()
    zeros = "0" * 64
    for weights, message in (
        (Weights(url=served, sha256=zeros), f'"{zeros}", got "{SHA256}".*weights.sha256'),
        (Weights(url=cut, sha256=SHA256), rf'"{SHA256}", got ".*weights.sha256'),  # ended early
        (Weights(url=absent, sha256=SHA256), r"cannot fetch .*absent\.pth .*weights.path"),
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
