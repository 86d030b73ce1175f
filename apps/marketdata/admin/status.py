"""What exchanges said of instruments: halts, pauses and price bands."""

from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.marketdata.models import MarketStatus


@admin.register(MarketStatus)
class MarketStatusAdmin(ReadOnlyAdmin):
    """The newest row that has begun holds."""

    list_display = ("instrument", "status", "low", "high", "reason", "source", "effective_at", "recorded_at")
    list_filter = ("status", "source")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "reason")
    ordering = ("-effective_at", "-id")
