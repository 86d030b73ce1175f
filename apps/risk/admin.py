"""Limits, scenarios and trading states in the admin. What is set is changed with a reason and keeps its history; states are facts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.forms import FreshReasonForm
from apps.marketdata.selectors.instruments import instruments_known
from apps.risk.models import (
    DeskLimit,
    LimitEvent,
    ReleaseRequest,
    RiskLimit,
    StressExposure,
    StressScenario,
    StressShock,
    TradingStateChange,
)


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
        fields = ("portfolio", "kind", "soft", "hard", "action", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


class LimitAdmin(SimpleHistoryAdmin):
    """What the limits of portfolios and the controls of the desk share."""

    fixed: tuple[str, ...] = ("kind",)
    history_list_display = ("soft", "hard", "action", "active_from", "active_to", "reason")
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
    list_display = ("portfolio", "kind", "soft", "hard", "action", "active_from", "active_to", "reason")
    list_filter = ("kind", "portfolio")
    list_select_related = ("portfolio",)
    search_fields = ("portfolio__name", "reason")
    ordering = ("portfolio", "kind", "-active_from")


class DeskLimitForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = DeskLimit
        fields = ("kind", "soft", "hard", "action", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


@admin.register(DeskLimit)
class DeskLimitAdmin(LimitAdmin):
    """Controls of the desk: they hold where a portfolio has none of its own."""

    form = DeskLimitForm
    list_display = ("kind", "soft", "hard", "action", "active_from", "active_to", "reason")
    list_filter = ("kind",)
    search_fields = ("reason",)
    ordering = ("kind", "-active_from")


class StressScenarioForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = StressScenario
        fields = ("name", "title", "kind", "window_start", "window_end", "index_return", "loss", "source", "active", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


class StressShockInline(admin.TabularInline):
    """The shocks of a scenario of factors."""

    model = StressShock
    fields = ("factor", "key", "size")
    extra = 1


@admin.register(StressScenario)
class StressScenarioAdmin(SimpleHistoryAdmin):
    """Scenarios: a changed one is a version of its own in the history, one that is no longer wanted is made inactive."""

    form = StressScenarioForm
    inlines = (StressShockInline,)
    list_display = ("name", "title", "kind", "active", "window_start", "window_end", "loss", "reason")
    list_filter = ("kind", "active")
    search_fields = ("name", "title")
    ordering = ("id",)
    history_list_display = ("title", "window_start", "window_end", "index_return", "loss", "active", "reason")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Results are kept under the name, and a kind has other terms."""
        return ("name", "kind") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its row stays, so that past results can be explained."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset: Any, change: bool) -> None:
        """Shocks keep the reason of their scenario's change."""
        for shock in [one.instance for one in formset.forms]:
            shock._change_reason = form.instance.reason[:100]
        super().save_formset(request, form, formset, change)


class StressExposureForm(FreshReasonForm):
    """What the officer edits."""

    class Meta:
        model = StressExposure
        fields = ("symbol", "factor", "key", "beta", "gamma", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}

    def clean_symbol(self) -> str:
        """Only what the desk knows has exposures."""
        symbol = str(self.cleaned_data["symbol"])
        if symbol not in instruments_known([symbol]):
            raise forms.ValidationError(f"There is no instrument {symbol}.")
        return symbol


@admin.register(StressExposure)
class StressExposureAdmin(SimpleHistoryAdmin):
    """Exposures that somebody has judged: durations, sectors, proxies. Without a row they are estimated, where there are prices."""

    form = StressExposureForm
    list_display = ("symbol", "factor", "key", "beta", "gamma", "reason")
    list_filter = ("factor",)
    search_fields = ("symbol", "key")
    ordering = ("symbol", "factor", "key")
    history_list_display = ("beta", "gamma", "reason")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Another symbol or factor is another exposure."""
        return ("symbol", "factor", "key") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)


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
