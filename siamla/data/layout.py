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
BOXES: dict[str, int] = {
    "coco": 860_001,
    "imagenet_det": 478_807,
    "imagenet_vid": 1_900_000,
    "youtubebb": 4_500_000,
    "got10k": 1_400_000,
}
"""Boxes of the whole training sets, as published or about so: what curation leaves out is not
known.
"""
WHOLE = {
    "coco": ("records", BOXES["coco"], "annotations"),
    "imagenet_det": ("boxes", BOXES["imagenet_det"], "boxes"),
    "imagenet_vid": ("parts", 3862, "snippets"),
    "got10k": ("parts", 9335, "sequences"),
}
"""What is published of whole training sets: the count in a report, the number, of what. Nobody has
all of YouTube-BB.
"""
TrainingLayout = Literal[LayoutName, SourceName]

Preset = Literal["clean"]
"""Which boxes of a training set are kept (siamla.data.sources.rows)."""
