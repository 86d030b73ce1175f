from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.errors import InvalidInput
from apps.marketdata.domain.features import FeatureSet
from apps.marketdata.models import FeatureSetDefinition


class FeatureSetForm(forms.ModelForm):
    """A definition that can be computed, or none at all."""

    class Meta:
        model = FeatureSetDefinition
        fields = ("name", "version", "description", "specs")

    def clean_specs(self) -> Any:
        """The features in full. What is wrong is named by its place."""
        try:
            found = FeatureSet.parse("", self.cleaned_data["specs"])
        except InvalidInput as error:
            raise forms.ValidationError(f"{error.field}: {error.detail}") from error
        return [spec.as_dict() for spec in found.specs]


@admin.register(FeatureSetDefinition)
class FeatureSetAdmin(SimpleHistoryAdmin):
    """Feature sets with who changed what. A model names its version, so they are not deleted."""

    form = FeatureSetForm
    list_display = ("name", "version", "description")
    search_fields = ("name", "description")
    history_list_display = ("version", "specs")
    ordering = ("name", "-version")
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: add another version instead."""
        return False
