"""Scenarios, limits and trading states in the admin. Scenarios are changed with a reason and keep their history; limits change by two
people, and states are facts: both are read here."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnly, ReadOnlyAdmin
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.forms import FreshReasonForm
from apps.core.trading import Outcome
from apps.marketdata.selectors.instruments import instruments_known
from apps.risk.models import (
    ChangeState,
    DeskLimit,
    LimitChange,
    LimitEvent,
    ReleaseRequest,
    RiskLimit,
    StressExposure,
    StressScenario,
    StressShock,
    TradingStateChange,
)
from apps.risk.selectors.replay import DAYS, limit_replay
from apps.risk.services.limits import APPROVE, limit_change_decide, limit_change_request, limit_change_withdraw


class LimitAdmin(ReadOnly, SimpleHistoryAdmin):
    """Limits with their history, to be read: they change by a `LimitChange` that two people make."""

    history_list_display = ("soft", "hard", "action", "active_from", "active_to", "reason")


@admin.register(RiskLimit)
class RiskLimitAdmin(LimitAdmin):
    """Limits of portfolios and of parts of them."""

    list_display = ("portfolio", "kind", "book", "instrument", "sector", "soft", "hard", "action", "active_from", "active_to", "reason")
    list_filter = ("kind", "portfolio")
    list_select_related = ("portfolio", "book", "instrument")
    search_fields = ("portfolio__name", "reason")
    ordering = ("portfolio", "kind", "-active_from")


@admin.register(DeskLimit)
class DeskLimitAdmin(LimitAdmin):
    """Controls of the desk: they hold where a portfolio has none of its own."""

    list_display = ("kind", "instrument", "sector", "soft", "hard", "action", "active_from", "active_to", "reason")
    list_filter = ("kind",)
    list_select_related = ("instrument",)
    search_fields = ("reason",)
    ordering = ("kind", "-active_from")


class LimitChangeForm(forms.ModelForm):
    """What the officer asks for. The service that stores it is asked here, so that what it refuses is said beside the field."""

    user: Any = None

    class Meta:
        model = LimitChange
        fields = ("portfolio", "kind", "book", "instrument", "sector", "soft", "hard", "action", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "active_from" in self.fields:
            self.fields["active_from"].required = False

    def clean(self) -> dict[str, Any]:
        """Ask for the change once everything else is right."""
        data = dict(super().clean() or {})
        if self.errors or self.instance.pk:
            return data
        parts: dict[str, Any] = {f"{name}_id": found.pk if (found := data.pop(name)) else None for name in ("portfolio", "book", "instrument")}
        try:
            self.instance = limit_change_request(**parts, **data, user=self.user, at=now())
        except DeskError as error:
            raise forms.ValidationError({error.field if error.field in self.fields else NON_FIELD_ERRORS: str(error)}) from error
        return data

    def _post_clean(self) -> None:
        """The stored request is what is shown: the model's own validation has nothing to add."""


@admin.register(LimitChange)
class LimitChangeAdmin(admin.ModelAdmin):
    """Changes of limits: asked for here by one person, decided by another, with what they would have done to the orders of the last days."""

    form = LimitChangeForm
    show_full_result_count = False
    list_display = ("requested_at", "portfolio", "kind", "book", "instrument", "sector", "soft", "hard", "state", "requested_by", "decided_by")
    list_filter = ("state", "kind", "portfolio")
    list_select_related = ("portfolio", "book", "instrument", "requested_by", "decided_by")
    raw_id_fields = ("instrument",)
    ordering = ("-id",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who asked and who decided, once somebody has asked."""
        return ("state", "requested_by", "requested_at", "expires_at", "decided_by", "decided_at", "note") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A request is never edited; its buttons are no edit."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: requests are withdrawn."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form knows who asks."""
        made = super().get_form(request, obj, change=change, **kwargs)
        return type(made.__name__, (made,), {"user": request.user})

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        """The form has stored it."""

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The request with its replay, and the word of the second person."""
        change = self.get_object(request, object_id)
        if change is None or not self.has_view_permission(request, change):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method == "POST":
            return self._decide(request, change)
        found = limit_replay(change, now=now())
        pending, mine = change.state == ChangeState.PENDING, change.requested_by_id == request.user.pk
        context = {
            "days": DAYS,
            "replay": found,
            "warned": 0 if found is None else found.count(Outcome.WARN),
            "unknown": 0 if found is None else found.count(None),
            "may_decide": pending and not mine and request.user.has_perm(APPROVE),
            "may_withdraw": pending and mine,
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def _decide(self, request: HttpRequest, change: LimitChange) -> HttpResponse:
        user: Any = request.user
        try:
            if "_withdraw" in request.POST:
                decided = limit_change_withdraw(change_id=change.pk, user=user, at=now())
            elif "_approve" in request.POST or "_reject" in request.POST:
                note = request.POST.get("decision_note", "")
                decided = limit_change_decide(change_id=change.pk, user=user, approve="_approve" in request.POST, note=note, at=now())
            else:
                raise PermissionDenied
            self.message_user(request, f"The {decided}")
        except DeskError as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:risk_limitchange_change", args=[change.pk]))


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
class TradingStateChangeAdmin(ReadOnlyAdmin):
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
class ReleaseRequestAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "portfolio", "state", "requested_by", "approved_by", "expires_at", "decided_at", "reason")
    list_filter = ("state",)
    list_select_related = ("portfolio", "requested_by", "approved_by")


@admin.register(LimitEvent)
class LimitEventAdmin(ReadOnlyAdmin):
    list_display = ("recorded_at", "portfolio", "kind", "part", "level", "change", "used", "limit", "market_time")
    list_filter = ("kind", "level", "change", "portfolio")
    list_select_related = ("portfolio",)
    date_hierarchy = "recorded_at"
