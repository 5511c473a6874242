"""Eq. 4–7 and 10 by pocket calculator on 3×3 maps, and where gradients go."""

import math

import pytest
import torch
from torch import Tensor

from siamla.data.crop import to_index
from siamla.data.pairs import ABSENT
from siamla.model.siamla import Output
from siamla.training.losses import (
    classification_label,
    draw_negatives,
    dynamic_label,
    image_normalize,
    iou,
    iou_loss,
    ladl_loss,
    losses,
    overlap,
    quality_loss,
    regression_weight,
    scale_label,
    smooth_label,
)
from siamla.training.settings import Labels, LossWeights
from siamla.training.targets import Targets, assign

# IoU_ij of a 3×3 map: one centre cell, four boundary cells, four negatives.
IOU = torch.tensor([[[0.1, 0.7, 0.2], [0.6, 0.9, 0.5], [0.0, 0.3, 0.4]]], dtype=torch.float64)
CENTRE = torch.tensor([[[0, 0, 0], [0, 1, 0], [0, 0, 0]]], dtype=torch.bool)
BOUNDARY = torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]], dtype=torch.bool)
TARGETS = Targets(CENTRE, BOUNDARY, torch.zeros(1, 4, 3, 3), torch.zeros(1, 3, 3))


def test_equation_5_by_hand() -> None:
    """1/(1+e⁻⁴) = 0.98201, 1/(1+e⁻²) = 0.88080, 1/(1+e⁻¹) = 0.73106, 1/(1+e⁰) = 0.5, 1/(1+e²) =
    0.11920.
    """
    expected = [[0.01799, 0.88080, 0.04743], [0.73106, 0.98201, 0.5], [0.00669, 0.11920, 0.26894]]
    label = dynamic_label(IOU)[0]
    torch.testing.assert_close(label, torch.tensor(expected).double(), atol=5e-6, rtol=0)


def test_equation_7_by_hand() -> None:
    """λ = 0.2: the fifth power at boundary cells, 0.88080⁵ = 0.53013; the centre cell keeps
    0.98201.
    """
    label = smooth_label(dynamic_label(IOU), BOUNDARY, 0.2)[0]
    assert label[0, 1] == pytest.approx(0.53013, abs=1e-5)
    assert label[1, 0] == pytest.approx(0.20881, abs=1e-5)
    assert label[1, 2] == pytest.approx(0.03125, abs=1e-9)
    assert label[2, 1] == pytest.approx(0.0000241, abs=1e-7)
    assert label[1, 1] == pytest.approx(0.98201, abs=1e-5)


def test_equation_6_by_hand() -> None:
    """Positives 0.9, 0.5, 0.4 of one image: (0.5 - 0.4)/(0.9 - 0.4) = 0.2."""
    positive = torch.tensor([[[0, 0, 0], [0, 1, 1], [0, 0, 1]]], dtype=torch.bool)
    expected = torch.tensor([[[0, 0, 0], [0, 1, 0.2], [0, 0, 0]]]).double()
    torch.testing.assert_close(image_normalize(IOU, positive), expected)
    single = image_normalize(IOU, CENTRE)  # max = min: the label stays
    assert single[0, 1, 1] == 0.9
    assert single.sum() == pytest.approx(0.9)
    assert not image_normalize(IOU, torch.zeros_like(CENTRE)).any()


def test_label_of_every_variant() -> None:
    def label(epoch: int = 0, **settings: object) -> Tensor:
        return classification_label(IOU, TARGETS, Labels.model_validate(settings), epoch)[0]

    plain = label(lals=True)  # LALS without LADL: 1 and λ
    assert plain[1].tolist() == [0.2, 1, 0.2]
    assert label(ladl=True, normalize="none")[1, 1] == pytest.approx(0.98201, abs=1e-5)
    assert label(ladl=True, normalize="none", mapping="linear")[0, 1] == pytest.approx(0.7**5)
    # eq. 7, then eq. 6: (0.53013 - 0.0000241) / (0.98201 - 0.0000241) = 0.53983
    assert label(ladl=True)[0, 1] == pytest.approx(0.53983, abs=1e-5)
    assert label(ladl=True)[1, 1] == 1
    assert label(ladl=True)[0, 0] == 0
    limited = {"ladl": True, "normalize_epochs": 2}
    assert label(1, **limited)[1, 1] == 1
    assert label(2, **limited)[1, 1] == pytest.approx(0.98201, abs=1e-5)


