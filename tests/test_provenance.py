"""Code digests see what decides a number and nothing else; records say where a number comes
from.
"""

import subprocess
import time
from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.files import write_json
from siamla.provenance.code import code_digest, definitions, git_state, listed
from siamla.provenance.record import differences, make_record, read_record

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
        return tools.twice(helper(x)) + LIMIT


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
        return (tools.twice(helper(x))
                + LIMIT)
def other(x):
    return UNUSED + NEW + x
"""
ENTRY = "siamla.high:public"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "siamla"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""Top."""\n')
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "high.py").write_text(SOURCE)
    (folder / "low.py").write_text(
        "def helper(x):\n    from .sub import deep\n    return deep.N * x\n\n\ndef spare():\n   "
        " return 0\n"
    )
    (folder / "sub" / "deep.py").write_text("N = 2\nM = 3\n")
    (folder / "tools.py").write_text(
        "def twice(x):\n    return 2 * x\n\n\ndef thrice(x):\n    return 3 * x\n"
    )
    (folder / "progress.py").write_text("def progress(n, text):\n    return None\n")
    (folder / "readers.py").write_text(
        "from siamla import low, tools\nTABLE = {'a': low, 'b': tools}\n"
    )
    return tmp_path


def test_code_digest_ignores_what_decides_no_number(package: Path) -> None:
    """Comments, docstrings, layout, order, messages, printing, progress, result annotations, unused
    definitions.
    """
    before = code_digest(ENTRY, root=package)
    (package / "siamla" / "high.py").write_text(SAME)
    (package / "siamla" / "progress.py").write_text("def progress(n, text):\n    return n\n")
    (package / "siamla" / "tools.py").write_text(
        "def twice(x):\n    return 2 * x\n\n\ndef thrice(x):\n    return 4 * x\n"
    )
    (package / "siamla" / "sub" / "deep.py").write_text("N = 2\n")
    assert code_digest(ENTRY, root=package) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("high.py", "LIMIT = 3", "LIMIT = 4"),
        ("high.py", "if x < 0", "if x <= 0"),
        ("low.py", "deep.N * x", "deep.N + x"),
        ("sub/deep.py", "N = 2", "N = 3"),  # imported relatively, inside a function, by an import
        ("tools.py", "2 * x", "2.5 * x"),
        (
            "tools.py",
            "def twice",
            "import random\nrandom.seed(1)\n\n\ndef twice",
        ),  # a bare statement of the module
    ],
)
def test_code_digest_sees_all_that_the_entry_uses(
    package: Path, file: str, old: str, new: str
) -> None:
    before = code_digest(ENTRY, root=package)
    path = package / "siamla" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert code_digest(ENTRY, root=package) != before


def test_code_digest_of_a_module_counts_every_definition(package: Path) -> None:
    before = code_digest("siamla.high", root=package)
    (package / "siamla" / "high.py").write_text(SOURCE.replace("UNUSED = 1", "UNUSED = 2"))
    assert code_digest("siamla.high", root=package) != before
    assert {name.partition(":")[0] for name in definitions([ENTRY], package)} == {
        "siamla.high",
        "siamla.low",
        "siamla.sub.deep",
        "siamla.tools",
    }


def test_of_settings_what_computes_counts_and_values_do_not(package: Path) -> None:
    """Values stand in the identity, as they are written: what a method makes of them does not."""
    settings = package / "siamla" / "sub" / "settings.py"
    text = (
        "class Weights:\n    factor: float = 1.0\n\n    @model_validator(mode='after')\n    def"
        " fits(self):\n        return self\n\n    @property\n    def doubled(self):\n        return"
        " 2 * self.factor\n\n\ndef load(path):\n    return Weights()\n"
    )
    settings.write_text(text)
    (package / "siamla" / "low.py").write_text(
        "from siamla.sub.settings import Weights\n\n\ndef helper(x, w: Weights):\n    return"
        " w.doubled * x\n"
    )
    before = code_digest(ENTRY, root=package)
    for old, new in (
        ("factor: float = 1.0", "factor: float = 3.0"),
        ("return self\n", "return None\n"),
        ("(path)", "(p)"),
    ):
        assert old in text
        settings.write_text(text.replace(old, new, 1))
        assert code_digest(ENTRY, root=package) == before
    settings.write_text(text.replace("2 * self.factor", "3 * self.factor"))
    assert code_digest(ENTRY, root=package) != before


def test_the_weight_of_a_loss_and_the_parts_of_a_mix_are_code() -> None:
    found = definitions(["siamla.training.run:train_model"])
    assert {
        "siamla.training.settings:LossWeights",
        "siamla.data.settings:PairSettings",
    } <= found.keys()


def test_a_registry_gives_the_entry_that_is_used(package: Path) -> None:
    assert listed("siamla.readers:TABLE", "b", root=package) == "siamla.tools"
    with pytest.raises(UserError, match="lists no 'c'"):
        listed("siamla.readers:TABLE", "c", root=package)


def test_code_digest_names_a_missing_or_broken_module(package: Path) -> None:
    with pytest.raises(UserError, match=r"no siamla\.nothing"):
        code_digest("siamla.nothing", root=package)
    with pytest.raises(UserError, match=r"no siamla\.high:nothing"):
        code_digest("siamla.high:nothing", root=package)
    (package / "siamla" / "low.py").write_text("def (\n")
    with pytest.raises(UserError, match=r"low\.py: line 1"):
        code_digest(ENTRY, root=package)


def test_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"commit": None, "dirty": None, "diff_sha": None}

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
    assert (clean["dirty"], clean["diff_sha"]) == (False, None)
    (tmp_path / "a.txt").write_text("2\n")
    changed = git_state(tmp_path)
    (tmp_path / "new.py").write_text("x = 1\n")
    untracked = git_state(tmp_path)
    (tmp_path / "new.py").write_text("x = 2\n")
    assert changed["dirty"]
    assert len({changed["diff_sha"], untracked["diff_sha"], git_state(tmp_path)["diff_sha"]}) == 3


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    identity = {"settings": {"loss": {"regression": 3.0}}, "code": "c"}
    names = {"profile": "smoke", "variant": "siamla", "seed": 1}
    made = make_record(
        "train", names, identity, "k", {"crops": "d"}, {"device": "cpu"}, time.time()
    )
    write_json(tmp_path / "record.json", made)
    assert read_record(tmp_path / "record.json") == made
    assert set(made["environment"]) >= {
        "git_commit",
        "git_dirty",
        "git_diff_sha",
        "versions",
        "python",
        "host",
    }
    assert str(tmp_path) not in str(made)


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", {"step": "train"})
    with pytest.raises(UserError, match="no field 'names'"):
        read_record(tmp_path / "record.json")
    with pytest.raises(UserError, match="no field 'step'"):
        read_record(tmp_path / "record.json", "record")


def test_differences_are_said_in_words_the_code_last() -> None:
    found = {
        "code": "a",
        "model": {"settings": {"loss": {"regression": 1.0}}, "code": "x"},
        "old": 1,
    }
    planned = {
        "code": "b",
        "model": {"settings": {"loss": {"regression": 2.0}}, "code": "y"},
        "new": None,
    }
    assert differences(found, planned) == [
        "new is missing, the plan has None",
        "old is 1, the plan has no such thing",
        "model.settings.loss.regression is 1.0, the plan has 2.0",
        "the code of this step has changed",
        "the code of model has changed",
    ]
    assert differences(found, found) == []
