"""SiamCAR is exact: its public names load, and its outputs are the public code's: those of a second
implementation here, written from what that code does, and, where they are, those it computed.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.model.checkpoint import empty_model, load_model
from siamla.model.siamcar import PREFIXES, SETTINGS, convert

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
STAGES = {1: 3, 2: 4, 3: 6, 4: 3}  # blocks


def public_shapes() -> dict[str, tuple[int, ...]]:
    """The names of a public checkpoint, with shapes; its fusion is a transposed convolution."""
    shapes, theirs = {}, {ours: public for public, ours in PREFIXES.items()}
    for name, value in empty_model(SETTINGS).state_dict().items():
        prefix = next(each for each in theirs if name.startswith(each))
        shapes[theirs[prefix] + name.removeprefix(prefix)] = tuple(value.shape)
    return shapes | {"down.weight": (768, 256, 1, 1)}


def made_up_weights() -> dict[str, Tensor]:
    """The made-up weights by which the reference outputs were computed with the public code."""
    shapes = public_shapes()
    state = {}
    for index, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        n = np.asarray(np.random.default_rng(1000 + index).standard_normal(shape), np.float32)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        if key.endswith("running_var"):
            value = 1 + 0.1 * np.abs(n)
        elif key.endswith("running_mean"):
            value = 0.01 * n
        elif len(shape) == 1:
            value = 1 + 0.05 * n if key.endswith("weight") else 0.01 * n
        else:
            fan_in = shape[0] if key == "down.weight" else int(np.prod(shape[1:]))
            value = n * np.sqrt(1 / fan_in)
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return made_up_weights()


class Plain:
    """The network on a checkpoint's own names, step by step."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, **how: int) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **how)

    def norm(self, x: Tensor, name: str) -> Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.state[f"{name}.{part}"] for part in parts))

    def block(self, x: Tensor, name: str, stride: int, dilation: int) -> Tensor:
        """A bottleneck. The first of a stage halves the dilation, and its 3×3 convolutions with a
        stride have no padding.
        """
        first = f"{name}.downsample.0.weight" in self.state
        dilation = dilation // 2 if first and dilation > 1 else dilation
        padding = 2 - stride if dilation == 1 else dilation
        how = {"stride": stride, "padding": padding, "dilation": dilation}
        out = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
        out = F.relu(self.norm(self.conv(out, f"{name}.conv2", **how), f"{name}.bn2"))
        out = self.norm(self.conv(out, f"{name}.conv3"), f"{name}.bn3")
        if first:
            wide = self.state[f"{name}.downsample.0.weight"].shape[-1] == 3
            x = self.conv(x, f"{name}.downsample.0", **(how if wide else {}))
            x = self.norm(x, f"{name}.downsample.1")
        return F.relu(out + x)

    def levels(self, image: Tensor) -> list[Tensor]:
        """The necks' three maps; of a template the middle 7×7."""
        x = F.relu(self.norm(self.conv(image, "backbone.conv1", stride=2), "backbone.bn1"))
        x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for stage, blocks in STAGES.items():
            for block in range(blocks):
                stride = 2 if stage == 2 and block == 0 else 1
                x = self.block(x, f"backbone.layer{stage}.{block}", stride, (1, 1, 2, 4)[stage - 1])
            if stage > 1:
                neck = f"neck.downsample{stage}.downsample"
                level = self.norm(self.conv(x, f"{neck}.0"), f"{neck}.1")
                maps.append(level[..., 4:11, 4:11] if level.shape[-1] < 20 else level)
        return maps

    def tower(self, x: Tensor, name: str) -> Tensor:
        for layer in range(0, 12, 3):
            x = self.conv(x, f"car_head.{name}.{layer}", padding=1)
            parts = (
                self.state[f"car_head.{name}.{layer + 1}.{part}"] for part in ("weight", "bias")
            )
            x = F.relu(F.group_norm(x, 32, *parts))
        return x

    def outputs(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (1, 2, 25, 25), l, t, r, b in crop pixels, and the logit of the centre-ness."""
        pairs = zip(self.levels(template), self.levels(search), strict=True)
        maps = [F.conv2d(s, z.reshape(256, 1, 7, 7), groups=256) for z, s in pairs]
        down = (self.state["down.weight"], self.state["down.bias"])
        x = F.conv_transpose2d(torch.cat(maps, 1), *down)
        scores, boxes = self.tower(x, "cls_tower"), self.tower(x, "bbox_tower")
        cls, cen = (
            self.conv(scores, f"car_head.{n}", padding=1) for n in ("cls_logits", "centerness")
        )
        return cls, self.conv(boxes, "car_head.bbox_pred", padding=1).exp(), cen


def crops() -> tuple[Tensor, Tensor]:
    """A made-up template and search crop."""
    rng = np.random.default_rng(7)
    sides = (rng.integers(0, 256, (1, 3, side, side)) for side in (127, 255))
    template, search = (torch.from_numpy(side.astype(np.float32)) for side in sides)
    return template, search


def test_outputs_match_a_second_implementation(state: dict[str, Tensor]) -> None:
    """Every weight of a public checkpoint is read, and no other."""
    with torch.no_grad():
        expected = Plain(state).outputs(*crops())
        model = convert(state, "x.pth").eval()
        template, search = crops()
        whole = model(template, search)
        tracked = model.track(model.embed_template(template), search)
    assert expected[0].std() > 1e-3
    for output in (whole, tracked):
        for part, other in zip(output, expected, strict=True):
            np.testing.assert_allclose(part.numpy(), other.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(
    not (REFERENCE / "siamcar_keys.tsv").exists(),
    reason="what the public code computed is not part of the repository",
)
def test_outputs_match_the_public_code(state: dict[str, Tensor], tmp_path: Path) -> None:
    shapes = {}
    for line in (REFERENCE / "siamcar_keys.tsv").read_text().splitlines():
        key, _, shape = line.partition("\t")
        shapes[key] = tuple(int(side) for side in shape.split("x")) if shape.strip() else ()
    assert public_shapes() == shapes
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 19}
    torch.save(wrapped, tmp_path / "public.pth")
    public, ours = str(tmp_path / "public.pth"), tmp_path / "ours.pt"
    assert main(["model", "import", public, "--out", str(ours)]) == 0
    model = load_model(ours)
    template, search = crops()
    expected = np.load(REFERENCE / "siamcar_vector.npz")
    with torch.no_grad():
        whole = model(template, search)
        tracked = model.track(model.embed_template(template), search)
    for output in (whole, tracked):
        for part, name in zip(output, ("cls", "loc", "cen"), strict=True):
            np.testing.assert_allclose(part.numpy(), expected[name], atol=1e-4)


def test_a_key_that_does_not_fit_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    for change, message in (
        ({"rpn_head.cls.weight": torch.zeros(3)}, "x.pth: unknown key rpn_head.cls.weight"),
        ({"down.weight": torch.zeros(512, 256, 1, 1)}, r"down.weight has shape \(512, 256, 1, 1\)"),
        (
            {"neck.downsample2.downsample.1.bias": torch.full((256,), torch.nan)},
            "necks.0.norm.bias holds NaN",
        ),
    ):
        with pytest.raises(UserError, match=message):
            convert({**state, **change}, "x.pth")
    with pytest.raises(UserError, match=r"no key fusion.bias"):
        convert({key: value for key, value in state.items() if key != "down.bias"}, "x.pth")