def logits(score: Tensor) -> Tensor:
    """Two-channel logits (B, 2, n, n) whose softmax is (1 - c, c)."""
    return torch.stack([torch.log(1 - score), torch.log(score)], dim=1)


def test_equation_4_by_hand() -> None:
    """A positive with c = 0.8, ŷ = 0.6; two negatives with c = 0.5 and c = 0.1, the rest with c =
    10⁻⁹.

    -(0.6·ln 0.8 + 0.4·ln 0.2) = 0.77766; 1.5·ln 2 = 1.03972; 1.1·0.10536 = 0.11590.
    """
    score = torch.full((1, 3, 3), 1e-9, dtype=torch.float64)
    score[0, 1, 1], score[0, 0, 0], score[0, 2, 2] = 0.8, 0.5, 0.1
    label = torch.where(CENTRE, 0.6, 0.0).double()
    for positive, reweight, expected in (
        (CENTRE, True, 0.5 * 0.77766 + 0.5 * (1.03972 + 0.11590) / 8),
        (CENTRE, False, 0.5 * 0.77766 + 0.5 * (0.69315 + 0.10536) / 8),
        (torch.zeros_like(CENTRE), False, 0.5 * (0.69315 + 0.10536 + 1.60944) / 9),
    ):
        loss = ladl_loss(logits(score), label, positive, reweight)
        assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_equation_10_by_hand() -> None:
    """q = 0.8 with IoU 0.9 and q = 0.5 with IoU 0.1: -(0.9·ln 0.8 + 0.1·ln 0.2) = 0.36177; ln 2 =
    0.69315.
    """
    q = torch.full((1, 3, 3), 0.5, dtype=torch.float64)
    q[0, 1, 1] = 0.8
    chosen = CENTRE.clone()
    chosen[0, 0, 0] = True
    loss = quality_loss(torch.logit(q), IOU, chosen)
    assert loss.item() == pytest.approx((0.36177 + 0.69315) / 2, abs=1e-5)


def test_iou_loss_by_hand() -> None:
    """A 4×4 box shifted by 1 px from its truth: I = 12, U = 20, -ln(13/21) = 0.47957; IoU 0.6."""
    sides = torch.tensor([1.0, 2, 3, 2], dtype=torch.float64)
    predicted = sides.view(1, 4, 1, 1).expand(1, 4, 3, 3)
    truth = torch.full((1, 4, 3, 3), 2.0, dtype=torch.float64)
    assert iou(predicted, truth)[0, 0, 0] == pytest.approx(0.6)
    assert iou_loss(predicted, truth, CENTRE.double()).item() == pytest.approx(0.47957, abs=1e-5)
    assert iou_loss(predicted, truth, torch.zeros(1, 3, 3).double()).item() == 0
    far = torch.tensor([-50.0, 10, 60, 10]).view(1, 4, 1, 1)  # a truth that has not the cell in it
    assert overlap(torch.full((1, 4, 1, 1), 10.0), far)[0] == 0


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)


RANDOM = torch.Generator().manual_seed(0)
LABEL = torch.rand(2, 3, 3, dtype=torch.float64, generator=RANDOM)
POSITIVE = torch.rand(2, 3, 3, generator=RANDOM) < 0.5


def test_gradient_of_reweighted_negatives() -> None:
    """The factor (1+c) is a constant weight: the gradient is (1+c)·∂(-log(1-c)) = (1+c)·c for the
    target's logit.
    """
    x = noise(2, 2, 3, 3)
    ladl_loss(x, LABEL, torch.zeros_like(POSITIVE)).backward()
    c = torch.softmax(x.detach(), 1)[:, 1]
    assert x.grad is not None
    torch.testing.assert_close(x.grad[:, 1], 0.5 * (1 + c) * c / c.numel())


def random_output(seed: int = 0, batch: int = 2) -> Output:
    g = torch.Generator().manual_seed(seed)
    cls, ltrb, loc = (torch.randn(batch, n, 25, 25, generator=g) for n in (2, 4, 1))
    return Output(*(x.requires_grad_() for x in (cls, (ltrb * 0.3 + 3.4).exp(), loc)))


