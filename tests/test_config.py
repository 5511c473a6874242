"""Settings: what a variant resolves to, and what a mistake says."""

import json
import shutil
from math import inf, isnan
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
import yaml
from pydantic import Field

from siamla.cli.main import main
from siamla.data.layout import LayoutName
from siamla.errors import UserError
from siamla.experiment.experiment import load
from siamla.experiment.spec import Spec, changed, described_keys, merge, plain
from siamla.provenance.record import flat
from siamla.settings import Name, Settings, read_yaml, validate, validate_json
from siamla.steps.schema import schemas

ROOT = Path(__file__).parents[1]
PROFILES = sorted(path.stem for path in (ROOT / "params/profiles").glob("*.yaml"))


@pytest.fixture
def params(tmp_path):
    """A small valid set of parameter files, and a function that changes one of them."""
    profile = {
        "caption": "Data: synthetic.",
        "train": {"a": {"layout": "got10k", "root": "data/a"}},
        "benchmarks": {"b": {"layout": "otb", "root": "data/b"}},
        "seeds": [1],
        "tables": [3],
        "spec": {"pairs": {"dataset": "a"}, "training": {"epochs": 6}},
    }
    variants = {
        "variants": {
            "base": {"label": "Base"},
            "child": {
                "label": "Child",
                "extends": "base",
                "set": {"labels.ladl": True, "labels.lambda": 0.3},
            },
        }
    }
    (tmp_path / "profiles").mkdir()
    for name in ("protocols.yaml", "tables.yaml"):
        shutil.copy(ROOT / "params" / name, tmp_path)

    def change(profile_over=None, variants_over=None):
        (tmp_path / "profiles/p.yaml").write_text(
            yaml.safe_dump(merge(profile, profile_over or {}))
        )
        (tmp_path / "variants.yaml").write_text(
            yaml.safe_dump(merge(variants, {"variants": variants_over or {}}))
        )
        return lambda: load("p", tmp_path)

    return change


def test_spec_is_defaults_then_profile_then_parent_then_own(params):
    over = {"grandchild": {"label": "G", "extends": "child", "set": {"labels.lambda": 0.1}}}
    specs = params(variants_over=over)().specs
    assert specs["base"].labels.ladl is False
    assert specs["child"].labels.lambda_ == 0.3
    assert (specs["grandchild"].labels.ladl, specs["grandchild"].labels.lambda_) == (True, 0.1)
    assert specs["grandchild"].training.epochs == 6
    assert specs["grandchild"].training.momentum == 0.9


def test_a_variant_can_have_seeds_of_its_own(params):
    longer = {"trainings": {"long": {"training": {"epochs": 9}}}}
    experiment = params({"variant_seeds": {"child": [1, 2]}, **longer})()
    assert (experiment.seeds("base"), experiment.seeds("child@long")) == ([1], [1, 2])
    experiment = params({"variant_seeds": {"child": [1, 2], "@long": [3]}, **longer})()
    assert (experiment.seeds("child"), experiment.seeds("child@long")) == ([1, 2], [3])


OTB = {"layout": "otb", "root": "x"}
TRACKER = {"label": "T", "extends": "base"}


*OTHERS, LAST = get_args(LayoutName)
FIRST = ", ".join(map(repr, OTHERS))
WRONG_FORM = {"seeds": [1, 1], "benchmarks": {"b": {"layout": "obt"}}}


