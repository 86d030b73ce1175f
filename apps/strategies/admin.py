"""Backtests and signals in the admin: facts, to look at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin
from apps.strategies.models import BacktestRun, Signal


@admin.register(BacktestRun)
class BacktestRunAdmin(ReadOnlyAdmin):
    """The curve and the trades are on the run's page of the strategy lab; here they would be walls of text."""

    list_display = (
        "id",
        "created_at",
        "strategy",
        "engine",
        "symbols",
        "timeframe",
        "start",
        "end",
        "initial_capital",
        "final_value",
        "requested_by",
    )
    list_filter = ("strategy", "engine", "timeframe")
    list_select_related = ("requested_by",)
    search_fields = ("strategy", "dataset_fingerprint", "code_version", "requested_by__username")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    exclude = ("equity", "trades")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[BacktestRun]":
        """Without the long columns."""
        return super().get_queryset(request).defer("equity", "trades")


@admin.register(Signal)
class SignalAdmin(ReadOnlyAdmin):
    list_display = ("id", "recorded_at", "strategy", "book", "instrument", "action", "price", "bar_ts", "market_time")
    list_filter = ("strategy", "action")
    list_select_related = ("book", "instrument")
    search_fields = ("strategy", "instrument__symbol", "book__name")
    date_hierarchy = "bar_ts"
    ordering = ("-recorded_at",)
