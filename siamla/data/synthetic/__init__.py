"""Rendered miniatures of the six benchmarks and of a training set."""
