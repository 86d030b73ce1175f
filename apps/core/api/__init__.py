"""What every REST endpoint of the desk shares: problem+json, pagination, strict input, idempotent POST."""

from apps.core.api.fields import DecimalString
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.serializers import StrictModelSerializer, StrictSerializer

__all__ = ["DecimalString", "StrictFilterBackend", "StrictModelSerializer", "StrictSerializer"]
