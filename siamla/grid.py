"""The grid of SiamCAR: sides of the crops and of the score map, and on which pixel a cell lies.

Cell i of the score map lies on the pixel with *index* START + STRIDE·i of the search crop, so the
middle cell lies on MIDDLE, the crop's middle pixel. Boxes are continuous (siamla.geometry): the
middle of a crop of 255 px is 127.5 there and 127 here. siamla.data.crop.to_index goes from one
convention to the other, and nothing else does.
"""

TEMPLATE = 127
"""Side of the template crop in pixels, which spans siamla.geometry.padded_size."""
SEARCH = 255
"""Side of the search crop in pixels, at the template's scale."""
SCORE = 25
"""Side of the score map in cells."""
STRIDE = 8
"""Pixels of the search crop between two cells."""
START = 31
"""Index of the pixel on which cell 0 lies."""
MIDDLE = START + STRIDE * (SCORE // 2)
"""Index of the pixel on which the middle cell lies: 127."""
KERNEL = 7
"""Side in cells of the template's central crop, the correlation kernel."""
CELLS = SCORE + KERNEL - 1
"""Side in cells of the search features that the kernel runs over: 31."""
