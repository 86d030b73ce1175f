"""The compliance officer's screen: the restricted and watch list, with who changed what and why, and the locates of short sales."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.compliance.models import Locate, LocateUse, Restriction, ShortSaleRestriction
from apps.core import clock
from apps.core.admin import ReadOnlyAdmin
from apps.core.forms import FreshReasonForm


class RestrictionForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = Restriction
        fields = ("instrument", "portfolio", "level", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


@admin.register(Restriction)
class RestrictionAdmin(SimpleHistoryAdmin):
    form = RestrictionForm
    list_display = ("instrument", "scope", "level", "active_from", "active_to", "reason")
    list_filter = ("level", "portfolio")
    list_select_related = ("instrument", "portfolio")
    search_fields = ("instrument__symbol", "instrument__name", "reason")
    history_list_display = ("level", "active_from", "active_to", "reason")
    ordering = ("-active_from",)
    show_full_result_count = False

    @admin.display(description="portfolio")
    def scope(self, restriction: Restriction) -> str:
        """The portfolio's name, or all of them."""
        return restriction.portfolio.name if restriction.portfolio else "all"

    def get_readonly_fields(self, request: HttpRequest, obj: Restriction | None = None) -> tuple[str, ...]:
        """Another instrument or portfolio is another restriction."""
        return ("instrument", "portfolio") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A restriction is ended by a date; its row stays, so that any past decision can be explained."""
        return False

    def save_model(self, request: HttpRequest, obj: Restriction, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)


@admin.register(Locate)
class LocateAdmin(admin.ModelAdmin):
    """Locates are documented, and neither changed nor deleted."""

    fields = ("portfolio", "instrument", "quantity", "ground", "source", "session")
    list_display = ("session", "portfolio", "instrument", "quantity", "ground", "source", "obtained_by", "recorded_at")
    list_filter = ("ground", "portfolio")
    list_select_related = ("portfolio", "instrument", "obtained_by")
    search_fields = ("instrument__symbol", "source")
    ordering = ("-session", "-id")
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes what is documented."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor takes it away."""
        return False

    def save_model(self, request: HttpRequest, obj: Locate, form: forms.ModelForm, change: bool) -> None:
        """By whom and when is not typed."""
        obj.obtained_by_id, obj.recorded_at = int(request.user.pk or 0), clock.now()
        super().save_model(request, obj, form, change)


@admin.register(LocateUse)
class LocateUseAdmin(ReadOnlyAdmin):
    """What orders sold short of the locates."""

    list_display = ("session", "portfolio", "instrument", "quantity", "client_order_id", "recorded_at")
    list_select_related = ("portfolio", "instrument")
    search_fields = ("instrument__symbol", "client_order_id")
    ordering = ("-id",)


@admin.register(ShortSaleRestriction)
class ShortSaleRestrictionAdmin(ReadOnlyAdmin):
    """Falls of a tenth, and until when they restrict short sales."""

    list_display = ("session", "last_session", "instrument", "prior_close", "price", "market_time")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    ordering = ("-session", "-id")
