"""What venues say tick by tick: best quotes, trades, level-2 depth, order events. Time series, written and read by COPY (`services.ticks`).

Facts: nobody changes a row, and a row that comes again is dropped by its key. `ts` is the venue's time, cut to microseconds; `sequence`
keeps the order inside one. `instrument_id` and `source_id` (row of marketdata_barsource) are plain numbers, because a bulk load must not
check a key per row. The source is part of the key: two vendors may tell of the same trade.
"""

from django.db import models
from django.db.models import Q

from apps.marketdata.domain.ticks import LETTERS

INFINITY = float("inf")  # PostgreSQL sorts NaN above infinity, so "below infinity" refuses both


class Quote(models.Model):
    """Best bid and offer (NBBO, or a venue's own). A side without an order has price 0 and size 0. Crossed quotes are facts too."""

    pk = models.CompositePrimaryKey("instrument_id", "ts", "source_id", "sequence")
    instrument_id = models.BigIntegerField()
    source_id = models.SmallIntegerField()
    ts = models.DateTimeField()
    sequence = models.BigIntegerField()
    bid = models.FloatField()
    bid_size = models.FloatField()
    ask = models.FloatField()
    ask_size = models.FloatField()
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="quote_values",
                condition=Q(
                    bid__gte=0,
                    bid__lt=INFINITY,
                    bid_size__gte=0,
                    bid_size__lt=INFINITY,
                    ask__gte=0,
                    ask__lt=INFINITY,
                    ask_size__gte=0,
                    ask_size__lt=INFINITY,
                    sequence__gte=0,
                ),
            )
        ]


class Trade(models.Model):
    """One trade of the tape. `sequence` is the vendor's trade id where it gives one; `aggressor` +1 buyer, -1 seller, 0 unknown."""

    pk = models.CompositePrimaryKey("instrument_id", "ts", "source_id", "sequence")
    instrument_id = models.BigIntegerField()
    source_id = models.SmallIntegerField()
    ts = models.DateTimeField()
    sequence = models.BigIntegerField()
    price = models.FloatField()
    size = models.FloatField()
    aggressor = models.SmallIntegerField(default=0)
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="trade_values",
                condition=Q(price__gt=0, price__lt=INFINITY, size__gt=0, size__lt=INFINITY, aggressor__in=(-1, 0, 1), sequence__gte=0),
            )
        ]


class DepthUpdate(models.Model):
    """One price level of a level-2 message: from `sequence` on its size is `size`, 0 removes it. `side` is +1 bid, -1 ask.

    A message covers the updates `first_sequence` to `sequence`; a snapshot's rows replace the book and have both equal.
    """

    pk = models.CompositePrimaryKey("instrument_id", "ts", "source_id", "sequence", "snapshot", "side", "price")
    instrument_id = models.BigIntegerField()
    source_id = models.SmallIntegerField()
    ts = models.DateTimeField()
    sequence = models.BigIntegerField()
    first_sequence = models.BigIntegerField()
    snapshot = models.BooleanField(default=False)
    side = models.SmallIntegerField()
    price = models.FloatField()
    size = models.FloatField()
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="depth_values",
                condition=Q(
                    price__gt=0,
                    price__lt=INFINITY,
                    size__gte=0,
                    size__lt=INFINITY,
                    side__in=(-1, 1),
                    first_sequence__gte=0,
                    sequence__gte=models.F("first_sequence"),
                ),
            )
        ]


class OrderEvent(models.Model):
    """One message of an order-by-order feed in the words of ITCH 5.0; see `domain.ticks.OrderEventSeries`."""

    pk = models.CompositePrimaryKey("instrument_id", "ts", "source_id", "sequence")
    instrument_id = models.BigIntegerField()
    source_id = models.SmallIntegerField()
    ts = models.DateTimeField()
    sequence = models.BigIntegerField(help_text="Place of the message in the venue's day")
    letter = models.SmallIntegerField(help_text="Code point of the message type")
    ref = models.BigIntegerField()
    new_ref = models.BigIntegerField(default=0)
    side = models.SmallIntegerField(default=0)
    price = models.FloatField(default=0)
    shares = models.BigIntegerField(default=0)
    printable = models.BooleanField(default=True)
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="order_event_values",
                condition=Q(
                    letter__in=tuple(map(ord, LETTERS)), price__gte=0, price__lt=INFINITY, shares__gte=0, side__in=(-1, 0, 1), sequence__gte=0
                ),
            )
        ]
