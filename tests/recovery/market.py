"""A market and portfolios for the tests of the risk monitor, as a process of its own: `python -m tests.recovery.market NAME...`.

For each name it makes an instrument and a portfolio that holds 100 shares of it at 100, may hold 11,000 (warning) and 12,000 in it, and is
halted above that. It prints their ids by name, then reads lines "NAME PRICE", publishes each as a last price and answers "ok", or "away"
while Redis is.
"""

import json
import os
import sys
from decimal import Decimal


def make(names: list[str]) -> dict[str, int]:
    from django.contrib.auth.models import Group

    from apps.core import clock
    from apps.core.models import User
    from apps.marketdata.services.instruments import instrument_create
    from apps.portfolios.models import EntryKind
    from apps.portfolios.services.ledger import entry_post
    from apps.portfolios.services.portfolios import portfolio_create
    from apps.risk.services.limits import limit_set

    at = clock.now()
    officer, second = (User.objects.create_user(name) for name in ("officer", "second"))
    for person in (officer, second):
        person.groups.add(Group.objects.get(name="risk"))
    ids = {}
    for name in names:
        instrument = instrument_create(symbol=name, name=name, asset_class="stock")
        portfolio = portfolio_create(name=name, owner=officer, initial_capital=Decimal(100_000), effective_at=at, recorded_at=at)
        trade = {"kind": EntryKind.TRADE, "instrument_id": instrument.pk, "quantity": Decimal(100), "price": Decimal(100)}
        fact = {"source": "test", "source_ref": name, "effective_at": at, "recorded_at": at}
        entry_post(portfolio_id=portfolio.pk, book_id=portfolio.books.get().pk, **trade, **fact)
        levels = {"soft": 11_000, "hard": 12_000, "action": "halt"}
        limit_set(portfolio_id=portfolio.pk, kind="position_value", reason="test", user=officer, approver=second, active_from=at, **levels)
        ids[name] = portfolio.pk
        _instruments[name] = instrument.pk  # the market goes on while the database is away
    return ids


def show(name: str, price: str) -> str:
    from apps.core import clock
    from apps.core.errors import Unavailable
    from apps.marketdata.selectors.quotes import Quote
    from apps.marketdata.services.quotes import quotes_publish

    at = clock.now()
    pk = _instruments[name]
    try:
        quotes_publish(quotes=[Quote(symbol=name, instrument_id=pk, price=Decimal(price), market_time=at, received_at=at, feed="test")], feed="test")
    except Unavailable:
        return "away"
    return "ok"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


_instruments: dict[str, int] = {}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarttrader.settings.dev")
    import django

    django.setup()
    say(json.dumps(make(sys.argv[1:])))
    for line in sys.stdin:
        say(show(*line.split()))
