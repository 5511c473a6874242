"""Figures from stored results: one module a kind, a common style, and the writer of all."""
