"""Each of the paper's twelve trainings can overfit one batch."""

import pytest
import torch
from test_trainings import TRAININGS, specs
from torch import Tensor

from siamla.model.settings import ModelSettings
from siamla.model.siamla import build_model
from siamla.training.losses import iou, losses
from siamla.training.targets import assign

SMALL = ModelSettings(
    backbone="efficientnet_lite0", channels=32, tower_depth=1, groups=4, regression_bias=3.4
)
STEPS = 80
BOXES = torch.tensor([[95.0, 95, 64, 64], [40, 110, 90, 44]])
SPECS = specs("paper")


@pytest.fixture(scope="module")
def features() -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Levels of a random backbone for two crops with a bright box on noise."""
    g = torch.Generator().manual_seed(0)
    template, search = (
        torch.randint(0, 64, (2, 3, n, n), generator=g, dtype=torch.uint8) for n in (127, 255)
    )
    for i, (x, y, w, h) in enumerate(BOXES.int().tolist()):
        search[i, :, y : y + h, x : x + w] += 150
        template[i, :, 63 - h // 2 : 63 + h // 2, 63 - w // 2 : 63 + w // 2] += 150
    model = build_model(SMALL, seed=0)
    with torch.no_grad():
        return model.backbone(template), model.backbone(search)


@pytest.mark.parametrize("name", TRAININGS)
def test_every_variant_overfits_a_batch(
    name: str, features: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
) -> None:
    """After a few steps on two pairs the losses are low and the best cell by c·q has a good box.

    Soft labels have an entropy that no cross-entropy falls below, hence the mild limit on the
    classification.
    """
    spec = SPECS[name]
    branch = {"localization": spec.model.localization, "lafa": spec.model.lafa}
    model = build_model(SMALL.model_copy(update=branch), seed=0).train()
    trained = [p for n, p in model.named_parameters() if not n.startswith("backbone.")]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    history = []
    for _ in range(STEPS):
        output = model.forward_features(*features)
        noise = torch.rand(len(BOXES), 25, 25, generator=generator)
        kind = spec.model.localization
        terms = losses(output, BOXES, spec.labels, spec.loss, kind, epoch=0, noise=noise)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        history.append({key: value.item() for key, value in terms.items()})
    assert history[-1]["cls"] < 0.6 * history[0]["cls"]
    assert history[-1]["reg"] < 0.5 * history[0]["reg"]
    assert history[-1]["loc"] < history[0]["loc"]
    confidence = torch.softmax(output.cls, 1)[:, 1] * torch.sigmoid(output.loc[:, 0])
    overlap = iou(output.ltrb, assign(BOXES, spec.labels).ltrb)
    best = confidence.flatten(1).argmax(1, keepdim=True)
    assert overlap.flatten(1).gather(1, best).min() > 0.65
