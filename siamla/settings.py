"""The base of every typed group of settings; each layer keeps its own beside the code that reads it."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Immutable, typed, and closed: an unknown key is an error (siamla.config names the nearest valid one)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
