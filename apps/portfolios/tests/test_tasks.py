from datetime import UTC, date, datetime

import pytest

from apps.core.jobs import NullProgress
from apps.core.schedule import periodic_jobs
from apps.marketdata.domain import calendars
from apps.marketdata.models import FeedState
from apps.portfolios.models import PortfolioValue
from apps.portfolios.tasks import values_record
from apps.portfolios.tests.factories import PortfolioFactory

pytestmark = pytest.mark.django_db

DAY = date(2012, 1, 4)
OPENED, CLOSED = calendars.session_hours("XNYS", DAY)


def run(market_time):
    FeedState.objects.update_or_create(
        name="replay", defaults={"mode": "replay", "market_time": market_time, "session": DAY, "updated_at": datetime(2026, 1, 2, tzinfo=UTC)}
    )
    return values_record.run.__wrapped__(at=datetime(2026, 1, 2, tzinfo=UTC), progress=NullProgress())


class TestValuesRecord:
    def test_it_goes_by_the_market_s_clock(self):
        portfolio = PortfolioFactory(effective_at=OPENED)
        assert run(OPENED)["recorded"] == 0
        assert run(CLOSED) == {"recorded": 1, "sessions": ["2012-01-04"], "missing": {}}
        assert PortfolioValue.objects.filter(portfolio_id=portfolio.pk, ts=CLOSED).exists()
        assert run(CLOSED)["recorded"] == 0

    def test_it_is_scheduled_on_the_queue_of_money(self):
        [job] = [job for job in periodic_jobs() if job.task == "portfolios.values_record"]
        assert job.queue == "trade"
