"""The engines' names, for settings: what a name stands for is in siamla.engine.engines."""

from typing import Literal

EngineName = Literal["auto", "torch", "openvino", "onnxruntime"]
