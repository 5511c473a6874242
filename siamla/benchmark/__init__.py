"""Runners, metrics and protocols of the benchmarks."""
