"""The form of targets."""

from datetime import date
from decimal import Decimal

import pytest

from apps.core.errors import InvalidInput
from apps.portfolios.forms import form_date, targets_parse, targets_text, terms_of, terms_percents
from apps.portfolios.services.targets import PlanTerms


def test_lines_as_people_write_them() -> None:
    assert targets_parse("aapl 25 %\n\nMSFT, 12.5") == {"AAPL": Decimal("0.25"), "MSFT": Decimal("0.125")}
    assert targets_parse("IBM=40%") == {"IBM": Decimal("0.4")}


@pytest.mark.parametrize(
    ("text", "why"),
    [("AAPL", "line 1"), ("AAPL 10\nMSFT 5 7", "line 2"), ("AAPL 1\nAAPL 2", "AAPL again"), ("AAPL x", "no number"), ("AAPL NaN", "finite number")],
)
def test_other_lines_are_named(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        targets_parse(text)


def test_what_is_shown_is_read_back() -> None:
    weights = {"AAPL": Decimal("0.250000"), "MSFT": Decimal("0.333333"), "IBM": Decimal(0), "GOOG": Decimal(1) / 5}
    assert targets_parse(targets_text(weights)) == weights
    assert targets_text({"AAPL": Decimal("0.2")}) == "AAPL 20"


def test_terms() -> None:
    shown = terms_percents(PlanTerms())
    assert shown == {"drift_threshold": "5", "band": "0.5", "price_tolerance": "2"}
    assert terms_of({**shown, "stop_loss": "exit", "reason": "x"}) == PlanTerms(stop_loss="exit")
    with pytest.raises(InvalidInput):
        terms_of({"band": "much"})


def test_dates() -> None:
    assert form_date("") is None
    assert form_date("2024-01-03") == date(2024, 1, 3)
    with pytest.raises(InvalidInput):
        form_date("tomorrow")
