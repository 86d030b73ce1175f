from datetime import UTC, date, datetime

import pytest

from apps.portfolios.domain.settlement import sessions_to_settle, trade_settles_on


@pytest.mark.parametrize(
    ("calendar", "day", "sessions"),
    [
        ("XNYS", date(2017, 9, 4), 3),
        ("XNYS", date(2017, 9, 5), 2),
        ("XNYS", date(2024, 5, 27), 2),
        ("XNYS", date(2024, 5, 28), 1),
        ("XTSE", date(2024, 5, 24), 2),
        ("XTSE", date(2024, 5, 27), 1),
        ("XPAR", date(2014, 10, 3), 3),
        ("XPAR", date(2014, 10, 6), 2),
        ("XETR", date(2010, 1, 4), 2),
        ("XETR", date(2027, 10, 8), 2),
        ("XETR", date(2027, 10, 11), 1),
        ("XLON", date(2027, 10, 11), 1),
        ("XTKS", date(2019, 7, 12), 3),
        ("XTKS", date(2019, 7, 16), 2),
        ("XHKG", date(2024, 6, 3), 2),
    ],
)
def test_each_market_has_its_own_rules(calendar: str, day: date, sessions: int) -> None:
    assert sessions_to_settle(calendar, day) == sessions


@pytest.mark.parametrize(
    ("calendar", "asset_class", "traded", "settles"),
    [
        ("XNYS", "stock", datetime(2024, 6, 6, 15, tzinfo=UTC), date(2024, 6, 7)),
        ("XETR", "stock", datetime(2024, 6, 6, 15, tzinfo=UTC), date(2024, 6, 10)),  # Thursday, Friday, Monday
        ("XETR", "stock", datetime(2024, 3, 28, 15, tzinfo=UTC), date(2024, 4, 3)),  # Good Friday and Easter Monday have no session
        ("XETR", "stock", datetime(2027, 10, 11, 9, tzinfo=UTC), date(2027, 10, 12)),
        ("XNYS", "crypto", datetime(2024, 6, 8, 15, tzinfo=UTC), date(2024, 6, 8)),
    ],
)
def test_by_sessions_of_the_instrument_s_own_calendar(calendar: str, asset_class: str, traded: datetime, settles: date) -> None:
    assert trade_settles_on(calendar=calendar, asset_class=asset_class, traded_at=traded) == settles