@pytest.mark.parametrize(
    ("profile", "variants", "lines"),
    [
        (
            WRONG_FORM,
            {"base": {"lable": "x"}},  # not told as long as the profile is wrong
            [
                f"profiles/p.yaml: benchmarks.b.layout is 'obt': expected {FIRST} or {LAST!r};"
                " did you mean 'vot'?",
                "profiles/p.yaml: seeds is [1, 1]: 1 is given twice",
            ],
        ),
        (
            {
                "spec": {"labels": {"alpha": 2}},
                "trackers": {"base": {"windw": 0.2}, "child": {"size_lr": 2}},
                "benchmarks": {"b": {"tracker": {"window": 3}}},
            },
            {"base": {"lable": "x"}},
            [
                "profiles/p.yaml: spec: labels.alpha is 2: expected less than 1",
                "profiles/p.yaml: trackers.base: unknown key 'windw'; did you mean 'window'?",
                "profiles/p.yaml: trackers.child: size_lr is 2: expected at most 1",
                "profiles/p.yaml: benchmarks.b.tracker: window is 3: expected at most 1",
            ],
        ),
        (
            {"variants": ["bsae"]},
            {
                "base": {"set": {"loss.regresion": 1}},
                "lost": {"label": "L", "extends": "nobody", "set": {"labels.ladel": True}},
            },
            [
                "variants.yaml: variants.base.set: unknown key 'loss.regresion'; did you mean"
                " 'loss.regression'?",
                "variants.yaml: variants.lost.set: unknown key 'labels.ladel'; did you mean"
                " 'labels.ladl'?",
                "variants.yaml: variants.lost.extends is 'nobody', no such variant; valid: base,"
                " child, lost",
            ],
        ),
        (
            {},
            {
                "led": {"label": "into the loop", "extends": "loop"},
                "loop": {"label": "L", "extends": "pool"},
                "pool": {"label": "P", "extends": "loop"},
            },
            ["variants.yaml: variants.loop extends itself: loop → pool → loop"],
        ),
        (
            {},
            {
                "base": {"set": {"loss.regression": -1, "tracker.top_n": 0}},  # not of child again
                "other": {"label": "O", "set": {"labels.alpha": 2}},
            },
            [
                "variants.yaml: variants.base: loss.regression is -1: expected at least 0",
                "variants.yaml: variants.base: tracker.top_n is 0: expected at least 1",
                "variants.yaml: variants.other: labels.alpha is 2: expected less than 1",
            ],
        ),
        (
            {
                "variants": ["base", "chidl"],
                "tables": [9],
                "trackers": {"chlid": {"window": 0.2}},
                "benchmarks": {"b": {"protocol": "otb1000"}},
                "spec": {"pairs": {"dataset": "c"}},
            },
            {},
            [
                "profiles/p.yaml: variants: 'chidl' is unknown; did you mean 'child'?",
                "profiles/p.yaml: trackers: 'chlid' is unknown; did you mean 'child'?",
                "profiles/p.yaml: tables: 9 is unknown; valid: 1, 2, 3, 4, 5, 6",
                "profiles/p.yaml: benchmarks.b.protocol: 'otb1000' is unknown; did you mean"
                " 'otb100'?",
                "profiles/p.yaml: spec.pairs.dataset (variant base): 'c' is not one of train;"
                " valid: a",
            ],
        ),
    ],
)
def test_every_mistake_of_the_first_wrong_file_is_told(params, tmp_path, profile, variants, lines):
    with pytest.raises(UserError) as error:
        params(profile, variants)()
    assert str(error.value).splitlines() == [f"{tmp_path}/{line}" for line in lines]


def test_a_variants_tracker_stands_between_the_profile_and_the_benchmark(params):
    experiment = params(
        {
            "spec": {"tracker": {"window": 0.1, "penalty_k": 0.1, "size_lr": 0.1}},
            "trackers": {"base": {"window": 0.5, "size_lr": 0.5}, "wide": {"window": 0.6}},
            "benchmarks": {"b": {"tracker": {"window": 0.2}}, "otb100": OTB},
        },
        {
            "wide": {**TRACKER, "set": {"tracker.window": 0.3}},
            "wider": {"label": "W", "extends": "wide", "set": {"tracker.size_lr": 0.9}},
            "apart": {"label": "A"},
        },
    )()

    def values(variant, benchmark):
        settings = experiment.tracker(variant, benchmark)
        if benchmark == "otb100":
            assert settings == experiment.specs[variant].tracker
        return [settings.window, settings.penalty_k, settings.size_lr]

    assert values("base", "otb100") == [0.5, 0.1, 0.5]
    assert values("base", "b") == [0.2, 0.1, 0.5]
    assert values("child", "otb100") == [0.5, 0.1, 0.5]  # its parent's
    assert values("wide", "b") == [0.3, 0.1, 0.5]
    assert values("wider", "otb100") == [0.3, 0.1, 0.9]
    assert values("apart", "otb100") == [0.1, 0.1, 0.1]


