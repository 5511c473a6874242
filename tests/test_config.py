"""Settings: what a variant resolves to, and what a mistake says."""

import json
from pathlib import Path

import pytest
import yaml

from siamla.errors import UserError
from siamla.experiment.profile import load
from siamla.experiment.schema import schemas
from siamla.experiment.spec import merge, nest, plain, training_part
from siamla.files import digest

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
            "child": {"label": "Child", "extends": "base", "set": {"labels.ladl": True, "labels.lambda": 0.3}},
        }
    }
    (tmp_path / "profiles").mkdir()

    def change(profile_over=None, variants_over=None):
        (tmp_path / "profiles/p.yaml").write_text(yaml.safe_dump(merge(profile, profile_over or {})))
        (tmp_path / "variants.yaml").write_text(yaml.safe_dump(merge(variants, {"variants": variants_over or {}})))
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


def digest_of(spec):
    return digest(plain(spec))


def test_digest_follows_the_content_alone(params):
    first = params()().specs
    assert digest_of(first["base"]) == digest_of(params(variants_over={"x": {"label": "X"}})().specs["x"])
    assert digest_of(first["base"]) != digest_of(first["child"])
    moved = params(variants_over={"base": {"label": "Another label"}})().specs
    assert digest_of(moved["base"]) == digest_of(first["base"])
    tracker = params(variants_over={"base": {"label": "Base", "set": {"tracker.window": 0.2}}})().specs["base"]
    assert training_part(tracker) == training_part(first["base"])
    assert digest_of(tracker) != digest_of(first["base"])


def test_a_variant_can_have_seeds_of_its_own(params):
    experiment = params({"variant_seeds": {"child": [1, 2]}})()
    assert (experiment.seeds("base"), experiment.seeds("child")) == ([1], [1, 2])


@pytest.mark.parametrize(
    ("profile", "variants", "said"),
    [
        ({"variant_seeds": {"chlid": [1]}}, {}, "did you mean 'child'"),
        ({"variant_seeds": {"child": []}}, {}, "variant_seeds.child"),
        ({"sead": [1]}, {}, "unknown key 'sead'; did you mean 'seeds'?"),
        ({"spec": {"training": {"epoch": 3}}}, {}, "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ({"spec": {"training": {"epochs": "ten"}}}, {}, "training.epochs is 'ten'"),
        ({"benchmarks": {"b": {"layout": "obt"}}}, {}, "benchmarks.b.layout is 'obt'"),
        ({"benchmarks": {"B B": {"layout": "otb", "root": "x"}}}, {}, "lower-case letters"),
        ({"benchmarks": {"a": {"layout": "otb", "root": "x"}}}, {}, "both in train and in benchmarks"),
        ({"benchmarks": {"b": {"tracker": {"windw": 1}}}}, {}, "did you mean 'window'?"),
        ({"spec": {"pairs": {"dataset": "c"}}}, {}, "not one of train"),
        ({"variants": ["bas"]}, {}, "did you mean 'base'?"),
        ({}, {"child": {"set": {"labels.lamda": 0.2}}}, "unknown key 'labels.lamda'; did you mean 'labels.lambda'?"),
        ({}, {"child": {"set": {"labels.lambda": 0.0}}}, "labels.lambda is 0.0"),
        ({}, {"child": {"set": {"labels.lambda": 1.5}}}, "labels.lambda is 1.5"),
        ({}, {"child": {"set": {"model.backbone": "resnet51"}}}, "'resnet50'"),
        ({}, {"child": {"set": {"model.localization": "iou"}}}, "'centerness' or 'lafa'"),
        ({}, {"child": {"extends": "bose"}}, "no such variant; did you mean 'base'?"),
        ({}, {"base": {"extends": "child"}}, "extends itself"),
        ({}, {"child": {"lable": "x"}}, "did you mean 'label'?"),
        ({}, {"Upper": {"label": "x"}}, "lower-case letters"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_help(params, profile, variants, said):
    with pytest.raises(UserError) as error:
        params(profile, variants)()
    message = str(error.value)
    assert said in message
    assert message.count("\n") == 0
    assert ".yaml" in message


def test_a_variant_that_extends_itself_shows_the_circle(params):
    with pytest.raises(UserError, match=r"(base → child → base|child → base → child)"):
        params(variants_over={"base": {"extends": "child"}})()


def test_a_key_given_twice_is_an_error(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/p.yaml").write_text("caption: a\ncaption: b\n")
    with pytest.raises(UserError, match="'caption' is given twice"):
        load("p", tmp_path)


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'mini'"):
        load("minni", ROOT / "params")


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_profiles_are_valid(profile):
    experiment = load(profile, ROOT / "params")
    assert {"siamcar", "siamla"} <= set(experiment.specs)
    for spec in experiment.specs.values():
        expected = (1, 1, 1) if spec.model.localization == "lafa" else (1, 3, 1)
        assert (spec.loss.classification, spec.loss.regression, spec.loss.localization) == expected


def test_spec_survives_json(params):
    spec = params()().specs["child"]
    assert type(spec).model_validate(json.loads(json.dumps(plain(spec)))) == spec


def test_nest():
    assert nest({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(("name", "schema"), schemas().items())
def test_schemas_are_in_sync(name, schema):
    found = json.loads((ROOT / "workflow/schemas" / name).read_text())
    assert found == json.loads(json.dumps(schema)), "run `make schemas`"
