from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.marketdata.models import Screen, Watchlist


class OwnersAlone(SimpleHistoryAdmin):
    """What people keep for themselves: shown with its history, changed by its owner on the pages of the desk."""

    list_select_related = ("owner",)
    list_filter = ("shared",)
    search_fields = ("name", "owner__username")
    ordering = ("name", "owner")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody here."""
        return False


@admin.register(Watchlist)
class WatchlistAdmin(OwnersAlone):
    list_display = ("name", "owner", "shared", "created_at")


@admin.register(Screen)
class ScreenAdmin(OwnersAlone):
    list_display = ("name", "owner", "shared", "query", "created_at")
    history_list_display = ("query", "shared")
