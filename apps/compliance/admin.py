"""The compliance officer's screen: the restricted and watch list, with who changed what and why."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.compliance.models import Restriction
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
