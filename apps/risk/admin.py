"""Limits and trading states in the admin. Limits are changed with a reason and keep their history; states are facts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.forms import FreshReasonForm
from apps.risk.models import DeskLimit, LimitEvent, ReleaseRequest, RiskLimit, TradingStateChange


class Facts(admin.ModelAdmin):
    """Rows are shown, and neither added, changed nor deleted."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds facts by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes facts."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes facts."""
        return False


class RiskLimitForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = RiskLimit
        fields = ("portfolio", "kind", "soft", "hard", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


class LimitAdmin(SimpleHistoryAdmin):
    """What the limits of portfolios and the controls of the desk share."""

    fixed: tuple[str, ...] = ("kind",)
    history_list_display = ("soft", "hard", "active_from", "active_to", "reason")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What a limit limits never changes: another portfolio or kind is another limit."""
        return self.fixed if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A limit is ended by a date; its row stays, so that any past decision can be explained."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)


@admin.register(RiskLimit)
class RiskLimitAdmin(LimitAdmin):
    """Limits of portfolios."""

    form = RiskLimitForm
    fixed = ("portfolio", "kind")
    list_display = ("portfolio", "kind", "soft", "hard", "active_from", "active_to", "reason")
    list_filter = ("kind", "portfolio")
    list_select_related = ("portfolio",)
    search_fields = ("portfolio__name", "reason")
    ordering = ("portfolio", "kind", "-active_from")


class DeskLimitForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = DeskLimit
        fields = ("kind", "soft", "hard", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


@admin.register(DeskLimit)
class DeskLimitAdmin(LimitAdmin):
    """Controls of the desk: they hold where a portfolio has none of its own."""

    form = DeskLimitForm
    list_display = ("kind", "soft", "hard", "active_from", "active_to", "reason")
    list_filter = ("kind",)
    search_fields = ("reason",)
    ordering = ("kind", "-active_from")


@admin.register(TradingStateChange)
class TradingStateChangeAdmin(Facts):
    list_display = ("recorded_at", "scope", "state", "flatten", "reason", "changed_by", "approved_by")
    list_filter = ("state", "portfolio")
    list_select_related = ("portfolio", "changed_by", "approved_by")
    search_fields = ("reason", "changed_by__username")
    date_hierarchy = "recorded_at"

    @admin.display(description="scope")
    def scope(self, change: TradingStateChange) -> str:
        """The portfolio's name, or the desk."""
        return change.portfolio.name if change.portfolio else "the desk"


@admin.register(ReleaseRequest)
class ReleaseRequestAdmin(Facts):
    list_display = ("requested_at", "portfolio", "state", "requested_by", "approved_by", "expires_at", "decided_at", "reason")
    list_filter = ("state",)
    list_select_related = ("portfolio", "requested_by", "approved_by")


@admin.register(LimitEvent)
class LimitEventAdmin(Facts):
    list_display = ("recorded_at", "portfolio", "kind", "level", "change", "used", "limit", "market_time")
    list_filter = ("kind", "level", "change", "portfolio")
    list_select_related = ("portfolio",)
    date_hierarchy = "recorded_at"
