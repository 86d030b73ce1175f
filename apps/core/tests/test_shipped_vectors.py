"""Every vector that the desk ships, certified as `manage.py certify` does it: one test for each, named by its id."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.core.certification import Outcome, certify_vector

FILES = sorted((Path(__file__).parents[3] / "fixtures" / "vectors").glob("*.json"))
VECTORS = [vector for file in FILES for vector in json.loads(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    result = certify_vector(vector, name=vector["id"])
    assert result.outcome is Outcome.PASSED, f"{result.measure} answered {result.got}, expected {result.expected}"


def test_no_two_vectors_share_an_id() -> None:
    ids = [vector["id"] for vector in VECTORS]
    assert sorted(set(ids)) == sorted(ids)