def test_a_variant_that_differs_in_a_setting_of_the_tracker_differs_in_nothing_else(tmp_path):
    """README's example, in the profile that everybody runs first."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    path = tmp_path / "params/variants.yaml"
    top5 = "\n  top5:\n    label: Top 5\n    extends: siamla\n    set: {tracker.top_n: 5}\n"
    path.write_text(path.read_text(encoding="utf-8") + top5, encoding="utf-8")
    experiment = load("mini", tmp_path / "params")
    siamla, other = experiment.specs["siamla"], experiment.specs["top5"]
    assert siamla.tracker.window == 0.1
    assert changed(other, siamla) == {"tracker.top_n": 5}


def test_a_profile_is_laid_over_the_one_that_it_extends(params, tmp_path):
    base = {"trackers": {"base": {"window": 0.2}}, "benchmarks": {"otb100": OTB}}
    params({**base, "sweeps": [], "seeds": [1, 2]})
    child = {
        "extends": "p",
        "caption": "Other data.",
        "seeds": [3],
        "benchmarks": {"b": {"root": "elsewhere"}, "otb100": None, "c": OTB},
        "spec": {"training": {"batch": 64}},
        "trackers": {"base": {"size_lr": 0.5}},
        "imported": {"kcf": {"results": {"c": "imported/kcf"}}},
    }
    (tmp_path / "profiles/child.yaml").write_text(yaml.safe_dump(child))
    grandchild = {"extends": "child", "imported": None}
    (tmp_path / "profiles/grandchild.yaml").write_text(yaml.safe_dump(grandchild))
    assert list(load("child", tmp_path).profile.imported) == ["kcf"]
    assert load("grandchild", tmp_path).profile.imported == {}
    for name in ("child", "grandchild"):
        experiment = load(name, tmp_path)
        profile, spec = experiment.profile, experiment.specs["base"]
        assert (profile.caption, profile.seeds, profile.tables) == ("Other data.", [3], [3])
        assert {key: str(entry.root) for key, entry in profile.benchmarks.items()} == {
            "b": "elsewhere",
            "c": "x",
        }
        assert profile.benchmarks["b"].layout == "otb"
        assert (spec.training.epochs, spec.training.batch) == (6, 64)
        assert (spec.tracker.window, spec.tracker.size_lr) == (0.2, 0.5)
    assert load("p", tmp_path).profile.seeds == [1, 2]


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ({"extends": "p"}, {}, "profiles/p.yaml: p extends itself: p → p"),
        ({"extends": "q"}, {"extends": "p"}, "profiles/p.yaml: p extends itself: p → q → p"),
        (
            {"extends": "r"},
            {},
            "profiles/p.yaml: extends: profiles/r.yaml: no such profile; valid: p, q",
        ),
        ({"extends": ["q"]}, {}, "profiles/p.yaml: extends: this is ['q']: expected text"),
        ({"extends": "../q"}, {}, "profiles/p.yaml: extends: the profile '../q': expected a name"),
        ({"extends": "q"}, {"caption": None}, "profiles/q.yaml: caption is null: expected text"),
        (
            {"extends": "q"},
            {"spec": {"training": {"epoch": 3}}},
            "profiles/q.yaml: spec: unknown key 'training.epoch'; did you mean 'epochs'?",
        ),
        ({"extends": "q", "benchmarks": {"b": None}}, {}, "p.yaml: benchmarks is a mapping: expe"),
    ],
)
def test_mistakes_in_what_a_profile_extends(params, tmp_path, first, second, line):
    params(second)
    (tmp_path / "profiles/p.yaml").rename(tmp_path / "profiles/q.yaml")
    (tmp_path / "profiles/p.yaml").write_text(yaml.safe_dump({"caption": "P", **first}))
    with pytest.raises(UserError) as error:
        load("p", tmp_path)
    assert line in str(error.value).replace(f"{tmp_path}/", "")
    assert "\n" not in str(error.value)


def test_a_benchmark_has_its_own_protocol_or_its_names_or_its_layouts(params):
    experiment = params(
        {
            "benchmarks": {
                "b": OTB,
                "lasot": {**OTB, "layout": "lasot"},
                "c": {**OTB, "protocol": "got10k"},
            }
        }
    )()
    titles = [experiment.protocol(name).title for name in ("b", "lasot", "c")]
    assert titles == ["OTB100", "LaSOT", "GOT-10k"]


def test_official_counts(params):
    """A folder of one's own has none, whatever its layout."""
    lasot = {**OTB, "layout": "lasot"}
    own = {"extension": {**lasot, "protocol": "lasot_ext"}, "b": OTB}
    experiment = params({"benchmarks": {"lasot": lasot, "lasot_ext": lasot, "dtb70": OTB, **own}})()
    names = ("lasot", "lasot_ext", "dtb70", "extension", "b", "not one")
    assert [experiment.official(name) for name in names] == [280, 150, 70, 0, 0, 0]
    counts = {key: rules.sequences for key, rules in experiment.protocols.items()}
    of_layouts = {"otb100": 100, "got10k": 180, "lasot": 280, "trackingnet": 511, "tnl2k": 700}
    others = {"vot2016": 60, "vot2018": 60, "vot2019": 60, "plain": 0, "nfs": 100, "dtb70": 70}
    more = {"lasot_ext": 150, "uav123": 123, "uav123_10fps": 123}
    assert counts == of_layouts | others | more


