"""JSON schemas for editors, generated from the typed settings; a test keeps the files in sync."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from siamla.benchmark.settings import MapRule
from siamla.experiment.figures import Figures
from siamla.experiment.profile import Profile
from siamla.experiment.spec import Spec, Variants
from siamla.experiment.sweeps import Sweeps
from siamla.experiment.tuning import Tuning


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON schema."""
    models: dict[str, type[BaseModel]] = {
        "profile": Profile,
        "variants": Variants,
        "sweeps": Sweeps,
        "maps": MapRule,
        "tune": Tuning,
        "figures": Figures,
        "spec": Spec,
    }
    return {
        f"{name}.schema.json": model.model_json_schema(by_alias=True)
        for name, model in models.items()
    }


def write_schemas(folder: Path) -> None:
    """Write every schema into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(
            json.dumps(schema, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
