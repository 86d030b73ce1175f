"""What the desk's admin forms share."""

from typing import Any

from django import forms


class FreshReasonForm(forms.ModelForm):
    """A change needs a reason of its own: the one of the change before is shown, and not offered again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "reason" in self.fields:
            self.initial["reason"] = ""
            self.fields["reason"].help_text = f"Why this change. Before: {self.instance.reason}"
