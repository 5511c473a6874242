"""What a fresh machine meets: the choice of a Python, the lock, the wheel, the cluster profiles."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from siamla.benchmark.protocols import default_protocols, load_protocols
from siamla.errors import UserError
from siamla.experiment.steps import STEPS

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LIBRARIES = {"libgl1", "libglib2.0-0", "libxcb1", "libx11-6"}


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


# -- which Python --


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the shell's tools and nothing else."""
    folder = tmp_path / "bin with a blank"
    folder.mkdir()
    for tool in ("sh", "cat", "dirname", "tr", "make", "touch"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def add_python(path: Path, name: str, version: tuple[int, int, int], before: str = "pass") -> Path:
    """A Python of this version; a venv that it is asked for is noted beside it."""
    python, prelude = path / name, f"import sys; sys.version_info = {version}; {before}"
    python.write_text(
        "#!/bin/sh\n"
        f"prelude='{prelude}'\n"
        'case "$1" in\n'
        f"-) {{ echo \"$prelude\"; cat; }} | '{sys.executable}' - ;;\n"
        f"-c) '{sys.executable}' -c \"$prelude; $2\" ;;\n"
        '*) echo "$@" >> "$0.asked"; exit 1 ;;\n'
        "esac\n"
    )
    python.chmod(0o755)
    return python


def find_python(path: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    return run(path / "sh", ROOT / ".ci/find-python", python, cwd=path, PATH=str(path))


NO_VENV = 'sys.modules["ensurepip"] = None'
PATCHES = {"python3": (3, 12, 1), "python3.10": (3, 10, 9), "python3.11": (3, 11, 2)}
PATCHES |= {"python3.12": (3, 12, 1), "python3.13": (3, 13, 5), "python3.15": (3, 15, 0)}


@pytest.mark.parametrize(
    ("names", "unfit", "taken"),
    [
        ("python3.10 python3.11 python3 python3.13 python3.15", None, "python3.13"),
        ("python3.11 python3", None, "python3"),
        ("python3.12 python3.13", "python3.13", "python3.12"),
    ],
    ids=["the newest that fits", "without a minor version in its name", "that makes environments"],
)
def test_which_python_is_taken(path: Path, names: str, unfit: str | None, taken: str) -> None:
    (path / "python3.14").write_text("#!/bin/sh\nexit 127\n")
    (path / "python3.14").chmod(0o755)
    for name in names.split():
        add_python(path, name, PATCHES[name], NO_VENV if name == unfit else "pass")
    found = find_python(path)
    assert found.stdout.strip() == str(path / taken)
    assert re.fullmatch(rf"Python 3\.1[23]\.\d: {path / taken}", found.stderr.strip())


def test_what_was_found_is_named_when_nothing_fits(path: Path) -> None:
    add_python(path, "python3", (3, 9, 2))
    add_python(path, "python", (2, 7, 18))
    add_python(path, "python3.14", (3, 14, 0))
    found = find_python(path)
    assert (found.returncode, found.stdout) == (1, "")
    assert f"{path / 'python3'}: 3.9.2, and 3.11 to 3.14 are wanted" in found.stderr
    assert f"{path / 'python'}: 2.7.18" in found.stderr
    assert "3.14.0, and one package is compiled for it, which needs cc and Python.h" in found.stderr
    assert "make PYTHON=" in found.stderr


def test_make_takes_the_newest_or_the_one_it_is_told(path: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / ".ci", clone / ".ci")
    for name in ("Makefile", "requirements.lock", "requirements-torch.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    newer = add_python(path, "python3.13", (3, 13, 5))
    older = add_python(path, "python3.12", (3, 12, 1))
    for python, option in ((newer, []), (older, [f"PYTHON={older}"])):
        made = run("make", ".venv/.ready", *option, cwd=clone, PATH=str(path), PYTHON="")
        assert made.returncode != 0
        assert f": {python}" in made.stderr
        assert python.with_name(f"{python.name}.asked").read_text() == "-m venv --clear .venv\n"
    missing = run("make", ".venv/.ready", "PYTHON=python3.99", cwd=clone, PATH=str(path))
    assert "python3.99: it does not start" in missing.stderr


# -- the lock --


def pins() -> list[tuple[Requirement, int]]:
    """The requirements of the lock, each with the number of its hashes."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text())[1:]
    return [
        (Requirement(entry.split("\\")[0].split("#")[0]), entry.count("--hash=sha256:"))
        for entry in entries
    ]


def test_all_is_pinned_with_hashes_and_torch_alone_stands_apart() -> None:
    for requirement, hashes in pins():
        assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), requirement
        assert hashes, requirement
    names = {canonicalize_name(requirement.name) for requirement, _ in pins()}
    assert len(names) == len(pins()) > 150
    apart = re.findall(r"^[^#].*", (ROOT / "requirements-torch.txt").read_text(), re.MULTILINE)
    assert [Requirement(line).name for line in apart] == ["torch"]
    assert "torch" not in names


@pytest.mark.parametrize("version", PYTHONS)
def test_the_lock_is_what_pyproject_asks_for(version: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    machine = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    torch = Requirement((ROOT / "requirements-torch.txt").read_text().splitlines()[-1])
    locked = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in [torch, *(pin for pin, _ in pins())]
        if pin.marker is None or pin.marker.evaluate(machine)
    }
    extras = project["optional-dependencies"]
    installed = (extras[name] for name in ("train", "pipeline", "dev", "docs"))
    for wanted in map(Requirement, chain(project["dependencies"], *installed)):
        if wanted.name == "siamla":
            continue
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-torch.txt", "Makefile", "Dockerfile", ".ci/run"]
)
def test_no_address_of_a_registry_and_no_local_path(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"(--index-url|--find-links|file:|/home/|/tmp/)", text)


@pytest.mark.parametrize("name", ["README.md", "Makefile", "Dockerfile", ".ci/run"])
def test_the_system_libraries_are_named_everywhere(name: str) -> None:
    assert set(re.findall(r"lib[\w.-]*\w", (ROOT / name).read_text())) >= LIBRARIES


# -- the wheel --


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("clone")
    for name in ("siamla", "params", "profiles", "workflow"):
        shutil.copytree(
            ROOT / name, clone / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE", "Snakefile"):
        shutil.copy(ROOT / name, clone)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", "wheels")
    built = run(sys.executable, "-m", "pip", "wheel", *options, ".", cwd=clone)
    assert built.returncode == 0, built.stderr
    return next((clone / "wheels").glob("siamla-*.whl"))


def test_the_wheel_holds_the_whole_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        inside = {
            name: packed.read(name) for name in packed.namelist() if ".dist-info/" not in name
        }
    folders = [(folder, files) for folder, _, files in os.walk(ROOT / "siamla", followlinks=True)]
    files = [Path(folder, name) for folder, names in folders for name in names]
    there = [file for file in files if "__pycache__" not in file.parts]
    assert inside == {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in there}
    assert b"otb100:" in inside["siamla/project/params/protocols.yaml"]
    assert "siamla/report/paper/table3.csv" in inside
    assert wheel.stat().st_size < 8 * 2**20


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel installed into a folder of its own."""
    site = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(site))
    done = run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=site)
    assert done.returncode == 0, done.stderr
    return site


def siamla(site: Path, *words: str | Path, cwd: Path) -> str:
    done = run(sys.executable, "-m", "siamla.cli.main", *words, cwd=cwd, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(site: Path, project: Path, target: str, **environment: str) -> Any:
    """A dry run of a project for a target, in the smoke profile."""
    words = ("-m", "snakemake", "--cores", "1", "--config", "profile=smoke", "-n", "--", target)
    return run(sys.executable, *words, cwd=project, PYTHONPATH=str(site), **environment)


def test_the_installed_command_works_in_any_folder(installed: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import siamla; print(siamla.__file__)")
    where = run(*command, cwd=tmp_path, PYTHONPATH=str(installed))
    assert where.stdout.strip() == str(installed / "siamla" / "__init__.py")
    assert "results" in siamla(installed, "--help", cwd=tmp_path)
    assert "labels.lambda" in siamla(installed, "config", "keys", cwd=tmp_path)
    (tmp_path / "kcf").mkdir()
    (tmp_path / "kcf" / "Basketball.txt").write_text("1,2,3,4\n2,3,3,4\n")
    words = "results import kcf --as kcf --benchmark otb100 --out imported"
    assert "1 sequences of otb100" in siamla(installed, *words.split(), cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["imported", "kcf"]
    words = "data synthesize smoke_otb --root clips"
    siamla(installed, *words.split(), cwd=tmp_path)
    assert (tmp_path / "clips" / "synthetic.json").is_file()


def test_a_project_is_made_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    """The plan of the project is that of a clone, and Snakemake finds its files without git."""
    said = siamla(installed, "init", "my try", cwd=tmp_path)
    assert said.startswith("cd 'my try'\n")
    project = tmp_path / "my try"
    for name in ("Snakefile", "params", "profiles", "workflow"):
        assert not run("diff", "-r", ROOT / name, project / name, cwd=tmp_path).stdout
    show = ("plan", "train", "siamla", "1", "--profile", "smoke")
    assert siamla(installed, *show, cwd=project) == siamla(ROOT, *show, cwd=project)
    tools = project / "bin"
    tools.mkdir()
    for tool in ("sh", "bash", "which"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    looked = look(installed, project, "reproduce_tables", PATH=str(tools))
    assert looked.returncode == 0, looked.stderr
    assert "predict" in looked.stdout
    again = run(
        *(sys.executable, "-m", "siamla", "init", "my try"),
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "my try: exists already" in again.stderr


def test_a_model_is_a_target_of_its_own(tmp_path: Path) -> None:
    """It takes its training and nothing more; a training that is not the plan's is one line."""
    siamla(ROOT, "init", "project", cwd=tmp_path)
    folder = "results/smoke/train/siamla/seed1"
    looked = look(ROOT, tmp_path / "project", f"{folder}/model.pt")
    jobs = re.findall(r"^(\w+) +1$", looked.stdout, re.MULTILINE)
    assert (
        {"train", "model"}
        <= set(jobs)
        <= {"train", "model", "crops", "features", "curate", "fetch"}
    )
    missing = look(ROOT, tmp_path / "project", "results/smoke/train/siamIa/seed1/model.pt")
    assert missing.returncode == 1
    assert f"no training of profile smoke; did you mean '{folder}'?" in missing.stderr


def test_protocols_of_the_folder_win_over_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = load_protocols(ROOT / "params/protocols.yaml")
    assert default_protocols() == shipped
    (tmp_path / "params").mkdir()
    own = tmp_path / "params" / "protocols.yaml"
    text = yaml.safe_load((ROOT / "params/protocols.yaml").read_text())
    own.write_text(yaml.safe_dump({"street": text["otb100"]}))
    assert default_protocols() == {"street": shipped["otb100"]}
    own.write_text("[]")
    with pytest.raises(UserError, match=re.escape("params/protocols.yaml")):
        default_protocols()


# -- cluster profiles --


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "workflow/profiles" / name / "profile.yaml").read_text())


@pytest.mark.parametrize("name", ["local", "slurm", "slurm-gpu"])
def test_a_profile_speaks_of_steps_and_leaves_memory_and_time_to_them(name: str) -> None:
    """Each step asks for its own, so that a cluster's `--default-resources` leaves them alone."""
    settings = profile(name)
    away = {step.name for step in STEPS.values() if not step.local}
    assert settings.get("set-threads", {}).keys() <= away
    asked = settings.get("set-resources", {})
    assert asked.keys() <= away
    assert all(resources.keys() == {"gpu"} for resources in asked.values())
    assert "default-resources" not in settings
    rules = (ROOT / "workflow/rules/steps.smk").read_text()
    for line in ("mem_mb=step.mem_mb,", "runtime=step.runtime,", "threads: step.threads"):
        assert line in rules


def test_a_gpu_is_asked_for_by_the_gpu_profiles_alone() -> None:
    plain, gpu = profile("slurm"), profile("slurm-gpu")
    assert "set-resources" not in plain
    asking = gpu.pop("set-resources")
    assert asking.keys() == {"train", "predict", "predict_sweep", "alignment", "maps"}
    assert gpu == plain
    assert asking == profile("local")["set-resources"]
    assert plain["slurm-status-command"] == "squeue"


def test_a_score_that_fails_takes_no_prediction_with_it() -> None:
    """It runs in the prediction's job, of which Snakemake would delete every record."""
    settings = profile("slurm")
    groups = dict(entry.split("=") for entry in settings["groups"])
    assert groups.keys() == {"predict", "score", "predict_sweep", "score_sweep"} <= STEPS.keys()
    assert settings["keep-incomplete"] is True
