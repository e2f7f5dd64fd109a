"""What the page must know once: the knobs, the meaning of every metric, the presets."""

from typing import Any

from workbench.run.knobs import knob_specs
from workbench.run.knobspec import KnobSpec
from workbench.run.metrics import METRICS
from workbench.run.presets import PRESETS


def page_spec(version: str) -> dict[str, Any]:
    """Return the knobs with their ranges and help, the metrics' meanings and the presets, in English and Chinese."""
    return {
        "version": version,
        "knobs": [_knob(spec) for spec in knob_specs().values()],
        "metrics": {
            name: {"unit": m.unit, "formula": m.formula, "meaning": _both(m.meaning)} for name, m in METRICS.items()
        },
        "presets": [
            {"name": name, "title": _both(p.title), "description": _both(p.description)} for name, p in PRESETS.items()
        ],
    }


def _knob(spec: KnobSpec) -> dict[str, Any]:
    slider = None
    if spec.slider is not None:
        low, high, step = spec.slider
        slider = {"low": low, "high": high, "step": step, "scale": spec.scale}
    names = ("name", "symbol", "kind", "default", "low", "high", "choices", "optional", "takes_effect")
    plain = {name: getattr(spec, name) for name in names}
    return plain | {"slider": slider, "label": _both(spec.label), "help": _both(spec.help)}


def _both(texts: tuple[str, str]) -> dict[str, str]:
    return {"en": texts[0], "zh": texts[1]}
