"""The switches in which readings of the paper differ, and the design that tells them apart."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Switches = dict[str, list[Any]]
"""Dotted key of the spec → its levels among the readings, first the profile's own if it is one."""


def switches_of(readings: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> Switches:
    """The settings in which readings differ. own: the settings of the profile's `spec`."""
    found: Switches = {}
    for key in own:
        levels = [settings[key] for settings in readings.values()]
        distinct = [level for at, level in enumerate(levels) if level not in levels[:at]]
        if len(distinct) > 1:
            found[key] = sorted(distinct, key=lambda level: level != own[key])
    return found


def columns(switches: Switches) -> list[tuple[str, Any]]:
    """Those of the design after its first, which is 1: a switch and a level in place of its first,
    each 1 where a reading has it.
    """
    return [(key, level) for key, levels in switches.items() for level in levels[1:]]


def level_text(level: Any) -> str:
    """A level as YAML has it."""
    return json.dumps(level).strip('"')


def design_matrix(readings: Sequence[Mapping[str, Any]], switches: Switches) -> NDArray[np.float64]:
    """(readings, 1 + columns): what is fitted to the readings' values."""
    chosen = columns(switches)
    rows = [[1.0, *(settings[key] == level for key, level in chosen)] for settings in readings]
    return np.array(rows, np.float64)
