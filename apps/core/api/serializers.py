"""Serializers that refuse what they do not know: a misspelt field must never be read as its default."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class _RefusesUnknownFields(serializers.Serializer):
    def to_internal_value(self, data: Any) -> Any:
        """Validated fields. Unknown and read-only fields are errors beside all others, so that one answer names everything."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        writable = {str(field.field_name) for field in self._writable_fields}
        refused: dict[str, Any] = {
            str(name): [
                ErrorDetail("This field is read-only.", code="read_only")
                if name in self.fields
                else ErrorDetail(f"Unknown field. Known are: {', '.join(sorted(writable))}.", code="unknown_field")
            ]
            for name in data
            if name not in writable
        }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            detail = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
            raise ValidationError({**refused, **detail}) from error
        if refused:
            raise ValidationError(refused)
        return value


class StrictSerializer(_RefusesUnknownFields):
    """A Serializer that answers 400 to an unknown field."""


@cache
def _kept(kind: type[StrictSerializer]) -> StrictSerializer:
    """One with its fields made, which no request changes: to copy them costs an order more than to check them."""
    made = kind()
    len(made.fields)
    return made


def validated(kind: type[StrictSerializer], data: Any) -> dict[str, Any]:
    """What `kind(data=data)` finds valid. Raises its ValidationError. For serializers that look at nothing but the data."""
    try:
        found: dict[str, Any] = _kept(kind).run_validation(data)
    except ValidationError:
        refused = kind(data=data)  # says in its own way what is wrong
        refused.is_valid(raise_exception=True)
        found = refused.validated_data
    return found


class StrictModelSerializer(_RefusesUnknownFields, serializers.ModelSerializer):
    """A ModelSerializer that answers 400 to an unknown field."""
