"""Rendering a set of params/synthetic.yaml where it is not there yet."""

from pathlib import Path

from siamla.experiment.step import generator_code
from siamla.files import locked
from siamla.miniatures.dataset import content, synthesize
from siamla.miniatures.settings import SetSettings
from siamla.provenance.code import sources


def render(name: str, settings: SetSettings, root: Path, jobs: int = 1) -> str:
    """Render the set `name` into `root`; the digest of its files, which is the same wherever the
    same bytes are rendered.

    Nothing is done where its manifest says that it was rendered by these settings and this code,
    and all files are as they were then. An older set makes way.

    Raises:
        UserError: anything lies in the folder that the set did not write; it stays.
    """
    code = sources().digest(*generator_code(settings.layout))
    with locked(root.with_name(f".{root.name}.lock")):
        if not content(root, settings, code):
            synthesize(name, settings, root, jobs, code)
        return content(root, settings, code)
