"""A document becomes a PDF, and without a browser the refusal says what to do."""

import pytest

from apps.core import pdf
from apps.core.errors import Unavailable


@pytest.mark.browser
def test_a_document_becomes_a_pdf() -> None:
    made = pdf.pdf_of("<!doctype html><title>Risk</title><p>Value at risk</p>")
    assert made.startswith(b"%PDF-")
    assert made.rstrip().endswith(b"%%EOF")
    assert len(made) > 1000  # the words and their font are in it


def test_without_chromium_the_refusal_says_what_to_do(settings, monkeypatch) -> None:
    settings.CHROMIUM = ""
    monkeypatch.setattr(pdf, "BROWSERS", ())
    with pytest.raises(Unavailable, match="DESK_CHROMIUM"):
        pdf.pdf_of("<p>")


def test_a_browser_that_fails_is_no_pdf(settings) -> None:
    settings.CHROMIUM = "false"  # a program that ends with 1
    with pytest.raises(Unavailable, match="made no PDF"):
        pdf.pdf_of("<p>")
    settings.CHROMIUM = "true"
    with pytest.raises(Unavailable, match="said nothing"):
        pdf.pdf_of("<p>")
