import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.losses import FIXTURE, fixture


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def test_what_the_javascript_is_checked_against_is_what_the_formulas_say_today():
    kept, now = dict(leaves(json.loads(FIXTURE.read_text()))), dict(leaves(fixture()))
    assert kept.keys() == now.keys(), "write it anew: python -m tests.web.losses"
    for path, value in now.items():
        assert kept[path] == (pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value), path
