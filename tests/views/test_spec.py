from dataclasses import asdict
from itertools import pairwise

import orjson

from workbench.run.bugs import BUGS
from workbench.run.config import METHODS
from workbench.run.knobs import Knobs, knob_specs
from workbench.run.methodrules import UNUSED_KNOBS
from workbench.run.methods import UNIFIED_VIEW
from workbench.run.presets import PRESETS
from workbench.views.spec import page_spec

SPEC = orjson.loads(orjson.dumps(page_spec("1")))


def test_the_knobs_come_in_groups_along_the_path_of_the_data():
    groups = [knob["group"] for knob in SPEC["knobs"]]
    assert list(dict.fromkeys(groups)) == ["sampling", "advantage", "loss", "selection", "kl", "update"]
    assert sum(a != b for a, b in pairwise(groups)) == 5, "each group is in one piece"


def test_every_condition_names_a_knob_and_values_that_it_can_have():
    knobs = {knob["name"]: knob for knob in SPEC["knobs"]}
    conditions = [condition for knob in SPEC["knobs"] for condition in knob["used_when"]]
    assert conditions
    for condition in conditions:
        for name, wanted in condition.items():
            assert wanted.keys() in ({"values"}, {"above"})
            assert set(wanted.get("values", [])) <= set(knobs[name]["choices"] or [])


def test_a_condition_holds_for_the_values_it_names_alone():
    tau, corrected = knob_specs()["sapo_temperature_pos"], knob_specs()["use_bias_correction_kl"]
    assert tau.is_used(asdict(Knobs(loss_type="sapo"))) and not tau.is_used(asdict(Knobs()))
    assert corrected.is_used(asdict(Knobs(beta=0.1))) and not corrected.is_used(asdict(Knobs(beta=0.0)))
    assert not corrected.is_used(asdict(Knobs(beta=0.1, kl_in="reward")))
    assert knob_specs()["beta"].is_used(asdict(Knobs()))


def test_the_methods_are_those_of_the_config_each_with_its_place_in_the_unified_view():
    assert tuple(UNIFIED_VIEW) == METHODS == tuple(method["name"] for method in SPEC["methods"])
    for method in SPEC["methods"]:
        assert all(method[part][lang] for part in ("title", "source", "reward", "coefficient") for lang in ("en", "zh"))
        assert method["unused"] == list(UNUSED_KNOBS[method["name"]])


def test_every_mistake_and_preset_is_told_in_both_languages():
    assert [bug["name"] for bug in SPEC["bugs"]] == list(BUGS)
    assert all(
        bug[part][lang] for bug in SPEC["bugs"] for part in ("title", "mistake", "symptom") for lang in ("en", "zh")
    )
    assert [(preset["name"], preset["group"]) for preset in SPEC["presets"]] == [
        (n, p.group) for n, p in PRESETS.items()
    ]
