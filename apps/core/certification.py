"""Certification: the desk's measures against test vectors, in the environment where they are used."""

import json
import logging
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from apps.core.domain.vectors import DEFAULT_TOLERANCE, answer, argument, equal, number
from apps.core.errors import DeskError, InvalidInput
from apps.core.measures import Measure, measures, unfold

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How one vector ended. MALFORMED: the vector, its file or its measure's name is at fault."""

    PASSED = "passed"
    DIFFERS = "differs"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One vector's outcome. `got` is in the words of a vector."""

    id: str
    measure: str
    outcome: Outcome
    expected: Any
    got: Any
    tolerance: float

    def as_dict(self) -> dict[str, Any]:
        """The form of `certify --json`."""
        return {
            "id": self.id,
            "measure": self.measure,
            "passed": self.outcome is Outcome.PASSED,
            "expected": self.expected,
            "got": self.got,
            "tolerance": self.tolerance,
        }


def _malformed(name: str, reason: str, vector: Any = None) -> Result:
    given = vector if isinstance(vector, dict) else {}
    return Result(
        id=name,
        measure=str(given.get("measure", "")),
        outcome=Outcome.MALFORMED,
        expected=given.get("expected"),
        got={"error": reason},
        tolerance=DEFAULT_TOLERANCE,
    )


def certify_file(path: Path, *, only: str = "") -> Iterator[Result]:
    """The results of one file of vectors; one malformed result for a file that cannot be read."""
    try:
        vectors = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield _malformed(path.name, f"{path}: {error}")
        return
    if not isinstance(vectors, list):
        yield _malformed(path.name, f"{path}: a file of vectors is a list")
        return
    for position, vector in enumerate(vectors):
        name = str(vector.get("id", "")) if isinstance(vector, dict) else ""
        measure = str(vector.get("measure", "")) if isinstance(vector, dict) else ""
        if measure.startswith(only) or name.startswith(only):
            yield certify_vector(vector, name=name or f"{path.name}[{position}]")


def certify_vector(vector: Any, *, name: str) -> Result:
    """The outcome of one vector. Nothing that it contains hides another: every fault is a result."""
    fault = _fault(vector)
    if fault:
        return _malformed(name, fault, vector)
    measure = measures().get(vector["measure"])
    if measure is None:
        return _malformed(name, "UNKNOWN_MEASURE", vector)
    tolerance = float(number(vector.get("tolerance", DEFAULT_TOLERANCE)) or 0)
    try:
        got = _call(measure, vector["inputs"])
    except TypeError as error:
        return _malformed(name, f"{error}", vector)
    outcome = Outcome.PASSED if equal(vector["expected"], got, tolerance) else Outcome.DIFFERS
    return Result(id=name, measure=measure.name, outcome=outcome, expected=vector["expected"], got=got, tolerance=tolerance)


def _fault(vector: Any) -> str:
    if not isinstance(vector, dict):
        return "a vector is an object"
    missing = [key for key in ("id", "measure", "inputs", "expected") if key not in vector]
    if missing:
        return f"{', '.join(missing)} missing"
    if not isinstance(vector["measure"], str) or not isinstance(vector["inputs"], dict):
        return "`measure` is a name and `inputs` an object"
    tolerance = number(vector.get("tolerance", DEFAULT_TOLERANCE))
    if tolerance is None or not tolerance >= 0:
        return "`tolerance` is a number of at least 0"
    return ""


def _call(measure: Measure, inputs: dict[str, Any]) -> Any:
    """The measure's answer, or its refusal. Raises TypeError for inputs that do not fit its parameters."""
    hints = typing.get_type_hints(measure.function)
    inputs = unfold(inputs, measure.groups)
    bound = measure.signature.bind(**inputs)
    try:
        arguments = {name: argument(value, hints.get(name, Any)) for name, value in bound.arguments.items() if name in inputs}
        extra = {name: value for name, value in inputs.items() if name not in arguments}
        return answer(measure.function(**arguments, **extra))
    except DeskError as error:
        return {"error": error.code}
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        logger.debug("%s raised", measure.name, exc_info=True)
        return {"error": InvalidInput.code, "detail": f"{type(error).__name__}: {error}"}
