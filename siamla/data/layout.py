"""The names of the folder layouts, for settings; each is a module of siamla.data.formats or
siamla.data.sources, which reads it.
"""

from typing import Literal

LayoutName = Literal["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot", "plain"]
"""Layouts that are read sequence by sequence."""
StillName = Literal["coco", "imagenet_det"]
"""Training sets of single images: both crops of a pair are cut from one."""
SourceName = Literal[StillName, "imagenet_vid", "youtubebb", "got10k"]
"""Training sets, read as one row a box."""
TrainingLayout = Literal[LayoutName, SourceName]

Preset = Literal["clean"]
"""Which boxes of a training set are kept (siamla.data.sources.rows)."""