def test_a_layout_without_a_protocol_needs_one(params, tmp_path):
    load_them = params()
    protocols = yaml.safe_load((tmp_path / "protocols.yaml").read_text())
    (tmp_path / "protocols.yaml").write_text(yaml.safe_dump({"lasot": protocols["lasot"]}))
    with pytest.raises(
        UserError, match=r"benchmarks.b.protocol: is missing, and no protocol is of layout otb"
    ):
        load_them()


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_profiles_are_valid(profile):
    experiment = load(profile, ROOT / "params")
    assert "siamcar" in experiment.specs
    for spec in experiment.specs.values():
        expected = (1, 1, 1) if spec.model.localization == "lafa" else (1, 3, 1)
        regression = spec.loss.of_regression(spec.model.localization)
        if spec.loss.regression == "auto":
            assert (spec.loss.classification, regression, spec.loss.localization) == expected


@pytest.mark.parametrize(("name", "schema"), schemas().items())
def test_schemas_are_in_sync(name, schema):
    found = json.loads((ROOT / "workflow/schemas" / name).read_text())
    assert found == json.loads(json.dumps(schema)), "run `make schemas`"


def test_every_key_has_its_type_default_and_meaning():
    """The defaults are those of a spec that sets nothing."""
    rows = {key: more for key, *more in described_keys()}
    assert all(meaning for *_, meaning in rows.values())
    assert rows["training.lr_start"][:2] == ["number > 0", "0.005"]
    assert rows["model.prior"][:2] == ["number or null > 0, < 1", "null"]
    assert rows["pairs.search.shift"][:2] == ["number ≥ 0, ≤ 128", "64.0"]
    assert rows["labels.lals"] == [
        "true or false",
        "false",
        "localization-aware label smoothing: boundary cells are positives",
    ]
    shown = {key: default for key, (_, default, _) in rows.items() if default}
    spec = flat(plain(Spec.model_validate({"pairs": {"dataset": "a"}})))
    assert shown.keys() == spec.keys() - {"pairs.dataset"} | {"tracker.lost"}
    for key, default in shown.items():
        expected = spec.get(key)
        assert default == str(expected) or yaml.safe_load(default) == expected, key


def test_numbers_are_what_they_look_like(tmp_path):
    """YAML 1.1 reads 010 as 8, 1:30 as 90, 3_0 as 30 and 1e-3 as text."""
    path = tmp_path / "x.yaml"
    numbers = "[1, -2, +3, 0, 0.5, .5, 1., 1e-3, -1.5E+3, .inf, -.INF, 12345678901234567890]"
    words = "[010, 1:30, 3_0, 0x10, 0o7, 0b1, 1.2.3, 1e, 00.5, 1_000.5, -, ., +.5e]"
    path.write_text(f"numbers: {numbers}\nwords: {words}\nnan: .nan\n")
    content = read_yaml(path)
    expected = [1, -2, 3, 0, 0.5, 0.5, 1.0, 0.001, -1500.0, inf, -inf, 12345678901234567890]
    assert content["numbers"] == expected
    assert [type(number) for number in content["numbers"]] == [type(each) for each in expected]
    assert content["words"] == words.strip("[]").split(", ")
    assert isnan(content["nan"])
    path.write_text("needed: 010\nlimit: 3_0\ninner: {kind: 1:30}\n")
    with pytest.raises(UserError) as error:
        validate(Outer, read_yaml(path), "file")
    assert str(error.value).splitlines() == [
        "file: inner.kind is '1:30': expected 'mean' or 'area' or a number; this is read as text",
        "file: limit is '3_0': expected a whole number; this is read as text",
        "file: needed is '010': expected a whole number; this is read as text",
    ]


def test_a_file_is_plain_data_and_merges_may_be_overridden(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "a: [&m {<<: {x: 1}, x: 2}]\nb: {<<: *m, y: 2020-01-01}\n", encoding="utf-8-sig"
    )
    assert read_yaml(tmp_path / "x.yaml") == {"a": [{"x": 2}], "b": {"x": 2, "y": "2020-01-01"}}


