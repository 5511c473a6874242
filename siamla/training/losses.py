"""The losses of the paper, eq. 4–7, 10 and 11, and of SiamCAR; one function for each.

Map functions take score maps (B, n, n) in any precision. Where several processes share a batch,
`across` sums a count over them, and their losses sum up to the batch's.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from siamla.model.siamla import Output
from siamla.training.settings import Labels, LossWeights
from siamla.training.targets import Targets, assign

Across = Callable[[Tensor], Tensor]


def _alone(count: Tensor) -> Tensor:
    return count


def _mean(values: Tensor, mask: Tensor, across: Across) -> Tensor:
    return torch.where(mask, values, 0.0).sum() / across(mask.sum()).clamp_min(1)


def overlap(ltrb: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union (B, n, n) in square pixels of boxes as offsets (B, 4, n, n)."""
    near, far = torch.minimum(ltrb, target)[:, :2], torch.minimum(ltrb, target)[:, 2:]
    intersection = (near + far).clamp_min(0).prod(1)
    area = (ltrb[:, :2] + ltrb[:, 2:]).prod(1) + (target[:, :2] + target[:, 2:]).prod(1)
    return intersection, area - intersection


def iou(ltrb: Tensor, target: Tensor) -> Tensor:
    """IoU_ij (B, n, n) between the box decoded at each cell and the ground truth."""
    intersection, union = overlap(ltrb, target)
    return intersection / union


def dynamic_label(quality: Tensor, alpha: float = 0.5, beta: float = 10.0) -> Tensor:
    """Eq. 5: ŷ = 1 / (1 + exp(-(IoU - α)·β)). The print lacks the minus sign."""
    return torch.sigmoid((quality - alpha) * beta)


def image_normalize(label: Tensor, positive: Tensor) -> Tensor:
    """Eq. 6: min-max of labels over each image's positives (as they are if max = min); else 0."""
    flat, mask = label.flatten(1), positive.flatten(1)
    low = flat.masked_fill(~mask, torch.inf).amin(1, keepdim=True)
    high = flat.masked_fill(~mask, -torch.inf).amax(1, keepdim=True)
    spread = torch.where(high > low, high - low, 1.0)
    normalized = torch.where(high > low, (flat - low) / spread, flat)
    return torch.where(mask, normalized, 0.0).view_as(label)


def scale_label(label: Tensor, quality: Tensor, positive: Tensor) -> Tensor:
    """In place of eq. 6 (TOOD, Feng et al. 2021): scaled so that the largest is the largest IoU."""
    flat, mask = label.flatten(1), positive.flatten(1)
    high = flat.masked_fill(~mask, 0.0).amax(1, keepdim=True)
    best = quality.flatten(1).masked_fill(~mask, 0.0).amax(1, keepdim=True)
    scaled = flat * best / high.clamp_min(torch.finfo(flat.dtype).tiny)
    return torch.where(mask, scaled, 0.0).view_as(label)


def smooth_label(label: Tensor, boundary: Tensor, lambda_: float) -> Tensor:
    """Eq. 7 (LALS): ŷ^(1/λ) at boundary cells, ŷ (λ = 1) elsewhere."""
    return torch.where(boundary, label ** (1 / lambda_), label)


def classification_label(quality: Tensor, targets: Targets, labels: Labels, epoch: int) -> Tensor:
    """ŷ (B, n, n) of the positive cells and 0 elsewhere, from IoU_ij; no gradient flows through it.

    Without LADL: 1 at centre cells and λ at boundary cells. With it: eq. 5 or, `mapping: linear`,
    the IoU itself; eq. 7 at boundary cells; then, in epochs before `normalize_epochs`, eq. 6 over
    all positives together, or what `normalize` has instead.
    """
    positive, kind = targets.positive, quality.dtype
    if not labels.ladl:
        return targets.centre.to(kind) + labels.lambda_ * targets.boundary.to(kind)
    label = quality = quality.detach()
    if labels.mapping == "nonlinear":
        label = dynamic_label(quality, labels.alpha, labels.beta)
    label = smooth_label(label, targets.boundary, labels.lambda_)
    if labels.normalize_epochs is None or epoch < labels.normalize_epochs:
        if labels.normalize == "minmax":
            return image_normalize(label, positive)
        if labels.normalize == "max":
            return scale_label(label, quality, positive)
    return torch.where(positive, label, 0.0)


