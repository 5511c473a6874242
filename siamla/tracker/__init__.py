"""From a box and an image to the next box: crops, post-processing, the tracker itself."""
