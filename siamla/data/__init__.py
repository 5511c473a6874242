"""Data sets on disk: reading, checking, synthesizing, cropping and drawing pairs."""
