"""The screener's language: what it means, how it is written, and how it says what it does not understand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.indicators import compute
from apps.marketdata.domain.screening import evaluate, query_parse, term_parse
from apps.marketdata.tests.factories import make_series


def flat(symbol: str, *closes: float) -> BarSeries:
    return make_series(symbol, closes)


UP = flat("UP", *range(10, 60))
DOWN = flat("DOWN", *range(60, 10, -1))
SHORT = flat("SHORT", 10.0, 11.0)
ALL = (UP, DOWN, SHORT)


def found(text: str, facts: dict[str, np.ndarray] | None = None) -> list[str]:
    result = evaluate(query_parse(text), ALL, facts)
    return [item.symbol for item, matches in zip(ALL, result.matches, strict=True) if matches]


class TestMeaning:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("close > sma(20)", ["UP"]),
            ("close < sma(20)", ["DOWN"]),
            ("close > 10", ["UP", "DOWN", "SHORT"]),
            ("close > close[1]", ["UP", "SHORT"]),
            ("close = 59 or close = 11", ["UP", "DOWN", "SHORT"]),
            ("rsi(14) < 30", ["DOWN"]),
            ("RSI > 70 AND Close >= 59", ["UP"]),
            ("not close > sma(20)", ["DOWN"]),
            ("close > sma(20) or close < sma(20) and close > 1000", ["UP"]),
            ("(close > sma(20) or close < sma(20)) and close < 20", ["DOWN"]),
            ("close - close[1] = 1", ["UP", "SHORT"]),
            ("2 * close > close + 20", ["UP"]),
            ("close / sma(volume, 20) > 0", ["UP", "DOWN"]),
            ("-close < -50", ["UP"]),
            ("volume >= 1 * sma(volume, period=20)", ["UP", "DOWN"]),
            ("macd(3, 6, 2).signal > 0", ["UP"]),
            ("bbands(20, 2).upper > bbands(20, 2).lower", ["UP", "DOWN"]),
            ("drawdown(20) < -0.1", ["DOWN"]),
            ("close != 11", ["UP"]),
            ("1 / (close - close) > 0", []),
        ],
    )
    def test_conditions(self, text: str, expected: list[str]) -> None:
        assert found(text) == expected

    def test_crossing_is_now_and_not_before(self) -> None:
        crossed = flat("X", *[10.0] * 5, 12.0)
        later = flat("Y", *[10.0] * 5, 12.0, 12.5)
        result = evaluate(query_parse("close crosses above 11"), (crossed, later))
        assert result.matches.tolist() == [True, False]
        assert evaluate(query_parse("11 crosses below close"), (crossed, later)).matches.tolist() == [True, False]

    def test_facts_are_given_from_outside(self) -> None:
        facts = {"factor.momentum": np.array([1.0, -1.0, np.nan])}
        assert found("factor.momentum > 0", facts) == ["UP"]
        assert found("factor.quality > 0", facts) == []

    def test_a_symbol_is_scored_only_when_everything_is_known_of_it(self) -> None:
        result = evaluate(query_parse("close > 0 or close > sma(20)"), ALL)
        assert result.scored.tolist() == [True, True, False]
        assert result.matches.tolist() == [True, True, False]
        assert np.isnan(result.values["sma(20)"][2])
        assert result.values["sma(20)"][0] == compute("sma", {"close": UP.close}, {"period": 20})["sma"][-1]

    def test_values_are_named_as_they_are_written_shortest(self) -> None:
        query = query_parse("Close>SMA( 20 ) and close > sma(period=20) and macd.signal[2] < 1")
        assert [str(leaf) for leaf in query.leaves] == ["close", "sma(20)", "macd(12, 26, 9).signal[2]"]

    def test_memory_is_what_must_be_read(self) -> None:
        assert query_parse("close[3] > 1").memory == 4
        assert query_parse("sma(200)[5] > 1 and close > 2").memory == 199 + 5 + 1
        assert query_parse("obv > 1").memory is None
        assert query_parse("factor.momentum > 1").memory == 1


values = st.sampled_from(
    ["close", "volume[2]", "sma(20)", "ema(volume, 5)", "macd.signal", "rsi[1]", "3", "-0.5", "factor.value", "bbands(10, 1.5).lower"]
)
sums = st.recursive(values, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner), max_leaves=4)
comparisons = st.builds("{} {} {}".format, sums, st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "crosses above", "crosses below"]), sums)
conditions = st.recursive(
    comparisons,
    lambda inner: st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner) | st.builds("not ({})".format, inner),
    max_leaves=4,
)


@given(conditions)
def test_what_is_parsed_is_written_so_that_it_parses_to_the_same(text: str) -> None:
    query = query_parse(text)
    assert query_parse(str(query)) == query


@given(st.text(alphabet="closermai()[].,<>=!+-*/0123456789 andotx", max_size=60))
def test_any_text_is_parsed_or_refused_with_a_position(text: str) -> None:
    position = 1
    try:
        query_parse(text)
    except InvalidInput as error:
        position = error.extra["position"]
    assert 1 <= position <= len(text) + 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "position", "token", "said"),
        [
            ("", 1, "", "says what to look for"),
            ("close >", 8, "", "ends where a value should"),
            ("close > and 3", 9, "and", "stands where a value should"),
            ("close > 3 volume > 2", 11, "volume", "too much"),
            ("close", 1, "close", "is a value"),
            ("close > 3 and volume", 11, "and", "is a value"),
            ("rsi(14 < 30", 8, "<", "should"),
            ("rsi(14", 7, "", "missing"),
            ("rsi(14, 3) < 30", 9, "3", "has 1 parameters"),
            ("rsi(0) < 30", 1, "rsi", "between 2 and 5000"),
            ("rsi(window=3) < 30", 1, "rsi", "no parameter"),
            ("rsi(period=3, period=4) < 30", 15, "period", "twice"),
            ("atr(volume, 3) < 30", 5, "volume", "not at one column"),
            ("macd.line > 0", 6, "line", "has no line"),
            ("beta(60) > 1", 1, "beta", "benchmark"),
            ("clsoe > 3", 1, "clsoe", "no column"),
            ("close > 3 & volume > 2", 11, "&", "means nothing"),
            ("1 < close < 3", 11, "<", "two comparisons"),
            ("close[x] > 1", 7, "x", "how many bars"),
            ("close[-1] > 1", 7, "-", "how many bars"),
            ("close crosses 3", 15, "3", "crosses above or"),
            ("factor > 3", 8, ">", "should"),
            ("factor.size > 3", 8, "size", "followed by one of momentum"),
            ("(close > 1) + 2 > 3", 1, "(", "true or false"),
            ("(" * 50 + "close > 1" + ")" * 50, 42, "(", "levels"),
            (" and ".join(["close > 1"] * 30), 281, "close", "more than 40 values"),
            ("x" * 2001, 2001, "", "at most 2000"),
        ],
    )
    def test_the_word_and_its_position_are_named(self, text: str, position: int, token: str, said: str) -> None:
        with pytest.raises(InvalidInput, match=said) as refusal:
            query_parse(text)
        assert (refusal.value.extra["position"], refusal.value.extra["token"]) == (position, token)
        assert refusal.value.field == "query"

    def test_an_indicator_alone(self) -> None:
        assert str(term_parse("sma( volume , 20)")) == "sma(volume, 20)"
        for text in ("close", "3", "sma(20) + 1", "sma(20) > 1"):
            with pytest.raises(InvalidInput):
                term_parse(text)
