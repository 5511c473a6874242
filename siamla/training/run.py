"""A whole training: from crops and settings to a model file and its history."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from siamla.data.pairs import open_sampler
from siamla.data.settings import PairSettings
from siamla.files import locked, write_csv
from siamla.model.checkpoint import save_model
from siamla.model.siamla import SiamLA
from siamla.place import Place
from siamla.training.batches import Source
from siamla.training.distributed import ALONE, Ranks
from siamla.training.features import FeatureCache
from siamla.training.loop import Trained, train
from siamla.training.step import Recipe, set_up


def train_model(
    recipe: Recipe,
    crops: Sequence[Path],
    pairs: PairSettings,
    features: Path | None,
    place: Place,
    workers: int,
    state: Path,
    key: str,
    out: Path,
    label: str,
    tracker: Mapping[str, Any],
    on_epoch: Callable[[dict[str, float]], None],
    save_minutes: float = 10.0,
    ranks: Ranks = ALONE,
    accumulate: int = 1,
    validate: Callable[[SiamLA, int], float | None] | None = None,
) -> Trained:
    """Train, or go on, and write `out`/model.pt and `out`/history.csv; what was trained.

    Args:
        crops: the crop cache of each training set.
        features: feature cache for the epochs with a frozen backbone; None: these read crops like
            the others.
        place: device, precision and the CPU threads that compute; it is put into force for this
            process.
        workers: processes that load pairs beside this one. Bytes do not depend on them.
        state: file of the resumable state; its folder is made, and locked while this runs.
        key: digest of all that the training depends on; a state with another key is refused. label,
        tracker: the model's name and the tracker's settings, for the model file; they decide no
        weight.
        on_epoch: called with every epoch's row.
        save_minutes: time between two writings of the state within an epoch. ranks, accumulate,
        validate: as siamla.training.loop.train says; of several processes the first one writes.

    Raises UserError as siamla.training.loop.train, Stopped after SIGTERM or SIGINT, when the state
    is saved.
    """
    set_up(place)
    cached = FeatureCache(features) if features else None
    source = Source(open_sampler(crops, pairs), cached, workers)
    with locked(state.with_suffix(".lock")) if ranks.first else nullcontext():
        trained = train(
            recipe, source, place, state, key, on_epoch, save_minutes, ranks, accumulate, validate
        )
        if ranks.first:
            columns = list(
                dict.fromkeys(name for row in trained.history for name in row)
            )  # not every epoch is validated
            write_csv(out / "history.csv", columns, trained.history)
            save_model(out / "model.pt", trained.model.to("cpu"), label, tracker)
    return trained
