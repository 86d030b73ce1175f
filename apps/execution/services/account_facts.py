"""What compliance is told of the brokerage account of an order: its terms, and what the rules that hold for it need to know."""

import logging
from datetime import datetime
from typing import Final

from apps.compliance.domain.account_checks import AccountFacts
from apps.compliance.domain.day_trades import trading_day
from apps.compliance.domain.regimes import PDT, PDT_HOUSE, AccountType
from apps.core.kept import Kept
from apps.core.postgres.base import Question
from apps.core.postgres.rows import looking
from apps.core.trading import OrderIntent
from apps.execution.models import BrokerageAccount
from apps.execution.selectors.day_trades import traded, traded_question
from apps.execution.services.accounts import account_terms
from apps.risk.services.pretrade import Judged

logger = logging.getLogger(__name__)

#: Portfolios whose last order here had its day trades counted: the next one's are asked together with the rest. A wrong guess costs itself.
_counted: Final = Kept[int, bool](most=256)


def account_facts(intent: OrderIntent, *, account: BrokerageAccount, judged: Judged, market_time: datetime, protects: bool) -> AccountFacts | None:
    """The facts; None where they could not be read, which denies. Nothing is asked for a cash account, nor where intraday margin alone holds.

    `judged` is what risk has read of the order: cash, positions and prices are its. Called within `looking`.
    """
    try:
        terms = account_terms(account)
        if terms.account_type is AccountType.CASH:
            _counted.put(intent.portfolio_id, False)
            return AccountFacts(terms=terms, day=market_time.date(), held={}, prices={})
        day = trading_day(market_time)
        counted = bool({PDT, PDT_HOUSE} & set(terms.rules(day)))
        _counted.put(intent.portfolio_id, counted)
        with looking(savepoint=False):
            found = traded(intent.portfolio_id, day=day) if counted else None
        valued = judged.valued
        if valued is None:
            return None
        return AccountFacts(
            terms=terms,
            day=day,
            fills=found.fills if found else (),
            equity=found.equity if found else None,
            cash=valued.cash,
            held=valued.held,
            book_held=valued.book_held,
            prices=valued.prices,
            protects=protects,
        )
    except Exception:
        logger.exception("the account of order %s could not be looked at: it is denied", intent.client_order_id)
        return None


def account_questions(portfolio_id: int, *, market_time: datetime) -> tuple[Question, ...]:
    """What the account's facts will ask at a time of the market, as far as the order before has shown."""
    return (traded_question(portfolio_id, day=trading_day(market_time)),) if _counted.get(portfolio_id) else ()
