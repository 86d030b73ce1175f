"""Features of stored bars: complete from the first row, the same however the range is cut, as known at a time, and cached honestly."""

import io
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.features import FeatureMatrix, FeatureSet
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import FeatureSetDefinition
from apps.marketdata.services import feature_cache
from apps.marketdata.services.features import feature_matrix
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db
SPECS = [
    {"name": "rsi", "indicator": "rsi", "parameters": {"period": 5}},
    {"name": "trend", "indicator": "roc", "parameters": {"period": 10}, "lag": 1, "normalisation": "cross_rank"},
]
SET = FeatureSet.parse("test", SPECS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.VAR = tmp_path
    return tmp_path / "features"


@pytest.fixture
def bars() -> None:
    chance = np.random.default_rng(3)
    store_series(*(make_series(symbol, 50 * np.exp(np.cumsum(chance.normal(0, 0.02, 250)))) for symbol in ("AAA", "BBB", "CCC")))


def matrix(**given: Any) -> FeatureMatrix:
    asked = {"symbols": ["AAA", "CCC"], "timeframe": Timeframe.DAY, "start": date(2012, 11, 1), "end": date(2012, 12, 14), "feature_set": SET}
    return feature_matrix(**{**asked, **given})


class TestMatrix:
    def test_the_first_row_is_complete_and_axes_are_named(self, bars: None) -> None:
        found = matrix()
        assert found.values.shape == (len(found.ts), 2, 2)
        assert found.ts[0] == np.datetime64("2012-11-01")
        assert found.ts[-1] == np.datetime64("2012-12-14")
        assert found.mask.all()
        frame = found.frame()
        assert list(frame.columns) == ["rsi", "trend"]
        assert frame.loc[("2012-11-01", "CCC"), "rsi"].item() == found.values[0, 1, 0]

    def test_a_value_does_not_depend_on_where_the_range_begins_or_ends(self, bars: None) -> None:
        whole = matrix(start=date(2012, 6, 1))
        part = matrix(start=date(2012, 11, 15), end=date(2012, 11, 20))
        rows = np.searchsorted(whole.ts, part.ts)
        np.testing.assert_allclose(part.values, whole.values[rows], rtol=1e-6)

    def test_an_indicator_of_all_history_reads_all_of_it(self, bars: None) -> None:
        volume = FeatureSet.parse("v", [{"name": "obv", "indicator": "obv"}])
        np.testing.assert_array_equal(matrix(feature_set=volume).values[-1], matrix(feature_set=volume, start=date(2012, 12, 14)).values[0])

    def test_a_benchmark_among_others_and_apart(self, bars: None) -> None:
        beta = FeatureSet.parse("b", [{"name": "beta", "indicator": "beta", "parameters": {"period": 20}}])
        assert matrix(feature_set=beta, benchmark="AAA").values[:, 0, 0] == pytest.approx(1.0)
        assert matrix(feature_set=beta, benchmark="BBB").symbols == ("AAA", "CCC")

    def test_as_of_gives_what_was_known(self, bars: None) -> None:
        before = matrix()
        revised = make_series("AAA", [70.0, 71.0, 72.0, 73.0, 74.0], start=date(2012, 11, 26))
        store_series(revised, recorded_at=datetime(2026, 2, 1, tzinfo=UTC))
        after = matrix()
        assert after.dataset != before.dataset
        then = matrix(as_of=datetime(2026, 1, 15, tzinfo=UTC))
        assert then.dataset == before.dataset
        np.testing.assert_array_equal(then.values, before.values)

    @pytest.mark.parametrize(
        ("given", "error", "field"),
        [
            ({"symbols": []}, InvalidInput, "symbols"),
            ({"symbols": ["AAA", "AAA"]}, InvalidInput, "symbols"),
            ({"symbols": ["ZZZ"]}, NotFound, "symbols"),
            ({"end": date(2012, 10, 1)}, InvalidInput, "end"),
            ({"feature_set": FeatureSet.parse("b", [{"name": "b", "indicator": "beta"}])}, InvalidInput, "benchmark"),
        ],
    )
    def test_refusals(self, bars: None, given: dict[str, Any], error: type[Exception], field: str) -> None:
        with pytest.raises(error) as refusal:
            matrix(**given)
        assert refusal.value.field == field


class TestCache:
    def test_the_second_time_nothing_is_computed(self, bars: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = matrix()
        (file,) = folder.iterdir()
        written = file.read_bytes()
        feature_cache.cache_write(file.stem, first.values + 1.0)  # what only a reader of the cache would see
        np.testing.assert_array_equal(matrix().values, first.values + 1.0)
        file.write_bytes(written)
        np.testing.assert_array_equal(matrix().values, first.values)

    @pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:50] + b"x" + content[51:], lambda _content: b""])
    def test_a_damaged_file_is_computed_again(self, bars: None, folder: Path, damage: Any) -> None:
        first = matrix()
        (file,) = folder.iterdir()
        good = file.read_bytes()
        file.write_bytes(damage(good))
        np.testing.assert_array_equal(matrix().values, first.values)
        assert file.read_bytes() == good

    def test_another_set_and_other_data_have_files_of_their_own(self, bars: None, folder: Path) -> None:
        matrix()
        matrix(feature_set=FeatureSet.parse("test", SPECS[:1]))
        matrix(symbols=["BBB"])
        assert len(list(folder.iterdir())) == 3

    def test_the_files_used_longest_ago_go_first(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.zeros(100)
        feature_cache.cache_write("a", values)
        size = (folder / "a.npy").stat().st_size
        monkeypatch.setattr(feature_cache, "MOST_BYTES", 2 * size)
        feature_cache.cache_write("b", values)
        os.utime(folder / "a.npy", (1, 1))
        os.utime(folder / "b.npy", (2, 2))
        assert feature_cache.cache_read("a") is not None  # used now, so b is the oldest
        feature_cache.cache_write("c", values)
        assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "c.npy"]

    def test_a_folder_that_cannot_be_written_costs_no_answer(self, bars: None, folder: Path) -> None:
        folder.write_text("a file stands where the folder should be")
        assert matrix().mask.all()


