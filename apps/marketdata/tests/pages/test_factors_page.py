"""The factors page and its charts."""

import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from django.test import Client

from apps.core.models import User
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.models import FeedState, Universe
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.services.reference import fama_french_plan, series_import
from apps.marketdata.tests.factories import store_closes
from apps.marketdata.tests.services.test_factors import AT, SHORT

pytestmark = pytest.mark.django_db

NAMES = [f"E{number:02d}" for number in range(60)]
CHARTS = ("factors/heatmap", "factors/correlation", "factors/ic", "factors/spread", "factors/history", "vix")


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("tim"))
    return client


def walk(names: list[str], rows: int) -> date:
    """Random walks scored over so many sessions from 2012-01-03 on; the last date."""
    moves = np.random.default_rng(5).normal(0.0004, 0.01, (rows, len(names)))
    store_closes(dict(zip(names, (np.exp(np.cumsum(moves, axis=0)) * 100).T, strict=True)))
    return factors_compute(universe=Universe.ETF, settings=SHORT, recorded_at=AT).last


@pytest.fixture
def scored() -> date:
    """Sixty ETFs: more than a page."""
    return walk(NAMES, 40)


@pytest.fixture
def years(tmp_path) -> None:
    """A few ETFs over three years, the VIX, and factors of the same months."""
    walk(NAMES[:8], 780)
    store_closes({"VIX": [12.0, 16.0, 33.0]}, adjustment=CloseKind.NONE, asset_class="index")
    random = np.random.default_rng(6)
    lines = [
        f"{year}-{month:02d},{','.join(f'{one:.2f}' for one in random.normal(0, 3, 3))},0.01\n"
        for year in range(2012, 2016)
        for month in range(1, 13)
    ]
    path = tmp_path / "ff.csv"
    path.write_text("date,mkt_rf,smb,hml,rf\n" + "".join(lines))
    series_import(file=path, plan=fama_french_plan(path), recorded_at=AT)


def column(html: str, place: int) -> list[str]:
    """Texts of one column of the ranking."""
    table = html[html.index('id="ranking"') : html.index("</table>", html.index('id="ranking"'))]
    rows = re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], re.S)
    return [re.sub(r"<[^>]+>", "", re.findall(r"<t[hd].*?</t[hd]>", row, re.S)[place]).strip() for row in rows]


def read(client: Client, query: str = "") -> str:
    answer = client.get(f"/factors{query}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestRanking:
    def test_fifty_a_page_the_best_first(self, client, scored) -> None:
        html = read(client)
        assert column(html, 0) == [str(rank) for rank in range(1, 51)]
        assert column(read(client, "?page=2"), 0) == [str(rank) for rank in range(51, 61)]
        assert "60 of 60 scored" in html
        assert scored.isoformat() in html
        assert 'title="Proxy from prices: no fundamentals"' in html

    @pytest.mark.parametrize(("sort", "place"), [("momentum", 4), ("quality", 5), ("value", 6), ("volatility", 7), ("composite", 8)])
    def test_sorts_by_any_factor(self, client, scored, sort, place) -> None:
        texts = column(read(client, f"?sort=-{sort}"), place)
        numbers = [float(text.removesuffix(" p").replace("\N{MINUS SIGN}", "-")) for text in texts]
        assert numbers == sorted(numbers, reverse=True)

    def test_search_and_date(self, client, scored) -> None:
        assert set(column(read(client, "?search=e1"), 2)) == {f"E1{number}" for number in range(10)}
        assert "Nothing found" in read(client, "?search=zzz")
        assert 'scores at the close of <time datetime="2012-02-17">' in read(client, "?date=2012-02-20")

    def test_moves_since_the_date_before(self, client, scored) -> None:
        moves = column(read(client), 1)
        assert any(move.startswith("▲") for move in moves)
        assert any(move.startswith("▼") for move in moves)

    def test_the_replays_future_is_shown_with_a_note_and_only_before_the_first_score(self, client, scored) -> None:
        state = FeedState(name="replay", mode="replay", session=date(2008, 9, 12), updated_at=datetime.now(UTC))
        state.market_time = datetime(2008, 9, 12, 15, tzinfo=UTC)
        state.save()
        assert "which strategies in the replay cannot see" in read(client)
        state.market_time = datetime(2012, 2, 22, 15, tzinfo=UTC)
        state.save()
        html = read(client)
        assert "cannot see" not in html
        assert 'datetime="2012-02-21"' in html

    @pytest.mark.parametrize("query", ["?sort=size", "?n=0", "?optimizer=magic", "?universe=bonds", "?date=soon"])
    def test_what_it_cannot_show_is_refused(self, client, query) -> None:
        assert client.get(f"/factors{query}").status_code == 400

    def test_an_empty_desk_says_why(self, client) -> None:
        assert "There is no instrument of this universe" in read(client)
        store_closes({"AAA": [1.0, 2.0]})
        assert "manage.py compute_factors" in read(client)

    def test_it_asks_the_database_seldom(self, client, years, django_assert_max_num_queries: Any) -> None:
        with django_assert_max_num_queries(32):
            read(client, "?optimizer=mvo")


class TestPanels:
    @pytest.mark.parametrize("optimizer", list(Optimizer))
    def test_recommendations(self, client, years, optimizer) -> None:
        html = read(client, f"?n=5&optimizer={optimizer}")
        panel = html[html.index('id="recommendations"') :]
        weights = re.findall(r"([0-9.]+) %</td></tr>", panel[: panel.index("</section>")])
        assert len(weights) == 5
        assert sum(map(float, weights)) == pytest.approx(100, abs=0.3)

    def test_exposures_of_a_chosen_instrument(self, client, years) -> None:
        html = read(client, "?exposure=E07")
        panel = html[html.index('id="exposures"') :]
        assert "Exposures of E07" in panel
        assert re.search(r"R²</th><td class=\"num\">[0-9.]+ %</td><td class=\"num\">3[0-9] months", panel)
        assert "NOPE has no scores" in read(client, "?exposure=NOPE")

    def test_without_factors_the_panel_says_why(self, client) -> None:
        store_closes({name: np.linspace(100, 110 + at, 80) for at, name in enumerate(NAMES[:6])})
        factors_compute(universe=Universe.ETF, settings=SHORT, recorded_at=AT)
        assert "There is no reference series" in read(client)


class TestCharts:
    @pytest.mark.parametrize("name", CHARTS)
    def test_has_a_figure_a_summary_and_numbers(self, client, years, name) -> None:
        for theme in ("light", "dark"):
            answer = client.get(f"/charts/{name}?theme={theme}&ticker=E01&ticker=E02&ticker=NOPE").json()
            assert answer["item"]
            assert len(answer["summary"]) > 20
            assert answer["table"]["rows"]
        assert client.get(f"/charts/{name}?format=csv&ticker=E01")["Content-Type"].startswith("text/csv")

    @pytest.mark.parametrize("name", CHARTS)
    def test_says_why_there_is_nothing_to_draw(self, client, name) -> None:
        answer = client.get(f"/charts/{name}").json()
        assert answer["item"] is None
        assert answer["summary"]

    def test_unknown_factor(self, client) -> None:
        assert client.get("/charts/factors/ic?factor=size").status_code == 400
