"""The tracker: a box in the first image, then a box for every further image."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siamla.data.crop import crop, mean_colour
from siamla.errors import UserError
from siamla.geometry import centre, padded_size
from siamla.model.siamla import SiamLA
from siamla.tracker.postprocess import State, release, topn
from siamla.tracker.settings import TrackerSettings

TEMPLATE, SEARCH = 127, 255
