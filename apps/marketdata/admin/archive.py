"""How long rows stay in the database, in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.marketdata.models import RetentionPolicy


class RetentionPolicyForm(forms.ModelForm):
    """A number of days, or none, and why it changes."""

    reason = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"size": 80}), help_text="Why this change; it stands in the history")

    class Meta:
        model = RetentionPolicy
        fields = ("keep_days",)


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(SimpleHistoryAdmin):
    """One policy for each table that can be archived, with who changed what. The nightly archive follows them."""

    form = RetentionPolicyForm
    list_display = ("table", "kept")
    history_list_display = ("keep_days",)
    ordering = ("table",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: a policy comes with its table."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: leave the days empty instead."""
        return False

    def save_model(self, request: HttpRequest, obj: RetentionPolicy, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row."""
        obj._change_reason = form.cleaned_data["reason"]
        super().save_model(request, obj, form, change)

    @admin.display(description="rows stay", ordering="keep_days")
    def kept(self, policy: RetentionPolicy) -> str:
        """The days in words."""
        return "for ever" if policy.keep_days is None else f"{policy.keep_days} days"
