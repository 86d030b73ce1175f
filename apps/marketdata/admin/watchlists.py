from django.contrib import admin
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnly
from apps.marketdata.models import Screen, Watchlist


class OwnersAlone(ReadOnly, SimpleHistoryAdmin):
    """What people keep for themselves: shown with its history, changed by its owner on the pages of the desk."""

    list_select_related = ("owner",)
    list_filter = ("shared",)
    search_fields = ("name", "owner__username")
    ordering = ("name", "owner")


@admin.register(Watchlist)
class WatchlistAdmin(OwnersAlone):
    list_display = ("name", "owner", "shared", "created_at")


@admin.register(Screen)
class ScreenAdmin(OwnersAlone):
    list_display = ("name", "owner", "shared", "query", "created_at")
    history_list_display = ("query", "shared")
