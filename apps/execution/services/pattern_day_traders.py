"""Pattern day traders: the designation outlives the window in which it was earned, so it is written down."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from apps.compliance.domain.day_trades import day_trades, held_before, is_pattern, trading_day
from apps.compliance.domain.regimes import PDT, PDT_HOUSE, AccountType
from apps.execution.models import BrokerageAccount
from apps.execution.selectors.day_trades import traded
from apps.execution.services.accounts import TERMS, account_save, account_terms
from apps.marketdata.selectors.market import market_time_at
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.portfolios import portfolio_lock


def pattern_day_traders_mark(*, at: datetime) -> list[str]:
    """Mark the margin accounts whose fills of the last five business days are a pattern day trader's; returns the numbers of those marked now.

    Nobody is unmarked: a firm may do that once, and a person does it. `at` is wall time.
    """
    day, marked = trading_day(market_time_at(at)), []
    unmarked = BrokerageAccount.objects.filter(account_type=AccountType.MARGIN.value, pattern_day_trader_since=None)
    for portfolio_id in unmarked.order_by("portfolio_id").values_list("portfolio_id", flat=True):
        with transaction.atomic():
            portfolio_lock(portfolio_id)
            account = BrokerageAccount.objects.get(portfolio_id=portfolio_id)
            if {PDT, PDT_HOUSE} & set(account_terms(account).rules(day)) and (made := _pattern(portfolio_id, day)):
                account.pattern_day_trader_since = day
                account_save(account, columns=TERMS, reason=f"{made} day trades in five business days")
                marked.append(account.number)
    return marked


def _pattern(portfolio_id: int, day: date) -> int:
    """Day trades of the window where they make a pattern, else 0."""
    held: dict[int, Decimal] = defaultdict(Decimal)
    for position in holdings(portfolio_id).positions:
        held[position.instrument_id] += position.quantity
    fills = traded(portfolio_id, day=day).fills
    made = sum(day_trades(fills, held_before(fills, held)).values())
    return made if is_pattern(fills, made) else 0
