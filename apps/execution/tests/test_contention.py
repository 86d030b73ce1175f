"""Four processes that trade in the same portfolio, short of cash, of shares and of room: nothing is sold twice, no limit is passed."""

from decimal import Decimal

import pytest

from apps.execution.models import Order
from apps.execution.tests.factories import make_desk, quote
from apps.portfolios.tests.factories import InstrumentFactory
from benchmarks.race import Race, faults, run_race

SEED = 20261126
SYMBOLS = ("RACEA", "RACEB", "RACEC")
MOST_SHARES = Decimal(100)


@pytest.mark.django_db(transaction=True)
def test_processes_that_trade_in_one_portfolio_pass_no_limit() -> None:
    desk = make_desk(capital="20000", position_size=str(MOST_SHARES))
    for symbol in SYMBOLS:
        InstrumentFactory(symbol=symbol)
        quote(symbol, "100")
    race = Race(portfolio_id=desk.portfolio.pk, user_id=desk.trader.pk, symbols=SYMBOLS, orders=25, seconds=600.0)
    outcomes = run_race(race, processes=4, seed=SEED)
    assert faults(race, outcomes, most_shares=MOST_SHARES) == []
    assert Order.objects.count() == 100
    codes = {code for outcome in outcomes for code in outcome.codes}
    assert codes >= {"SHORT_SALE", "POSITION_SIZE_LIMIT"}
    assert sum(outcome.statuses["filled"] for outcome in outcomes) > 0