def ladl_loss(
    cls: Tensor, label: Tensor, positive: Tensor, reweight: bool = True, across: Across = _alone
) -> Tensor:
    """Eq. 3–4 from logits (B, 2, n, n) and labels ŷ (B, n, n): a scalar.

    Positive cells: -(ŷ·log c + (1-ŷ)·log(1-c)); the print has log(1-c) twice. Negative cells:
    -(1+c)·log(1-c), where the weight (1+c) carries no gradient (the print does not say). The loss
    is 0.5·mean(positives) + 0.5·mean(negatives) over the batch; an empty class adds 0. With
    `reweight` off and ŷ = 1 it is the baseline's cross-entropy.
    """
    log_probability = F.log_softmax(cls, dim=1)
    background, target = log_probability.unbind(1)
    on_positive = -(label * target + (1 - label) * background)
    weight = 1 + target.detach().exp() if reweight else 1.0
    on_negative = -weight * background
    return 0.5 * _mean(on_positive, positive, across) + 0.5 * _mean(on_negative, ~positive, across)


def iou_loss(ltrb: Tensor, target: Tensor, weight: Tensor, across: Across = _alone) -> Tensor:
    """-ln((I+1)/(U+1)), as in SiamCAR's code (loss_car.py), averaged with weights (B, n, n)."""
    intersection, union = overlap(ltrb, target)
    loss = torch.log((union + 1) / (intersection + 1))
    chosen = weight > 0
    total = torch.where(chosen, loss * weight, 0.0).sum()
    return total / across(weight.sum()).clamp_min(torch.finfo(weight.dtype).tiny)


def regression_weight(targets: Targets, weights: LossWeights, localization: str) -> Tensor:
    """Weights (B, n, n) of the cells in `iou_loss`; 0 for negatives.

    As `boxes` says, centre-ness (SiamCAR's code) or 1 for every positive (as both papers print it);
    "auto" is centre-ness, and 1 where LAFA has replaced that branch. At boundary cells they are
    multiplied by `boundary` (docs/recipe.md has what that gains).
    """
    uniform = localization == "lafa" if weights.boxes == "auto" else weights.boxes == "uniform"
    weight = targets.positive.float() if uniform else targets.positive * targets.centerness
    return torch.where(targets.boundary, weights.boundary * weight, weight)


def quality_loss(logit: Tensor, quality: Tensor, chosen: Tensor, across: Across = _alone) -> Tensor:
    """Eq. 10: mean BCE of logits (B, n, n) to IoU_ij over chosen cells; no gradient into IoU."""
    loss = F.binary_cross_entropy_with_logits(logit, quality.detach(), reduction="none")
    return _mean(loss, chosen, across)


def draw_negatives(positive: Tensor, noise: Tensor) -> Tensor:
    """(B, n, n) bool: in each image as many negatives as positives, those of the least `noise`."""
    mask = positive.flatten(1)
    order = noise.flatten(1).masked_fill(mask, 2.0).argsort(dim=1, stable=True)
    rank = order.argsort(1)
    return ((rank < mask.sum(1, keepdim=True)) & ~mask).view(positive.shape)


def losses(
    output: Output,
    boxes: Tensor,
    labels: Labels,
    weights: LossWeights,
    localization: str,
    epoch: int,
    noise: Tensor,
    across: Across = _alone,
) -> dict[str, Tensor]:
    """The loss terms of a batch by name, first their weighted sum `total` (eq. 11): fp32 scalars.

    `boxes` (B, 4) are the truth as `assign` takes it, `localization` is "centerness" or "lafa",
    `epoch` counts from 0, and `noise` (B, n, n) in [0, 1) draws the negatives of eq. 10. Computed
    in fp32 also under autocast. A new term is a line in the table.
    """
    with torch.autocast(output.cls.device.type, enabled=False):
        targets = assign(boxes.to(output.cls.device), labels)
        cls, ltrb, logit = output.cls.float(), output.ltrb.float(), output.loc.float().squeeze(1)
        positive = targets.positive
        quality = iou(ltrb.detach(), targets.ltrb)
        label = classification_label(quality, targets, labels, epoch)
        if localization == "lafa":
            confident = weights.negatives == "confident"
            order = 1 - cls.detach().softmax(1)[:, 1] if confident else noise.to(positive.device)
            chosen = positive | draw_negatives(positive, order)
            loc = quality_loss(logit, quality, chosen, across)
        else:
            loc = quality_loss(logit, targets.centerness, positive, across)
        box_weight = regression_weight(targets, weights, localization)
        reg = iou_loss(ltrb, targets.ltrb, box_weight, across)
        reweight = labels.ladl and labels.reweight
        terms = {
            "cls": (weights.classification, ladl_loss(cls, label, positive, reweight, across)),
            "reg": (weights.of_regression(localization), reg),
            "loc": (weights.localization, loc),
        }
        total = torch.stack([weight * value for weight, value in terms.values()]).sum()
    return {"total": total, **{name: value for name, (_, value) in terms.items()}}
