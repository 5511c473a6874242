"""The names of the folder layouts, for settings; the readers are in siamla.data.formats."""

from typing import Literal

LayoutName = Literal["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot", "plain"]
