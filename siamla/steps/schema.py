"""JSON schemas for editors, generated from the typed settings; a test keeps the files in sync."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from siamla.benchmark.settings import MapRule
from siamla.experiment.profile import Profile
from siamla.experiment.spec import Variants
from siamla.experiment.sweeps import Sweeps, Tuning
from siamla.report.drawing.settings import figures_model


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON schema."""
    models: dict[str, type[BaseModel]] = {
        "profile": Profile,
        "variants": Variants,
        "sweeps": Sweeps,
        "maps": MapRule,
        "tune": Tuning,
        "figures": figures_model(),
    }
    files: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        files[f"{name}.schema.json"] = model.model_json_schema(by_alias=True)
    _in_part(files["profile.schema.json"])
    return files


def _in_part(profile: dict[str, Any]) -> None:
    """Let a profile leave out what it has from the one that it extends, and take entries away."""
    for model in (profile, *profile["$defs"].values()):
        model.pop("required", None)
    for key in profile["properties"].values():
        for pattern, entry in key.get("patternProperties", {}).items():
            key["patternProperties"][pattern] = {"anyOf": [entry, {"type": "null"}]}


def write_schemas(folder: Path) -> None:
    """Write every schema into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(
            json.dumps(schema, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