class Inner(Settings):
    kind: Literal["mean", "area"] | float = "mean"
    size: tuple[int, int] = (1, 2)
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Outer(Settings):
    inner: Inner | Literal["none"] = "none"
    named: dict[Name, Inner] = Field(default_factory=dict)
    numbered: dict[int, Inner] = Field(default_factory=dict)
    label: str = ""
    on: bool = False
    path: Path = Path()
    limit: int | None = None
    needed: int


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inner": "nnoe"}, "inner is 'nnoe': expected a mapping or 'none'; did you mean 'none'?"),
        ({"inner": 3}, "inner is 3: expected a mapping or 'none'"),
        (
            {"inner": {"kind": "maen"}},
            "inner.kind is 'maen': expected 'mean' or 'area' or a number; did you mean 'mean'?",
        ),
        ({"inner": {"kind": True}}, "inner.kind is true: expected 'mean' or 'area' or a number"),
        ({"inner": {"kidn": 3}}, "unknown key 'inner.kidn'; did you mean 'kind'?"),
        ({"named": {"a": {"size": [1, 2.5]}}}, "named.a.size.1 is 2.5: expected a whole number"),
        ({"named": {"a": {"size": [1]}}}, "'named.a.size.1' is missing"),
        (
            {"named": {"a": {"size": [1, 2, 3]}}},
            "named.a.size is [1, 2, 3]: expected at most 2 entries",
        ),
        ({"named": {"a": {"size": 3}}}, "named.a.size is 3: expected a list"),
        (
            {"named": {"A": {}}},
            "the key 'named.A': expected a name of lower-case letters, digits and _, at most 64",
        ),
        ({"numbered": {"x": {}}}, "the key 'numbered.x': expected a whole number"),
        ({"numbered": [1]}, "numbered is [1]: expected a mapping"),
        ({"label": 5}, "label is 5: expected text; put it in quotes"),
        ({"on": 1}, "on is 1: expected true or false"),
        ({"on": "yes"}, "on is 'yes': expected true or false"),
        ({"path": 3}, "path is 3: expected text; put it in quotes"),
        ({"limit": False}, "limit is false: expected a whole number"),
        (
            {"limit": "1.5e3"},
            "limit is '1.5e3': expected a whole number; this is read as text, write 1.5e3 without"
            " quotes",
        ),
        (
            {"named": {"a": {"share": float("nan")}}},
            "named.a.share is nan: expected a finite number",
        ),
        ({"needed": None}, "needed is null: expected a whole number"),
        ({"nedeed": 1, "needed": ...}, "unknown key 'nedeed'; did you mean 'needed'?"),
        ({"label": "x" * 500, "on": "x" * 500}, f"on is '{'x' * 78}…: expected true or false"),
        ({"label": {1, 2}}, "not plain data (Object of type set is not JSON serializable)"),
    ],
)
def test_nothing_is_converted_silently_and_a_line_says_what_is_allowed(change, said):
    value = {key: entry for key, entry in ({"needed": 1} | change).items() if entry is not ...}
    with pytest.raises(UserError) as error:
        validate(Outer, value, "file")
    assert str(error.value) == f"file: {said}"


def test_what_fits_is_taken():
    found = validate(
        Outer,
        {"inner": {"kind": 1, "size": [3, 4]}, "numbered": {7: {}}, "needed": 1, "path": "a/b"},
        "file",
    )
    assert (found.inner, found.numbered, found.path) == (
        Inner(kind=1, size=(3, 4)),
        {7: Inner()},
        Path("a/b"),
    )
    assert validate(dict[Name, Inner], {"a": {"kind": "area"}}, "file") == {"a": Inner(kind="area")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "--option: not valid JSON: Expecting property name"),
        ("[" * 10_000, "--option: not valid JSON: "),
        ('{"needed": 1, "lable": "x"}', "--option: unknown key 'lable'; did you mean 'label'?"),
    ],
)
def test_a_json_option_goes_through_the_same_validator(text, said):
    with pytest.raises(UserError) as error:
        validate_json(Outer, text, "--option")
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_another_folder_is_looked_at_before_its_results_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An identity holds no path, so that nothing else would say that the folder is another."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params/profiles/smoke.yaml"
    head, rest = path.read_text(encoding="utf-8").split("\nbenchmarks:\n")
    warning = "two: another folder than when its content was noted; `siamla data fetch street"
    for name in ("one", "two"):
        (tmp_path / name / "clip").mkdir(parents=True)
        entry = f"  street: {{layout: plain, root: {name}}}\n"
        path.write_text(f"{head}\nbenchmarks:\n{entry}{rest}", encoding="utf-8")
        main(["config", "check", "--profile", "smoke"])
        assert (warning in capsys.readouterr().err) is (name == "two")
        assert main(["data", "fetch", "street", "--profile", "smoke"]) == 0
    main(["config", "check", "--profile", "smoke"])
    assert warning not in capsys.readouterr().err
