"""Whatever stands in a file, importing it twice is importing it once."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Bar
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.services.bars import bars_import
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory

cell = st.one_of(st.floats(-1, 200, width=32).map(str), st.sampled_from(["", "x", "10", "10.5", "nan", "1e3"]))
day = st.one_of(st.dates().map(str), st.integers(1, 31).map(lambda n: f"2012-01-{n:02}"))
rows = st.lists(st.tuples(day, cell, cell, cell, cell, cell), max_size=30)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_importing_again_changes_nothing(rows, tmp_path: Path) -> None:
    InstrumentFactory(symbol="AAA")
    path = tmp_path / "AAA.csv"
    path.write_text("date,open,high,low,close,volume\n" + "".join(",".join(row) + "\n" for row in rows))

    def load():
        return bars_import(files=[path], timeframe=Timeframe.DAY, source="test", recorded_at=RECORDED_AT)

    first = load()
    before = Bar.objects.count()
    again = load()
    assert first.inserted + first.revised + first.unchanged + len(first.rejected) == len(rows)
    assert (again.inserted, again.revised) == (0, 0)
    assert again.unchanged == first.inserted + first.revised + first.unchanged
    assert [item.line for item in again.rejected] == [item.line for item in first.rejected]
    assert Bar.objects.count() == before
    found = bar_series(symbol="AAA", timeframe=Timeframe.DAY)
    assert (found.ts[1:] > found.ts[:-1]).all()
    assert (found.low <= found.high).all()
