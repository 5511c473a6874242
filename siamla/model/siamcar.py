"""Public SiamCAR checkpoints: the same network under other names (reference of names: its published
state dict).
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.model.checkpoint import empty_model, load_state
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA
from siamla.model.weights import read_state

SETTINGS = ModelSettings(
    backbone="resnet50", channels=256, tower_depth=4, groups=32, localization="centerness"
)
RENAMES = (
    (r"backbone\.", "backbone."),
    (r"down\.", "fusion."),
    (r"car_head\.cls_tower\.", "head.cls_tower."),
    (r"car_head\.bbox_tower\.", "head.reg_tower."),
    (r"car_head\.cls_logits\.", "head.cls."),
    (r"car_head\.bbox_pred\.", "head.reg."),
    (r"car_head\.centerness\.", "head.centerness."),
)
NECK = re.compile(r"neck\.downsample([234])\.downsample\.([01])\.")


def our_name(key: str) -> str | None:
    """Our name of a parameter of a public SiamCAR checkpoint, or None when it has none."""
    if match := NECK.match(key):
        part = "conv" if match[2] == "0" else "norm"
        return f"necks.{int(match[1]) - 2}.{part}.{key[match.end() :]}"
    for pattern, ours in RENAMES:
        if match := re.match(pattern, key):
            return ours + key[match.end() :]
    return None


def convert(public: dict[str, Tensor], file: str) -> SiamLA:
    """The network, in evaluation mode, of a public SiamCAR state dict that was read from `file`.

    Raises UserError naming the first key that does not fit, in the file's own names where it has
    one.
    """
    model = empty_model(SETTINGS)
    own = model.state_dict()
    state: dict[str, Tensor] = {}
    for key, value in public.items():
        name = our_name(key)
        if name is None or name not in own:
            raise UserError(
                f"{file}: unknown key {key}; expected a SiamCAR checkpoint with ResNet-50"
            )
        if name == "fusion.weight" and value.ndim == 4:  # stored as a transposed convolution
            value = value.transpose(0, 1).contiguous()
        if value.shape != own[name].shape:
            found, expected = tuple(public[key].shape), tuple(own[name].shape)
            raise UserError(f"{file}: {key} has shape {found}; our {name} has {expected}")
        state[name] = value
    for name in own:  # counters of batch norm play no part; files before PyTorch 0.4.1 lack them
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.tensor(0))
    load_state(model, state, file)
    return model.eval()


def load_siamcar(path: Path) -> SiamLA:
    """The network of a public SiamCAR checkpoint; its outputs equal the public code's.

    The file may wrap the weights in `state_dict` and prefix them with `module.`. UserError as in
    `read_state` and `convert`.
    """
    return convert(read_state(path), str(path))
