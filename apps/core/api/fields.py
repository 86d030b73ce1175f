"""Serializer fields: money, prices and quantities cross the border as text, never as binary floats, and times with their zone."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

PLAIN_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class DecimalString(serializers.DecimalField):
    """A Decimal sent as a JSON string or integer, answered as a string.

    Refused: a JSON number with a fraction (it has passed through a float), more places than `decimal_places`, more digits than
    `max_digits`, NaN, infinities, exponents. Nothing is rounded.
    """

    default_error_messages = {
        "float": 'Send it as a string, for example "189.50": a JSON number with a fraction may not be exact.',
        "text": "Not a plain decimal number.",
    }

    def __init__(self, *, max_digits: int, decimal_places: int, **kwargs: Any) -> None:
        super().__init__(max_digits=max_digits, decimal_places=decimal_places, coerce_to_string=True, **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        """The Decimal as it was written."""
        if isinstance(data, float):
            self.fail("float")
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal) or not PLAIN_DECIMAL.fullmatch(str(data)):
            self.fail("text")
        return super().to_internal_value(data)


class ZonedTime(serializers.DateTimeField):
    """A time with its time zone, answered in UTC. A zone is never guessed."""

    default_error_messages = {"naive": "A time needs its zone, for example 2012-01-03T14:30:00Z."}

    def enforce_timezone(self, value: datetime) -> datetime:
        """The time as it was written. Raises ValidationError for one without zone."""
        if value.tzinfo is None:
            self.fail("naive")
        return super().enforce_timezone(value)
