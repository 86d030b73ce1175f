"""What chart endpoints answer."""

from datetime import UTC, datetime

import numpy as np
import pytest
from django.test import RequestFactory

from apps.core.charts import MOST_POINTS, Chart, chart_answer, csv_answer, desk_figure, percent_text, thinned


def lines(name: str, rows: list) -> list[str]:
    return csv_answer("x", ("name", "value"), rows).content.decode("utf-8-sig").splitlines()[1:]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@SUM(A1)", "-2+3", "\tx"])
def test_formulas_in_a_csv_are_inert(text: str) -> None:
    assert lines("x", [(text, 1)])[0].lstrip('"').startswith("'")


@pytest.mark.parametrize("number", ["-12.5", "+3", -7, -0.5])
def test_negative_numbers_in_a_csv_stay_numbers(number: object) -> None:
    assert lines("x", [("a", number)]) == [f"a,{number}"]


def test_csv_has_all_rows_and_the_page_the_last_ones() -> None:
    chart = Chart(name="many", draw=None, summary="many", columns=("n",), rows=[(n,) for n in range(1000)])
    page = chart_answer(RequestFactory().get("/"), chart)
    file = chart_answer(RequestFactory().get("/?format=csv"), chart)
    assert b'["999"]' in page.content
    assert b'["0"]' not in page.content
    assert len(file.content.decode("utf-8-sig").splitlines()) == 1001
    assert file["Content-Disposition"] == 'attachment; filename="many.csv"'


@pytest.mark.parametrize("length", [0, 1, MOST_POINTS, MOST_POINTS + 1, 123_457])
def test_thinning_keeps_order_and_the_last_point(length: int) -> None:
    kept = thinned(length)
    assert len(kept) <= MOST_POINTS + 1
    assert np.all(np.diff(kept) > 0)
    if length:
        assert kept[0] == 0
        assert kept[-1] == length - 1


@pytest.mark.parametrize(("fraction", "text"), [(0.124, "+12.4 %"), (-0.061, "−6.1 %"), (0.0, "+0.0 %")])
def test_percent_text(fraction: float, text: str) -> None:
    assert percent_text(fraction) == text


def test_figures_need_no_code_from_the_page() -> None:
    """A CustomJS callback would need eval, which the content security policy refuses."""

    def draw(palette):
        plot = desk_figure(palette, height=100, label="USD")
        plot.line([0, 1], [1, 2])
        return plot

    chart = Chart(name="c", draw=draw, summary="s", columns=("t",), rows=[(datetime(2024, 1, 2, tzinfo=UTC),)])
    answer = chart_answer(RequestFactory().get("/"), chart)
    assert b"CustomJS" not in answer.content
    assert b'"2024-01-02 00:00"' in answer.content
