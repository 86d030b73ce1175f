"""Alerts in the admin: facts to look at, people's routes with their history, and the ladders of escalation, which risk and operators keep."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.alerts.domain.wishes import Wishes, check_wishes, kinds_of
from apps.alerts.models import (
    Alert,
    AlertDelivery,
    AlertDeliveryAttempt,
    AlertDeliveryItem,
    AlertEscalation,
    AlertReceipt,
    AlertRepeat,
    AlertRoute,
    EscalationPolicy,
    EscalationStep,
)
from apps.core.admin import ReadOnly, ReadOnlyAdmin
from apps.core.errors import InvalidInput
from apps.core.forms import FreshReasonForm


class AlertReceiptInline(ReadOnly, admin.TabularInline):
    model = AlertReceipt
    extra = 0


class AlertRepeatInline(ReadOnly, admin.TabularInline):
    model = AlertRepeat
    extra = 0


class AlertEscalationInline(ReadOnly, admin.TabularInline):
    model = AlertEscalation
    extra = 0


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("id", "recorded_at", "severity", "code", "title", "subject")
    list_filter = ("severity", "code")
    search_fields = ("title", "detail", "subject")
    date_hierarchy = "recorded_at"
    inlines = (AlertReceiptInline, AlertRepeatInline, AlertEscalationInline)


@admin.register(AlertRoute)
class AlertRouteAdmin(ReadOnly, SimpleHistoryAdmin):
    """Kept by their owners on the page of delivery; here with their history."""

    list_display = ("user", "channel", "target", "minimum", "digest_minutes", "created_at", "ended_at")
    list_filter = ("channel", "minimum")
    list_select_related = ("user",)
    search_fields = ("target", "user__username")
    history_list_display = ("target", "minimum", "kinds", "portfolios", "quiet_from", "quiet_to", "time_zone", "digest_minutes", "ended_at")


class ItemInline(ReadOnly, admin.TabularInline):
    model = AlertDeliveryItem
    fields = ("alert", "round")
    extra = 0


class AttemptInline(ReadOnly, admin.TabularInline):
    model = AlertDeliveryAttempt
    extra = 0


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "state", "route", "attempts", "due_at", "finished_at", "detail")
    list_filter = ("state", "route__channel")
    list_select_related = ("route",)
    search_fields = ("key", "route__target")
    date_hierarchy = "created_at"
    inlines = (ItemInline, AttemptInline)


class EscalationPolicyForm(FreshReasonForm):
    """What is edited, checked like a person's wishes."""

    class Meta:
        model = EscalationPolicy
        fields = ("name", "minimum", "kinds", "portfolios", "repeat_minutes", "active_from", "active_to", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}

    def clean_kinds(self) -> list[str]:
        """In capitals, each once."""
        return list(kinds_of(self.cleaned_data["kinds"]))

    def clean(self) -> dict[str, Any]:
        """Refuse what could never fit an alert."""
        given = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_wishes(Wishes(minimum=given["minimum"], kinds=tuple(given["kinds"]), portfolios=tuple(given["portfolios"])))
            except InvalidInput as error:
                self.add_error(error.field, error.detail)
        return given


class EscalationStepInline(admin.TabularInline):
    model = EscalationStep
    extra = 1
    min_num = 1

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """A ladder has at least one step."""
        return super().get_formset(request, obj, **kwargs | {"validate_min": True})


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(SimpleHistoryAdmin):
    """Ladders. One is ended by a date, so that what it did can be explained."""

    form = EscalationPolicyForm
    list_display = ("name", "minimum", "repeat_minutes", "active_from", "active_to", "reason")
    list_filter = ("minimum",)
    search_fields = ("name", "reason")
    history_list_display = ("minimum", "kinds", "portfolios", "repeat_minutes", "active_from", "active_to", "reason")
    inlines = (EscalationStepInline,)
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: it ends."""
        return False

    def save_model(self, request: HttpRequest, obj: EscalationPolicy, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)


@admin.register(AlertEscalation)
class AlertEscalationAdmin(ReadOnlyAdmin):
    list_display = ("recorded_at", "alert", "policy", "number", "told", "people")
    list_filter = ("policy",)
    list_select_related = ("alert", "policy")
    date_hierarchy = "recorded_at"
