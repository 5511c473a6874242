"""The names of the folder layouts, for settings; the readers are in siamla.data.formats and
siamla.data.sources.
"""

from typing import Literal

LayoutName = Literal["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot", "plain"]
SourceName = Literal["coco", "imagenet_det", "imagenet_vid", "youtubebb", "got10k"]
"""Training sets, read as one row a box."""
TrainingLayout = Literal[LayoutName, SourceName]
STILL = ("coco", "imagenet_det")
"""Sets of single images: both crops of a pair are cut from one."""

Preset = Literal["clean", "field"]
"""Which boxes of a training set are kept (siamla.data.sources.rows)."""
