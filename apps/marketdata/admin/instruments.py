from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnlyAdmin
from apps.marketdata.models import FeedState, Instrument


@admin.register(Instrument)
class InstrumentAdmin(SimpleHistoryAdmin):
    """Instruments with who changed what. They are never deleted: bars and orders speak of them."""

    list_display = ["symbol", "name", "asset_class", "sector", "currency", "calendar", "tradable"]
    list_filter = ["asset_class", "sector", "tradable", "currency"]
    search_fields = ["symbol", "name"]
    ordering = ["symbol"]

    def get_readonly_fields(self, request: HttpRequest, obj: Instrument | None = None) -> tuple[str, ...]:
        """A symbol changes on a day, by `manage.py symbol_change`, so that what was known under the old one stays known."""
        return ("symbol",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: make it not tradable instead."""
        return False


@admin.register(FeedState)
class FeedStateAdmin(ReadOnlyAdmin):
    """Where the feeds stand: to be looked at, only a feed moves it."""

    list_display = ["name", "mode", "session", "step", "market_time", "ended", "updated_at"]
