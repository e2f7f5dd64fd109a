"""What the page must know once: knobs, metrics, methods, mistakes, stages, rewards, presets …, all in words."""

from typing import Any

from workbench.run.bugs import BUGS
from workbench.run.fastpaths import FAST_PATHS
from workbench.run.knobs import knob_specs
from workbench.run.knobspec import Above, Condition, KnobSpec
from workbench.run.methodrules import UNUSED_KNOBS
from workbench.run.methods import UNIFIED_VIEW
from workbench.run.metrics import METRICS
from workbench.run.presets import PRESETS
from workbench.views.stages import STAGES
from workbench.views.words import REWARDS


def page_spec(version: str) -> dict[str, Any]:
    """Return what the page says about all of them, in English and Chinese."""
    return {
        "version": version,
        "knobs": [_knob(spec) for spec in knob_specs().values()],
        "metrics": {
            name: {"unit": m.unit, "formula": m.formula, "meaning": _both(m.meaning)} for name, m in METRICS.items()
        },
        "methods": [
            {
                "name": name,
                "title": _both(m.title),
                "source": _both(m.source),
                "reward": _both(m.reward),
                "coefficient": _both(m.coefficient),
                "unused": UNUSED_KNOBS[name],
            }
            for name, m in UNIFIED_VIEW.items()
        ],
        "bugs": [
            {
                "name": name,
                "title": _both(bug.title),
                "mistake": _both(bug.mistake),
                "symptom": _both(bug.symptom),
                "metric": bug.metric,
            }
            for name, bug in BUGS.items()
        ],
        "fast_paths": [
            {"name": name, "title": _both(p.title), "meaning": _both(p.meaning), "needs": _both(p.needs)}
            for name, p in FAST_PATHS.items()
        ],
        "stages": [
            {"name": name, "title": _both(title), "meaning": _both(about)} for name, (title, about) in STAGES.items()
        ],
        "rewards": {name: _both(title) for name, title in REWARDS.items()},
        "presets": [
            {"name": name, "group": p.group, "title": _both(p.title), "description": _both(p.description)}
            for name, p in PRESETS.items()
        ],
    }


def _knob(spec: KnobSpec) -> dict[str, Any]:
    slider = None
    if spec.slider is not None:
        low, high, step = spec.slider
        slider = {"low": low, "high": high, "step": step, "scale": spec.scale}
    names = (
        "name",
        "group",
        "symbol",
        "kind",
        "default",
        "low",
        "high",
        "choices",
        "optional",
        "start",
        "takes_effect",
    )
    plain = {name: getattr(spec, name) for name in names}
    words = {"label": _both(spec.label), "help": _both(spec.help)}
    return plain | words | {"slider": slider, "used_when": [_condition(each) for each in spec.used_when]}


def _condition(condition: Condition) -> dict[str, Any]:
    return {
        name: {"above": wanted.bound} if isinstance(wanted, Above) else {"values": wanted}
        for name, wanted in condition.items()
    }


def _both(texts: tuple[str, str]) -> dict[str, str]:
    return {"en": texts[0], "zh": texts[1]}
