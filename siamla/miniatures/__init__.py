"""Clips rendered from photos, in the layouts of the benchmarks: small data sets for everybody."""
