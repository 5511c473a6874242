"""The engines' names; each is a module `siamla.engine.NAME_engine` with an `ENGINE`
(engines.Engine).
"""

from typing import Literal

EngineName = Literal["auto", "torch", "openvino"]
AUTO: tuple[EngineName, ...] = ("openvino", "torch")
"""What `auto` stands for: the first of these that is installed and runs on the device."""
