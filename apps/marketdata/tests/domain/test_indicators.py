"""The registry of indicators against plain definitions, its warm-ups, its NaN rule, its blindness for the future, and what it refuses."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.certification import Outcome, certify_vector
from apps.core.errors import InvalidInput
from apps.core.measures import measures
from apps.marketdata.domain.indicators import COLUMNS, Indicator, compute, indicators
from apps.marketdata.tests.domain.indicator_definitions import DEFINITIONS

VECTORS = json.loads((Path(__file__).parents[4] / "fixtures" / "vectors" / "marketdata_indicators.json").read_text())
NAMES = sorted(indicators())
PLAIN = [name for name in NAMES if not indicators()[name].family]
#: Other parameters than the defaults: the smallest that are allowed.
SMALLEST = {"macd": {"fast": 2, "slow": 3, "signal": 1}}


def bars_of(length: int, seed: int = 7) -> dict[str, np.ndarray]:
    """A random walk with gaps between close and open, every kind of candle, whole volumes, and sessions of twenty bars."""
    chance = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(chance.normal(0, 0.02, length)))
    opened = close * np.exp(chance.normal(0, 0.01, length) * chance.integers(0, 2, length))
    span = np.abs(chance.normal(0, 0.01, (2, length))) * chance.integers(0, 2, (2, length))
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + span[0]),
        "low": np.minimum(opened, close) * (1 - span[1]),
        "close": close,
        "volume": chance.integers(1_000, 900_000, length).astype(float),
        "benchmark": 100 * np.exp(np.cumsum(chance.normal(0, 0.01, length))),
        "session": np.arange(length) // 20,
    }


def needed(indicator: Indicator, bars: dict[str, Any]) -> dict[str, Any]:
    return {key: bars[key] for key in indicator.columns}


def parameter_sets(indicator: Indicator) -> list[dict[str, float]]:
    least = SMALLEST.get(indicator.name) or {item.name: item.minimum for item in indicator.parameters}
    return [{item.name: item.default for item in indicator.parameters}, least]


def leading(line: np.ndarray) -> int:
    return int(np.argmax(~np.isnan(line))) if (~np.isnan(line)).any() else len(line)


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete_and_registered_as_a_measure(name: str) -> None:
    entry = indicators()[name]
    assert entry.title
    assert entry.description.endswith(".")
    assert entry.source
    assert set(entry.columns) <= set(COLUMNS)
    assert all(item.minimum <= item.default <= item.maximum and item.description for item in entry.parameters)
    described = measures()[f"marketdata.indicator.{name}"].as_dict()
    assert [item["name"] for item in described["parameters"] if item["required"]] == [key for key in entry.columns if key not in entry.optional]
    assert {item.name for item in entry.parameters} <= {item["name"] for item in described["parameters"]}
    assert described["units"]


def test_all_patterns_of_ta_lib_are_one_family() -> None:
    import talib

    assert len([item for item in indicators().values() if item.family == "patterns"]) == len(talib.get_function_groups()["Pattern Recognition"])


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_every_value_is_that_of_the_definition(name: str) -> None:
    entry, bars = indicators()[name], bars_of(300)
    plain = SimpleNamespace(**{key: values.tolist() for key, values in bars.items()})
    for parameters in parameter_sets(entry):
        extra = {"session": plain.session} if "session" in entry.columns else {}
        expected = DEFINITIONS[name](plain, **parameters, **extra)
        lines = compute(name, needed(entry, bars), parameters)
        for line, values in (expected if isinstance(expected, dict) else {name: expected}).items():
            np.testing.assert_allclose(lines[line], values, rtol=1e-9, atol=1e-9, err_msg=f"{name} {line} {parameters}")


def test_every_plain_indicator_has_a_definition_of_its_own() -> None:
    assert set(PLAIN) <= set(DEFINITIONS)


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_is_exact(name: str) -> None:
    entry, bars = indicators()[name], bars_of(280)
    for parameters in parameter_sets(entry):
        warmup = entry.warmup(entry.values(parameters))
        for length in (0, 1, warmup, warmup + 1, 280):
            columns = {key: values[:length] for key, values in needed(entry, bars).items()}
            for line, values in compute(name, columns, parameters).items():
                assert len(values) == length, line
                assert leading(values) == min(warmup, length), f"{line} of {name} with {parameters} and {length} bars"


@pytest.mark.parametrize("name", NAMES)
def test_missing_bars_are_left_out(name: str) -> None:
    entry, bars = indicators()[name], bars_of(340)
    hollow = {key: np.array(values, float) for key, values in needed(entry, bars).items()}
    gone = np.r_[0:3, 300, 301, 320]
    first = entry.columns[0]
    hollow[first][gone] = np.nan
    there = np.setdiff1d(np.arange(340), gone)
    lines = compute(name, hollow)
    rest = compute(name, {key: values[there] for key, values in needed(entry, bars).items()})
    for line, values in lines.items():
        assert np.isnan(values[gone]).all()
        np.testing.assert_array_equal(values[there], rest[line])
        assert leading(values) == entry.warmup(entry.values({})) + 3


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 299))
def test_no_value_changes_when_the_future_does(name: str, seed: int, cut: int) -> None:
    entry, bars = indicators()[name], bars_of(300, seed)
    columns = needed(entry, bars)
    whole = compute(name, columns)
    truncated = compute(name, {key: values[:cut] for key, values in columns.items()})
    other = bars_of(300, seed + 1)
    shifted = compute(name, {key: np.concatenate([values[:cut], np.roll(other[key], seed % 97)[cut:]]) for key, values in columns.items()})
    for line, values in whole.items():
        np.testing.assert_array_equal(truncated[line], values[:cut])
        np.testing.assert_array_equal(shifted[line][:cut], values[:cut])


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_enough(name: str) -> None:
    """A value from the last `memory` + 1 bars is the value from all of history."""
    entry = indicators()[name]
    memory = entry.memory(entry.values({}))
    if memory is None:
        assert name in {"obv", "vwap"}
        return
    bars = needed(entry, bars_of(memory + 400))
    whole, part = compute(name, bars), compute(name, {key: values[-memory - 1 :] for key, values in bars.items()})
    for line, values in whole.items():
        assert part[line][-1] == pytest.approx(values[-1], rel=1e-6, abs=1e-6)


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "columns", "parameters", "field"),
        [
            ("smaa", {"close": [1.0]}, {}, "indicator"),
            ("sma", {"price": [1.0]}, {}, "price"),
            ("sma", {"open": [1.0]}, {}, "close"),
            ("atr", {"high": [1.0], "low": [1.0, 2.0], "close": [1.0]}, {}, "low"),
            ("sma", {"close": [1.0, math.inf]}, {}, "close"),
            ("sma", {"close": ["a"]}, {}, "close"),
            ("sma", {"close": [[1.0]]}, {}, "close"),
            ("sma", {"close": [1.0]}, {"window": 3}, "window"),
            ("sma", {"close": [1.0]}, {"period": 0}, "period"),
            ("sma", {"close": [1.0]}, {"period": 2.5}, "period"),
            ("sma", {"close": [1.0]}, {"period": True}, "period"),
            ("sma", {"close": [1.0]}, {"period": math.nan}, "period"),
            ("sma", {"close": [1.0]}, {"period": 3, "timeperiod": 3}, "timeperiod"),
            ("macd", {"close": [1.0]}, {"fast": 26, "slow": 12}, "fast"),
        ],
    )
    def test_bad_input_names_its_field(self, name: str, columns: dict[str, Any], parameters: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            compute(name, columns, parameters)
        assert refusal.value.field == field

    def test_only_an_indicator_of_one_series_takes_another_column(self) -> None:
        assert compute("sma", {"volume": [1.0, 3.0]}, {"period": 2}, column="volume")["sma"].tolist()[1] == 2.0
        with pytest.raises(InvalidInput) as refusal:
            compute("atr", bars_of(30), column="volume")
        assert refusal.value.field == "column"


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
    def test_vector_passes_in_certify(self, vector: dict[str, Any]) -> None:
        assert certify_vector(vector, name=vector["id"]).outcome is Outcome.PASSED

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
    def test_vector_is_the_definition(self, vector: dict[str, Any]) -> None:
        """The file was not written from what the registry answers."""
        name = vector["measure"].rsplit(".", 1)[-1]
        columns = {key: value for key, value in vector["inputs"].items() if key in COLUMNS}
        parameters = {key: value for key, value in vector["inputs"].items() if key not in COLUMNS}
        session = {"session": columns.pop("session")} if "session" in columns else {}
        expected = DEFINITIONS[name](SimpleNamespace(**columns), **parameters, **session)
        for line, values in (expected if isinstance(expected, dict) else {name: expected}).items():
            wanted = vector["expected"] if not isinstance(vector["expected"], dict) else vector["expected"][line]
            np.testing.assert_allclose(values, [math.nan if value == "nan" else value for value in wanted], rtol=0, atol=1e-9)

    def test_columns_that_are_not_needed_are_ignored_and_ta_lib_names_work(self) -> None:
        inputs = {"open": [1.0] * 4, "close": [1.0, 2.0, 3.0, "nan"], "volume": [1.0] * 4, "timeperiod": 2}
        vector = {"id": "x", "measure": "marketdata.indicator.sma", "inputs": inputs, "expected": ["nan", 1.5, 2.5, "nan"]}
        assert certify_vector(vector, name="x").outcome is Outcome.PASSED

    @pytest.mark.parametrize(
        "inputs",
        [
            {"columns": {"open": [1.0] * 4, "close": [1.0, 2.0, 3.0, "nan"]}, "period": 2},
            {"columns": {"close": [1.0, 2.0, 3.0, "nan"]}, "parameters": {"period": 2}},
            {"close": [1.0, 2.0, 3.0, "nan"], "parameters": {"period": 2}},
        ],
        ids=["columns together", "both together", "parameters together"],
    )
    def test_columns_and_parameters_may_stand_in_objects(self, inputs: dict[str, Any]) -> None:
        vector = {"id": "x", "measure": "marketdata.indicator.sma", "inputs": inputs, "expected": ["nan", 1.5, 2.5, "nan"]}
        assert certify_vector(vector, name="x").outcome is Outcome.PASSED
        values = measures()["marketdata.indicator.sma"].function(**inputs)
        np.testing.assert_array_equal(values, [math.nan, 1.5, 2.5, math.nan])

    @pytest.mark.parametrize(
        "inputs", [{"columns": [1.0, 2.0]}, {"columns": {"close": [1.0]}, "close": [1.0]}, {"columns": {"open": [1.0]}}], ids=str
    )
    def test_an_object_that_is_none_or_gives_twice_or_too_little_is_malformed(self, inputs: dict[str, Any]) -> None:
        vector = {"id": "x", "measure": "marketdata.indicator.sma", "inputs": inputs, "expected": [1.0]}
        assert certify_vector(vector, name="x").outcome is Outcome.MALFORMED

    def test_a_refusal_is_an_answer(self) -> None:
        vector = {"id": "x", "measure": "marketdata.indicator.sma", "inputs": {"close": [1.0], "window": 2}, "expected": {"error": "INVALID_INPUT"}}
        assert certify_vector(vector, name="x").outcome is Outcome.PASSED


def documented() -> str:
    """The table of docs/indicators.md."""
    rows = [
        "| Indicator | Columns | Parameters (default; bounds) | Lines (units) | Bars before the first value | Meaning and source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for item in (indicators()[name] for name in indicators() if not indicators()[name].family):
        parameters = "; ".join(f"`{p.name}` ({p.default:g}; {p.minimum:g} to {p.maximum:g}), {p.description}" for p in item.parameters)
        lines = ", ".join(f"`{line.name}` ({line.units})" for line in item.lines)
        meaning = f"{item.title}. {item.description}{f' Convention: {item.convention}.' if item.convention else ''} {item.source}."
        rows.append(f"| `{item.name}` | {', '.join(item.columns)} | {parameters or 'none'} | {lines} | {item.warmup(item.values({}))} | {meaning} |")
    return "\n".join(rows)


def test_the_documentation_shows_the_registry() -> None:
    text = (Path(__file__).parents[4] / "docs" / "indicators.md").read_text()
    assert documented() in text
    assert all(f"`{item.name}`" in text for item in indicators().values() if item.family)
