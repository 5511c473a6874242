"""Clips of real video that ships in packages, with boxes of our own (clips/, passes.csv)."""
