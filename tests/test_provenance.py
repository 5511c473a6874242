"""Code digests see what decides a number and nothing else; records say where one comes from."""

import subprocess
import time
from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.files import write_json
from siamla.provenance.code import Sources
from siamla.provenance.record import differences, git_state, make_record, read_record

SOURCE = '''"""What it is."""
from siamla.low import helper  # the helper
from siamla.progress import progress
from siamla import tools

LIMIT = 3
UNUSED = 1


def public(x: int) -> int:
    """Doc."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    with progress(x, "working"):
        print("working")
        half: int = tools.twice(helper(x))
        return half + LIMIT


def other(x):
    return UNUSED * x
'''
SAME = """from siamla.progress import progress
from siamla.low import (
    helper,
)
from siamla import tools
# another comment
LIMIT = 3
UNUSED = 5
NEW = 2
def public(x: int) -> float:
    "Another doc."
    if x < 0:
        raise TypeError("negative")
    with progress(x, "working"):
        print("at work", x)
        half = tools.twice(helper(x))
        return (half
                + LIMIT)
def other(x):
    return UNUSED + NEW + x
"""
LOW = """def helper(x):
    from siamla.sub import deep
    return deep.N * x
def spare(): return 0
"""
TOOLS = "def twice(x):\n    return 2 * x\n\n\ndef thrice(x):\n    return 3 * x\n"
WEIGHTS = """class Weights:
    factor: float = 1.0
    @model_validator(mode='after')
    def fits(self):
        return self
    @property
    def doubled(self):
        return 2 * self.factor
def load(path): return Weights()
"""
ENTRY = "siamla.high:public"


def digest(package: Path, entry: str = ENTRY) -> str:
    """Of the package as it is now."""
    return Sources(package).digest(entry)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "siamla"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""Top."""\n')
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "high.py").write_text(SOURCE)
    (folder / "low.py").write_text(LOW)
    (folder / "sub" / "deep.py").write_text("N = 2\nM = 3\n")
    (folder / "tools.py").write_text(TOOLS)
    (folder / "progress.py").write_text("def progress(n, text):\n    return None\n")
    return tmp_path


def test_code_digest_ignores_what_decides_no_number(package: Path) -> None:
    """Words, layout, order, annotations, what is unused."""
    before = digest(package)
    (package / "siamla" / "high.py").write_text(SAME)
    (package / "siamla" / "progress.py").write_text("def progress(n, text):\n    return n\n")
    (package / "siamla" / "tools.py").write_text(TOOLS.replace("3", "4"))
    (package / "siamla" / "sub" / "deep.py").write_text("N = 2\n")
    assert digest(package) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("high.py", "LIMIT = 3", "LIMIT = 4"),
        ("high.py", "if x < 0", "if x <= 0"),
        ("high.py", "return half + LIMIT", "return x + LIMIT"),
        ("low.py", "deep.N * x", "deep.N + x"),
        ("sub/deep.py", "N = 2", "N = 3"),  # imported inside a function
        ("tools.py", "2 * x", "2.5 * x"),
        ("tools.py", "def twice", "import os\nos.nice(1)\ndef twice"),  # a bare statement
    ],
)
def test_code_digest_sees_all_that_the_entry_uses(
    package: Path, file: str, old: str, new: str
) -> None:
    before = digest(package)
    path = package / "siamla" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert digest(package) != before


def test_code_digest_of_a_module_counts_every_definition(package: Path) -> None:
    before = digest(package, "siamla.high")
    (package / "siamla" / "high.py").write_text(SOURCE.replace("UNUSED = 1", "UNUSED = 2"))
    assert digest(package, "siamla.high") != before
    found = {name.partition(":")[0] for name in Sources(package).definitions([ENTRY])}
    assert found == {"siamla.high", "siamla.low", "siamla.sub.deep", "siamla.tools"}


def test_of_settings_what_computes_counts_and_values_do_not(package: Path) -> None:
    """Values stand in the identity, as they are written: what a method makes of them does not."""
    settings = package / "siamla" / "sub" / "settings.py"
    text = WEIGHTS
    settings.write_text(text)
    (package / "siamla" / "low.py").write_text(
        "from siamla.sub.settings import Weights\ndef helper(x, w: Weights): return w.doubled * x\n"
    )
    before = digest(package)
    for old, new in (
        ("factor: float = 1.0", "factor: float = 3.0"),
        ("return self\n", "return None\n"),
        ("(path)", "(p)"),
    ):
        assert old in text
        settings.write_text(text.replace(old, new, 1))
        assert digest(package) == before
    settings.write_text(text.replace("2 * self.factor", "3 * self.factor"))
    assert digest(package) != before


def test_the_weight_of_a_loss_and_the_parts_of_a_mix_are_code() -> None:
    found = Sources().definitions(["siamla.training.loop:train_model"])
    wanted = {"siamla.training.settings:LossWeights", "siamla.data.settings:PairSettings"}
    assert wanted <= found.keys()


def test_code_digest_names_a_missing_module(package: Path) -> None:
    with pytest.raises(UserError, match=r"no siamla\.nothing"):
        digest(package, "siamla.nothing")
    with pytest.raises(UserError, match=r"no siamla\.high:nothing"):
        digest(package, "siamla.high:nothing")


def test_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"commit": None, "dirty": None}

    def git(*arguments: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(
            ["git", "-C", str(tmp_path), *names, *arguments], check=True, capture_output=True
        )

    git("init")
    (tmp_path / "a.txt").write_text("1\n")
    git("add", ".")
    git("commit", "--no-verify", "-m", "one")
    clean = git_state(tmp_path)
    assert len(str(clean["commit"])) == 40
    assert clean["dirty"] is False
    for name in ("a.txt", "new.py"):
        (tmp_path / name).write_text("2\n")
        assert git_state(tmp_path) == {**clean, "dirty": True}
        git("stash", "--include-untracked")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    identity = {"settings": {"loss": {"regression": 3.0}}, "code": "c"}
    names = {"profile": "smoke", "variant": "siamla", "seed": 1}
    inputs, device = {"crops": "d"}, {"device": "cpu"}
    record = make_record("train", names, identity, "k", inputs, device, time.time())
    path = tmp_path / "record-k.json"
    write_json(path, record)
    assert read_record(path) == record
    about = {"git_commit", "git_dirty", "versions", "python"}
    assert record["environment"].keys() >= about
    assert "host" not in record["environment"]  # forms ask for records in public
    assert str(tmp_path) not in str(record)
    for broken, said in (
        ({"step": "train"}, "no field 'names'"),
        ([], "no field 'step'"),
        (record | {"files": 3}, "files is 3, expected a mapping"),
    ):
        write_json(path, broken)
        with pytest.raises(UserError, match=said):
            read_record(path)


def test_differences_are_said_in_words_the_code_last() -> None:
    model, other = ({"settings": {"loss": {"regression": weight}}} for weight in (1.0, 2.0))
    found = {"code": "a", "model": {**model, "code": "x"}, "old": 1}
    planned = {"code": "b", "model": {**other, "code": "y"}, "new": None}
    assert differences(found, planned) == [
        "new is missing, the plan has None",
        "old is 1, the plan has no such thing",
        "model.settings.loss.regression is 1.0, the plan has 2.0",
        "the code of this step has changed",
        "the code of model has changed",
    ]
    assert differences(found, found) == []
    text = "Data: " + 20 * "long "
    assert differences({"shown": {"caption": text}}, {"shown": {"caption": "x"}}) == [
        "shown.caption has changed"
    ]
