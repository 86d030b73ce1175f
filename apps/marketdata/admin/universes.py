"""Universes in the admin, with the symbols that instruments had."""

from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.marketdata.models import InstrumentSymbol, UniverseMember


@admin.register(InstrumentSymbol)
class InstrumentSymbolAdmin(ReadOnlyAdmin):
    """Which instrument was called what, and when."""

    list_display = ("symbol", "instrument", "valid_from", "valid_to")
    list_select_related = ("instrument",)
    search_fields = ("symbol", "instrument__symbol", "instrument__name")
    ordering = ("symbol", "valid_from")


@admin.register(UniverseMember)
class UniverseMemberAdmin(ReadOnlyAdmin):
    """Who belonged to which universe, and when."""

    list_display = ("universe", "instrument", "added_on", "removed_on")
    list_filter = ("universe",)
    list_select_related = ("universe", "instrument")
    search_fields = ("instrument__symbol",)
    ordering = ("universe", "instrument__symbol")
