"""The paper's twelve trainings, against params/tables.yaml and the paper's tables."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from siamla.experiment.experiment import load
from siamla.experiment.spec import Spec
from siamla.report.tables.build import published
from siamla.report.tables.job import Layout, Row

PARAMS = Path(__file__).parents[1] / "params"
LAYOUT = Layout.model_validate(yaml.safe_load((PARAMS / "tables.yaml").read_text(encoding="utf-8")))


def specs(profile: str) -> dict[str, Spec]:
    """Variant → its resolved settings, of the paper's twelve."""
    resolved = load(profile, PARAMS).specs
    return {name: resolved[name] for name in TRAININGS}


def facts(spec: Spec) -> dict[str, Any]:
    """What the tables' rows tell apart."""
    lafa = spec.model.localization == "lafa"
    return {
        "ladl": spec.labels.ladl,
        "mapping": spec.labels.mapping if spec.labels.ladl else None,
        "lals": spec.labels.lals,
        "lambda": spec.labels.lambda_ if spec.labels.lals else None,
        "lafa": lafa,
        "nonlocal": lafa and spec.model.lafa.nonlocal_block,
        "aggregation": lafa and spec.model.lafa.aggregation_block,
    }


NOTHING = {"ladl": False, "mapping": None, "lals": False, "lambda": None}
NOTHING |= {"lafa": False, "nonlocal": False, "aggregation": False}
LADL, LALS = {"ladl": True, "mapping": "nonlinear"}, {"lals": True, "lambda": 0.2}
LAFA = {"lafa": True, "nonlocal": True, "aggregation": True}
TRAININGS = {
    "siamcar": NOTHING,
    "ladl": NOTHING | LADL,
    "lals": NOTHING | LALS,
    "ladl_lals": NOTHING | LADL | LALS,
    "lafa": NOTHING | LAFA,
    "siamla": NOTHING | LADL | LALS | LAFA,
    "ladl_linear": NOTHING | LADL | {"mapping": "linear"},
    "ladl_lals_04": NOTHING | LADL | LALS | {"lambda": 0.4},
    "ladl_lals_03": NOTHING | LADL | LALS | {"lambda": 0.3},
    "ladl_lals_01": NOTHING | LADL | LALS | {"lambda": 0.1},
    "lafa_no_nonlocal": NOTHING | LAFA | {"nonlocal": False},
    "lafa_no_aggregation": NOTHING | LAFA | {"aggregation": False},
}
MODULES = {
    "LAFA": LAFA,
    "LAFA w/o localization-aware non-local block": LAFA | {"nonlocal": False},
    "LAFA w/o feature aggregation block": LAFA | {"aggregation": False},
}


def meaning(number: int, row: dict[str, str]) -> dict[str, Any]:
    """What a row of the paper's Table III to VI was trained with."""
    if number == 3:
        kind = dict(NOTHING)
        for name, part in (("ladl", LADL), ("lals", LALS), ("lafa", LAFA)):
            kind |= part if row[name] == "1" else {}
        return kind
    if number == 4:  # without smoothing, as its nonlinear row repeats Table III's
        return NOTHING | LADL | {"mapping": row["label"].removesuffix(" IoU")}
    if number == 5:  # LADL and LALS, as its λ = 0.2 repeats Table III's
        return NOTHING | LADL | LALS | {"lambda": float(row["lambda"])}
    return NOTHING | MODULES[row["module"]]


def paper_rows(number: int) -> list[Row]:
    """The rows of a table that are the paper's."""
    return [row for row in LAYOUT.tables[number].rows if row.variant in TRAININGS]


def paper_row(number: int, row: Row) -> dict[str, str]:
    wanted = {key: str(value) for key, value in row.paper.items()}
    (fitting,) = (each for each in published(number) if wanted.items() <= each.items())
    return fitting


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_the_twelve_trainings(profile: str) -> None:
    assert {name: facts(spec) for name, spec in specs(profile).items()} == TRAININGS


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_a_row_stands_beside_the_papers_row_of_the_same_training(number: int) -> None:
    rows = paper_rows(number)
    for row in rows:
        assert meaning(number, paper_row(number, row)) == TRAININGS[row.variant], row.variant
    # all of them, in print's order
    assert [paper_row(number, row) for row in rows] == published(number)


def test_the_tables_show_every_training() -> None:
    shown = {row.variant for number in (3, 4, 5, 6) for row in paper_rows(number)}
    assert shown == set(TRAININGS)


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_nothing_else_differs_between_them(profile: str) -> None:
    """But the weight of the regression loss, which goes with LAFA (eq. 11), in mini not."""
    common = set()
    for name, spec in specs(profile).items():
        plain = spec.model_dump(mode="json", by_alias=True)
        del plain["loss"]["regression"]
        regression = spec.loss.of_regression(spec.model.localization)
        assert regression == (1 if TRAININGS[name]["lafa"] and profile == "paper" else 3)
        for key in ("ladl", "mapping", "lals", "lambda"):
            del plain["labels"][key]
        for key in ("nonlocal_block", "aggregation_block"):
            del plain["model"]["lafa"][key]
        del plain["model"]["localization"]
        if profile == "mini":  # the tracker's settings are chosen for each
            del plain["tracker"]
        common.add(yaml.safe_dump(plain))
    assert len(common) == 1
