"""SiamLA: a Siamese tracker whose scores know about localization, and the pipeline that reproduces its paper."""

__version__ = "0.1.0"
