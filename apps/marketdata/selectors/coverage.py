"""What vendors have given already."""

from collections.abc import Iterable

from apps.marketdata.domain.coverage import Span, spans_merged
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import BarCoverage


def bars_covered(*, instrument_id: int, timeframe: Timeframe, vendors: Iterable[str]) -> tuple[Span, ...]:
    """The stretches that these vendors together have given, in order."""
    rows = BarCoverage.objects.filter(instrument_id=instrument_id, timeframe=int(timeframe), vendor__in=list(vendors))
    return spans_merged(rows.values_list("starts_at", "ends_at"))
