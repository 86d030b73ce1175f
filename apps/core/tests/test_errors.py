import pytest

from apps.core import errors
from apps.core.errors import DeskError, InvalidInput

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DeskError)]


def test_every_error_has_a_code_of_its_own() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("error", CLASSES)
def test_status_and_exit_code_are_in_the_agreed_range(error: type[DeskError]) -> None:
    assert error.status in {400, 403, 404, 409, 412, 422, 423, 500, 503}
    assert error.exit_code in {1, 2, 4, 5}


def test_it_carries_what_a_caller_needs() -> None:
    error = InvalidInput("no", field="quantity", limit=3)
    assert (str(error), error.detail, error.field, error.extra) == ("no", "no", "quantity", {"limit": 3})