class TestCommand:
    @pytest.fixture
    def stored(self, bars: None) -> None:
        FeatureSetDefinition.objects.create(name="mine", version=1, specs=SPECS[:1])
        FeatureSetDefinition.objects.create(name="mine", version=2, specs=SPECS)

    def call(self, *words: str) -> dict[str, Any]:
        out = io.StringIO()
        call_command("compute_features", *words, "--start", "2012-11-01", "--end", "2012-12-14", "--json", stdout=out, stderr=io.StringIO())
        return json.loads(out.getvalue())

    def test_the_latest_version_or_a_named_one(self, stored: None) -> None:
        assert self.call("mine", "--symbols", "AAA,CCC")["features"] == {"rsi": 1.0, "trend": 1.0}
        assert self.call("mine:1", "--symbols", "AAA")["features"] == {"rsi": 1.0}

    def test_the_file_holds_the_matrix_and_its_origin(self, stored: None, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        path = tmp_path / "features.parquet"
        answer = self.call("mine", "--symbols", "AAA,CCC", "--output", str(path))
        table = pq.read_table(path)
        assert table.schema.metadata[b"dataset"].decode() == answer["dataset"]
        np.testing.assert_array_equal(table["rsi"].to_numpy().reshape(-1, 2), matrix().values[:, :, 0])
        assert [item.name for item in tmp_path.glob("*.tmp")] == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("other", "--symbols", "AAA"), "other"),
            (("mine:x", "--symbols", "AAA"), "x"),
            (("mine", "--symbols", "ZZZ"), "ZZZ"),
            (("mine", "--symbols", "AAA", "--adjustment", "half"), "half"),
            (("mine", "--symbols", "AAA", "--as-of", "2026-01-01T00:00:00"), "zone"),
            (("mine", "--symbols", "AAA", "--output", "features.csv"), "parquet"),
        ],
    )
    def test_refusals_name_what_is_wrong(self, stored: None, words: tuple[str, ...], said: str) -> None:
        with pytest.raises(CommandError, match=said) as refusal:
            self.call(*words)
        assert refusal.value.returncode == 2
