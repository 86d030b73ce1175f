"""Why a portfolio earned what it earned in a session, from its ledger and the session's closes."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, market_time_at
from apps.portfolios.selectors.closing_prices import closing_prices
from apps.portfolios.selectors.day import portfolio_day
from apps.risk.domain.pnl_explain import ExplainState, PnlExplain, pnl_explained, symbols_priced


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSession:
    """A session's result from `opened_at` to `closed_at` (market times). `explain` is None when the state is NOT_RECORDED (a value is not
    recorded, at the close or before it) or PRICE_MISSING (`missing` names the symbols)."""

    portfolio_id: int
    session: date
    state: ExplainState
    currency: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    missing: tuple[str, ...] = ()
    explain: PnlExplain | None = None


def session_explained(*, portfolio_id: int, now: datetime, session: date | None = None) -> ExplainedSession:
    """One session, by default the last that has closed by the market's time. Raises InvalidInput for a day without one."""
    day = session or calendars.last_completed_session(HOME_CALENDAR, market_time_at(now))
    _, close = calendars.session_hours(HOME_CALENDAR, day)
    found = portfolio_day(portfolio_id, close)
    if found is None:
        return ExplainedSession(portfolio_id=portfolio_id, session=day, state=ExplainState.NOT_RECORDED)
    at_opening, at_closing = symbols_priced(found)
    before = calendars.session_at(HOME_CALENDAR, found.opened.ts)
    opening = closing_prices(at_opening, before, found.opened.ts)
    closing = closing_prices(at_closing, day, close)
    missing = tuple(sorted({*at_opening} - opening.keys() | {*at_closing} - closing.keys()))
    explain = None if missing else pnl_explained(found, opening, closing)
    return ExplainedSession(
        portfolio_id=portfolio_id,
        session=day,
        state=ExplainState.PRICE_MISSING if explain is None else explain.state,
        currency=found.currency,
        opened_at=found.opened.ts,
        closed_at=found.closed.ts,
        missing=missing,
        explain=explain,
    )
