"""A feed for benchmarks, as a process of its own like any feed of a desk: `python -m benchmarks.prices SYMBOL ...` until it is ended."""

import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

EVERY_SECONDS = 0.5


def main() -> None:
    import django

    django.setup()
    from apps.marketdata.models import Instrument
    from apps.marketdata.selectors.quotes import Quote
    from apps.marketdata.services.quotes import quotes_publish

    found = list(Instrument.objects.filter(symbol__in=sys.argv[1:]))
    while True:
        now = datetime.now(UTC)
        quotes_publish(
            quotes=[Quote(symbol=i.symbol, instrument_id=i.pk, price=Decimal(100), market_time=now, received_at=now, feed="bench") for i in found],
            feed="bench",
        )
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