BOXES = torch.tensor([[95.0, 95, 64, 64], [60, 110, 90, 30]])
NOISE = torch.rand(2, 25, 25, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("localization", ["centerness", "lafa"])
def test_no_gradient_reaches_the_regression_through_labels(localization: str) -> None:
    """Only the IoU loss moves the boxes: dynamic labels and quality targets are constants."""
    output = random_output()
    labels = Labels(ladl=True, lals=True)
    terms = losses(output, BOXES, labels, LossWeights(), localization, 0, NOISE)
    for name, leaf in (("cls", output.cls), ("loc", output.loc)):
        own, boxes = torch.autograd.grad(
            terms[name], (leaf, output.ltrb), allow_unused=True, retain_graph=True
        )
        assert boxes is None
        assert own.abs().sum() > 0
    gradient = torch.autograd.grad(terms["reg"], output.ltrb)[0].abs().sum(1)
    positive = assign(BOXES, labels).positive
    assert (gradient[positive] > 0).all()
    assert not gradient[~positive].any()


def test_baseline_is_siamcar() -> None:
    """Cross-entropy and IoU loss written out as in SiamCAR's public code (loss_car.py), and the
    weights 1, 3, 1.
    """
    output = random_output()
    terms = losses(output, BOXES, Labels(), LossWeights(), "centerness", 0, NOISE)
    targets = assign(BOXES, Labels())
    positive = targets.centre
    entropy = torch.nn.functional.cross_entropy(output.cls, positive.long(), reduction="none")
    halves = 0.5 * entropy[positive].mean() + 0.5 * entropy[~positive].mean()
    torch.testing.assert_close(terms["cls"], halves)
    p, t = (x.permute(0, 2, 3, 1)[positive] for x in (output.ltrb, targets.ltrb))
    low = torch.minimum(p, t)
    inter = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    areas = [(each[:, 0] + each[:, 2]) * (each[:, 1] + each[:, 3]) for each in (p, t)]
    union = areas[0] + areas[1] - inter
    weight = targets.centerness[positive]
    loss = -((inter + 1) / (union + 1)).log()
    torch.testing.assert_close(terms["reg"], (loss * weight).sum() / weight.sum())
    bce = torch.nn.functional.binary_cross_entropy_with_logits(output.loc[:, 0][positive], weight)
    torch.testing.assert_close(terms["loc"], bce)
    torch.testing.assert_close(terms["total"], terms["cls"] + 3 * terms["reg"] + terms["loc"])


def test_reweight_takes_1_plus_c_off_negatives_with_ladl_alone() -> None:
    """Every c is ½ and nothing is positive: a negative's loss is 1½ · log 2, or log 2 without."""
    output = random_output()._replace(cls=torch.zeros(2, 2, 25, 25))
    nowhere = torch.tensor([ABSENT, ABSENT])
    for ladl, reweight, factor in ((True, True, 1.5), (True, False, 1.0), (False, True, 1.0)):
        labels = Labels(ladl=ladl, reweight=reweight)
        terms = losses(output, nowhere, labels, LossWeights(), "centerness", 0, NOISE)
        assert terms["cls"].item() == pytest.approx(0.5 * factor * math.log(2))


def test_weights_of_boxes_by_hand() -> None:
    """A box of 3×3 cells around cell (12, 12): the middle cell is centre, the eight others are
    boundary.
    """
    targets = assign(torch.tensor([[115.0, 115, 24, 24]]), Labels(lals=True))
    uniform = regression_weight(targets, LossWeights(boundary=0.1), "lafa")[0, 11:14, 11:14]
    expected = torch.tensor([[0.1, 0.1, 0.1], [0.1, 1, 0.1], [0.1, 0.1, 0.1]])
    torch.testing.assert_close(uniform, expected)
    edge = 0.2**0.5  # min / max = 4 / 20 along an axis
    corner = 0.2
    settings = LossWeights(boxes="centerness", boundary=0.5)
    weights = regression_weight(targets, settings, "lafa")[0, 11:14, 11:14]
    expected = torch.tensor([[corner, edge, corner], [edge, 2, edge], [corner, edge, corner]]) / 2
    torch.testing.assert_close(weights, expected)
    cases = [
        ("auto", "lafa", 9.0),
        ("uniform", "centerness", 9.0),
        ("auto", "centerness", 1 + 4 * (edge + corner)),
    ]
    for boxes, localization, total in cases:
        found = regression_weight(targets, LossWeights(boxes=boxes), localization).sum()
        assert float(found) == pytest.approx(total)


def test_negatives_are_drawn_one_to_one() -> None:
    positive = torch.zeros(3, 25, 25, dtype=torch.bool)
    positive[0, :3, :3] = True
    positive[2] = True
    positive[2, 0, :5] = False
    noise = torch.rand(3, 25, 25, generator=torch.Generator().manual_seed(0))
    drawn = draw_negatives(positive, noise)
    assert drawn.flatten(1).sum(1).tolist() == [9, 0, 5]  # at most all
    assert not (drawn & positive).any()
    assert noise[0][drawn[0]].max() < noise[0][~drawn[0] & ~positive[0]].min()
    # an image's own, whatever lies beside it
    assert torch.equal(drawn[:1], draw_negatives(positive[:1], noise[:1]))
    assert not torch.equal(drawn, draw_negatives(positive, noise.flip(2)))


def test_a_batch_without_positives_is_finite() -> None:
    output = random_output()
    for localization in ("centerness", "lafa"):
        terms = losses(output, BOXES * 0 + 2, Labels(), LossWeights(), localization, 0, NOISE)
        assert terms["reg"] == 0
        assert terms["loc"] == 0
        assert torch.isfinite(terms["total"])
        terms["total"].backward()
        assert torch.isfinite(output.ltrb.grad).all()


def test_scaled_labels_by_hand() -> None:
    """Labels 0.8 and 0.2 of boxes with IoU 0.6 and 0.5: times 0.6 / 0.8 they are 0.6 and 0.15;
    nothing falls to 0.
    """
    label, quality = torch.tensor([[[0.8, 0.2, 0.9]]]), torch.tensor([[[0.6, 0.5, 0.99]]])
    positive = torch.tensor([[[True, True, False]]])
    expected = torch.tensor([[[0.6, 0.15, 0.0]]])
    torch.testing.assert_close(scale_label(label, quality, positive), expected)
    assert not scale_label(label, quality, torch.zeros_like(positive)).any()
    settings = Labels(ladl=True, normalize="max", normalize_epochs=1)
    scaled, raw = (classification_label(IOU, TARGETS, settings, epoch)[0] for epoch in (0, 1))
    assert scaled.max() == pytest.approx(0.9)  # the centre's IoU, in place of eq. 5's 0.98201
    assert raw[1, 1] == pytest.approx(0.98201, abs=1e-5)


def test_the_regression_weighs_less_with_lafa_unless_it_is_set() -> None:
    assert [LossWeights().of_regression(each) for each in ("centerness", "lafa")] == [3, 1]
    assert LossWeights(regression=2).of_regression("lafa") == 2


def test_a_target_that_is_not_there_has_no_positive_and_no_gradient_but_the_score() -> None:
    """One image of two without its target: it counts among the negatives alone, also where the
    nearest cell may.
    """
    labels = Labels(ladl=True, lals=True, nearest_if_none=True)
    boxes = torch.stack([BOXES[0], torch.tensor(to_index(ABSENT), dtype=torch.float32)])
    targets = assign(boxes, labels)
    assert targets.positive[0].any()
    assert not targets.positive[1].any()
    output = random_output()
    terms = losses(output, boxes, labels, LossWeights(), "lafa", 0, NOISE)
    first = Output(*(x[:1] for x in output))
    alone = losses(first, boxes[:1], labels, LossWeights(), "lafa", 0, NOISE[:1])
    for name in ("reg", "loc"):
        torch.testing.assert_close(terms[name], alone[name])
    scores, boxes_gradient = torch.autograd.grad(terms["total"], (output.cls, output.ltrb))
    assert scores[1].abs().sum() > 0
    assert torch.isfinite(boxes_gradient).all()
    assert not boxes_gradient[1].any()


def test_confident_negatives_are_those_with_the_highest_score() -> None:
    output = random_output()
    settings = LossWeights(negatives="confident")
    terms = losses(output, BOXES, Labels(), settings, "lafa", 0, NOISE)
    (gradient,) = torch.autograd.grad(terms["loc"], output.loc)
    positive = assign(BOXES, Labels()).positive
    score = output.cls.softmax(1)[:, 1]
    for image in range(2):
        chosen = (gradient[image, 0] != 0) & ~positive[image]
        count = int(positive[image].sum())
        assert int(chosen.sum()) == count
        others = score[image][~positive[image]]
        assert score[image][chosen].min() == others.topk(count).values.min()
