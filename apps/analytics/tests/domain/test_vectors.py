"""The shipped vectors of this app, run through the register of measures as `manage.py certify` does."""

import json
import math
from pathlib import Path

import pytest

from apps.core.measures import measure_get

VECTORS = json.loads((Path(__file__).parents[4] / "fixtures" / "vectors" / "analytics.json").read_text())


def decoded(value):
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return float(value) if value in ("nan", "inf", "-inf") else value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(vector):
    inputs = {name: decoded(value) for name, value in vector["inputs"].items()}
    got = measure_get(vector["measure"]).function(**inputs)
    expected = decoded(vector["expected"])
    if expected is None:
        assert got is None
    elif math.isnan(expected):
        assert math.isnan(got)
    else:
        assert got == pytest.approx(expected, abs=vector.get("tolerance", 1e-9), rel=0)
