"""The engine's configuration: the names of seed 003 in a file and in the environment, and errors that say where."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from apps.core.errors import InvalidInput
from apps.execution.domain.engine_config import ENV_KEYS, LiveEngineConfig, engine_config_document, engine_config_load
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.domain.sizers import PercentSizer, VolatilitySizer

FILE = """\
strategy: macd
symbols: [AAPL, MSFT]
portfolio: Demo fund
parameters: {fast: 5}
trading:
  api_key: key
  api_secret: the-secret
  paper_mode: true
risk:
  max_position_size: 1000
  max_orders_per_minute: 10
stop_loss:
  position_stop_pct: 0.05
  trailing_stop_pct: 0.1
  portfolio_stop_pct: 0.03
  max_drawdown_pct: 0.15
  enable_circuit_breaker: true
position_sizer:
  type: volatility
  risk_pct: 0.01
enable_trading: false
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "live_trading.yaml"
        path.write_text(text)
        return path

    return write


class TestFile:
    def test_everything_is_read(self, file):
        config = LiveEngineConfig.from_yaml(file(FILE))
        assert (config.strategy, config.symbols, config.portfolio, config.parameters) == ("macd", ("AAPL", "MSFT"), "Demo fund", {"fast": "5"})
        assert config.trading.api_secret == "the-secret"
        assert (config.risk.max_position_size, config.risk.max_orders_per_minute, config.risk.max_position_value) == (1000, 10, None)
        assert config.stop_loss.trailing_stop_pct == Decimal("0.1")
        assert config.position_sizer == VolatilitySizer(risk_pct=0.01)
        assert not config.enable_trading

    def test_an_empty_file_has_the_defaults(self, file):
        config = LiveEngineConfig.from_yaml(file(""))
        assert config == LiveEngineConfig()
        assert (config.trading.paper_mode, config.trading.dry_run, config.enable_trading) == (True, False, True)
        assert config.position_sizer == PercentSizer(0.1)

    def test_the_time_frame_of_its_bars(self, file):
        config = LiveEngineConfig.from_yaml(file(FILE + "timeframe: 1m\n"))
        assert (config.timeframe, LiveEngineConfig().timeframe) == (Timeframe.MINUTE, Timeframe.DAY)
        assert engine_config_load(engine_config_document(config), config).timeframe is Timeframe.MINUTE
        assert LiveEngineConfig.from_env({"TRADING_TIMEFRAME": "5m"}).timeframe is Timeframe.MINUTES_5

    def test_secrets_are_neither_printed_nor_stored(self, file):
        config = LiveEngineConfig.from_yaml(file(FILE))
        assert "the-secret" not in repr(config) + str(engine_config_document(config))

    def test_its_document_makes_it_again(self, file):
        config = LiveEngineConfig.from_yaml(file(FILE))
        assert engine_config_load(engine_config_document(config), config) == config

    @pytest.mark.parametrize(
        ("old", "new", "field", "says"),
        [
            ("trailing_stop_pct: 0.1", "trailing_stop_pct: 10", "stop_loss.trailing_stop_pct",
             "line 14, stop_loss.trailing_stop_pct was 10, which is no fraction between 0 and 1: 0.05 is 5 %"),
            ("trailing_stop_pct: 0.1", "trailing_stop: 0.1", "stop_loss.trailing_stop",
             "line 14, stop_loss.trailing_stop is unknown, did you mean stop_loss.trailing_stop_pct?"),
            ("max_position_size: 1000", "max_position_size: many", "risk.max_position_size",
             "line 10, risk.max_position_size was 'many', which is no number"),
            ("minute: 10", "minute: 1.5", "risk.max_orders_per_minute", "line 11, risk.max_orders_per_minute was 1.5, which is no whole number"),
            ("paper_mode: true", "paper_mode: maybe", "trading.paper_mode",
             "line 8, trading.paper_mode was 'maybe', which is neither true nor false"),
            ("type: volatility", "type: volatile", "position_sizer.type", "line 19, position_sizer.type unknown position sizer 'volatile'"),
            ("  risk_pct: 0.01", "  risk_pct: 2", "position_sizer.risk_pct", "line 20, position_sizer.risk_pct 2.0 is no fraction"),
            ("symbols: [AAPL, MSFT]", "symbols: [AAPL, AAPL]", "symbols", "line 2, symbols was"),
            ("symbols: [AAPL, MSFT]", "timeframe: 1h", "timeframe", "line 2, timeframe was '1h': an engine trades on bars of 1m, 5m, 15m, 1d"),
            ("symbols: [AAPL, MSFT]", "timeframe: 1Min", "timeframe", "line 2, timeframe was '1Min': '1Min' is not a time frame"),
            ("symbols: [AAPL, MSFT]", "symbols: [[AAPL]]", "symbols", "line 2: symbols is no mapping"),
            ("strategy: macd", "strategy: macd\nstrategy: momentum", "strategy", "line 2: strategy stands there twice"),
            ("strategy: macd", "strategy: [macd", "config", "line 2: "),
            ("  paper_mode: true", "  base_url: https://api.alpaca.markets", "trading.base_url",
             "line 8, trading.base_url https://api.alpaca.markets does not trade in paper mode"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told_with_key_and_line(self, file, old, new, field, says):
        assert old in FILE
        with pytest.raises(InvalidInput) as caught:
            LiveEngineConfig.from_yaml(file(FILE.replace(old, new)))
        assert says in caught.value.detail
        assert caught.value.field == field

    def test_every_problem_is_told_at_once(self, file):
        with pytest.raises(InvalidInput) as caught:
            LiveEngineConfig.from_yaml(file(FILE.replace("0.05", "5").replace("0.15", "15")))
        assert len(caught.value.extra["problems"]) == 2

    @pytest.mark.parametrize("text", ["- a\n", "word\n"])
    def test_a_file_that_is_no_mapping(self, file, text):
        with pytest.raises(InvalidInput, match="line 1: the file is no mapping"):
            LiveEngineConfig.from_yaml(file(text))

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InvalidInput, match="cannot be read"):
            LiveEngineConfig.from_yaml(tmp_path / "none.yaml")


class TestEnvironment:
    def test_the_names_of_the_first_design(self):
        config = LiveEngineConfig.from_env(
            {
                "ALPACA_API_KEY": "key",
                "ALPACA_API_SECRET": "secret",
                "TRADING_DRY_RUN": "true",
                "TRADING_ENABLE": "false",
                "TRADING_PAPER_MODE": "true",
                "RISK_MAX_POSITION_SIZE": "500",
                "STOPLOSS_POSITION_STOP_PCT": "0.07",
                "STOPLOSS_ENABLE_CIRCUIT_BREAKER": "no",
                "RISK_MAX_ORDERS_PER_MINUTE": "",
                "HOME": "/root",
            }
        )
        assert (config.trading.api_key, config.trading.api_secret, config.trading.dry_run) == ("key", "secret", True)
        assert (config.enable_trading, config.stop_loss.enable_circuit_breaker) == (False, False)
        assert (config.risk.max_position_size, config.risk.max_orders_per_minute) == (500, None)
        assert config.stop_loss.position_stop_pct == Decimal("0.07")

    def test_nothing_given_is_paper_with_trading_enabled(self):
        config = LiveEngineConfig.from_env({})
        assert config == LiveEngineConfig()
        assert config.trading.base_url == "https://paper-api.alpaca.markets"

    def test_the_process_environment_is_what_is_read(self, monkeypatch):
        monkeypatch.setenv("STOPLOSS_MAX_DRAWDOWN_PCT", "0.2")
        assert LiveEngineConfig.from_env().stop_loss.max_drawdown_pct == Decimal("0.2")

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [
            ("STOPLOSS_POSITION_STOP_PCT", "5", "STOPLOSS_POSITION_STOP_PCT was 5, which is no fraction"),
            ("STOPLOSS_POSITION_STOP", "0.05", "STOPLOSS_POSITION_STOP is unknown, did you mean STOPLOSS_POSITION_STOP_PCT?"),
            ("TRADING_ENABLE", "perhaps", "TRADING_ENABLE was 'perhaps', which is neither true nor false"),
            ("ALPACA_BASE_URL", "https://api.alpaca.markets", "ALPACA_BASE_URL https://api.alpaca.markets does not trade in paper mode"),
            ("ALPACA_BASE_URL", "ftp://x", "ALPACA_BASE_URL 'ftp://x' is no http address"),
        ],
    )
    def test_what_is_wrong_names_the_variable(self, name, value, says):
        with pytest.raises(InvalidInput) as caught:
            LiveEngineConfig.from_env({name: value})
        assert says in caught.value.detail

    @pytest.mark.parametrize("name", ["RISK_MAX_ORDERS", "RISK_POSITION_SIZE", "TRADING_ENABLED", "TRADING_PAPER", "STOPLOSS_DRAWDOWN"])
    def test_a_misspelt_variable_is_refused_with_the_one_that_is_meant(self, name):
        with pytest.raises(InvalidInput, match=f"{name} is unknown, did you mean [A-Z_]+[?]"):
            LiveEngineConfig.from_env({name: "1"})

    def test_what_the_desk_itself_or_others_read_is_none_of_its_business(self):
        source = (Path(settings.BASE_DIR) / "smarttrader/settings/environment.py").read_text()
        desk = re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source)
        assert "RISK_MONITOR_REQUIRED" in desk
        others = ["TRADING_ECONOMICS_KEY", "TRADING_VIEW_URL", "RISK_FREE_RATE"]
        assert LiveEngineConfig.from_env(dict.fromkeys([*desk, *others], "true")) == LiveEngineConfig()

    def test_the_keys_of_the_desk_s_own_line_are_no_half_configuration(self):
        config = LiveEngineConfig.from_env({"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "the desk's name for it"})
        assert (config.trading.api_key, config.trading.api_secret) == ("key", "")

    def test_every_variable_sets_one_key(self):
        assert len(set(ENV_KEYS.values())) == len(ENV_KEYS)
