"""The live engine's configuration, from a YAML file or from the environment, with the names of seed 003.

Each problem is told with its key and, in a file, its line; an unknown key is a problem too, because a stop that is misspelt protects nobody.
Secrets are kept out of every document and out of what is printed.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

from apps.core.errors import InvalidInput
from apps.execution.domain.config_text import Given, env_values, yaml_values
from apps.execution.domain.protection import StopLossConfig
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.domain.sizers import PercentSizer, PositionSizer, sizer_build, sizer_document

PAPER_URL = "https://paper-api.alpaca.markets"
LIVE_URL = "https://api.alpaca.markets"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingConfig:
    """The mode, and the credentials of the first design, which nothing uses: the line to a broker is that of the account row.

    `paper_mode` false is live; a dry run replays history.
    """

    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    base_url: str = PAPER_URL
    paper_mode: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """The engine's own limits, None for none. They can only be narrower than the desk's, which hold for every order anyway."""

    max_position_size: Decimal | None = None
    max_position_value: Decimal | None = None
    max_total_exposure: Decimal | None = None
    max_orders_per_minute: int | None = None
    max_orders_per_symbol_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEngineConfig:
    """All of it. `portfolio` is a name or number, `enable_trading` false lets the engine speak but not order."""

    strategy: str = ""
    symbols: tuple[str, ...] = ()
    portfolio: str = ""
    timeframe: Timeframe = Timeframe.DAY
    parameters: Mapping[str, str] = field(default_factory=dict)
    trading: TradingConfig = field(default_factory=TradingConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    stop_loss: StopLossConfig = field(default_factory=StopLossConfig)
    position_sizer: PositionSizer = field(default_factory=PercentSizer)
    enable_trading: bool = True

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """The configuration in a file. Raises InvalidInput (every problem with key and line; the field is the first one's key)."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} cannot be read: {error}", field="config") from error
        return cls._read(yaml_values(text), source=str(path))

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The configuration in ALPACA_*, TRADING_*, RISK_* and STOPLOSS_* variables. Raises InvalidInput naming the variables."""
        return cls._read(env_values(os.environ if environment is None else environment, ENV_KEYS, ENV_PREFIXES), source="the environment")

    @classmethod
    def _read(cls, given: Mapping[str, Given], *, source: str) -> Self:
        reading = _Reading(dict(given))
        sections = {name: kind(**reading.section(name, kind)) for name, kind in SECTIONS.items()}
        config = cls(
            **sections,
            **reading.top(),
            parameters={key.partition(".")[2]: str(value) for key, value in reading.take("parameters.").items()},
            position_sizer=reading.sizer(),
        )
        reading.unknown()
        reading.check(config.trading)
        if reading.problems:
            first = reading.problems[0]
            raise InvalidInput(
                f"{source}: " + "; ".join(text for _, text in reading.problems), field=first[0], problems=[text for _, text in reading.problems]
            )
        return config


SECTIONS: dict[str, type] = {"trading": TradingConfig, "risk": RiskConfig, "stop_loss": StopLossConfig}
TOP = ("strategy", "symbols", "portfolio", "timeframe", "enable_trading")
#: Bars that feeds announce as they are completed.
TIMEFRAMES = (Timeframe.MINUTE, Timeframe.MINUTES_5, Timeframe.MINUTES_15, Timeframe.DAY)
ENV_PREFIXES = ("TRADING_", "RISK_", "STOPLOSS_")
ENV_KEYS = {
    "ALPACA_API_KEY": "trading.api_key",
    "ALPACA_API_SECRET": "trading.api_secret",
    "ALPACA_BASE_URL": "trading.base_url",
    "TRADING_DRY_RUN": "trading.dry_run",
    "TRADING_PAPER_MODE": "trading.paper_mode",
    "TRADING_ENABLE": "enable_trading",
    "TRADING_TIMEFRAME": "timeframe",
    **{f"RISK_{one.name.upper()}": f"risk.{one.name}" for one in fields(RiskConfig)},
    **{f"STOPLOSS_{one.name.upper()}": f"stop_loss.{one.name}" for one in fields(StopLossConfig)},
}
_FRACTIONS = {"position_stop_pct", "trailing_stop_pct", "portfolio_stop_pct", "max_drawdown_pct"}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def timeframe_check(timeframe: Timeframe) -> Timeframe:
    """Pass for bars of which a feed says when they are complete. Raises InvalidInput."""
    if timeframe not in TIMEFRAMES:
        raise InvalidInput(f"an engine trades on bars of {', '.join(one.code for one in TIMEFRAMES)}", field="timeframe")
    return timeframe


def engine_config_document(config: LiveEngineConfig) -> dict[str, Any]:
    """JSON form without secrets: numbers as strings, None where there is no limit."""
    return {
        "risk": _document(config.risk),
        "stop_loss": _document(config.stop_loss),
        "position_sizer": sizer_document(config.position_sizer),
        "enable_trading": config.enable_trading,
        # Only where it is not the usual one: an approval for live trading holds for this document.
        **({} if config.timeframe is Timeframe.DAY else {"timeframe": config.timeframe.code}),
    }


def engine_config_load(document: Mapping[str, Any], config: LiveEngineConfig | None = None) -> LiveEngineConfig:
    """The configuration of such a document."""
    sizer = dict(document["position_sizer"])
    kinds = {"risk": RiskConfig, "stop_loss": StopLossConfig}
    sections = {name: kind(**{key: _loaded(value) for key, value in document[name].items()}) for name, kind in kinds.items()}
    return replace(
        config or LiveEngineConfig(),
        **sections,
        position_sizer=sizer_build(sizer.pop("type"), sizer),
        enable_trading=document["enable_trading"],
        timeframe=Timeframe.parse(document.get("timeframe", Timeframe.DAY.code)),
    )


def _document(section: Any) -> dict[str, Any]:
    values = {one.name: getattr(section, one.name) for one in fields(section)}
    return {name: format(value.normalize(), "f") if isinstance(value, Decimal) else value for name, value in values.items()}


def _loaded(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) else value


class _Reading:
    """Takes values by key until none is left, and keeps what is wrong with them."""

    def __init__(self, given: dict[str, Given]) -> None:
        self._left = given
        self.problems: list[tuple[str, str]] = []
        self._seen: dict[str, Given] = {}

    def section(self, name: str, kind: type) -> dict[str, Any]:
        found = {one.name: self._value(f"{name}.{one.name}", _reader(one.name, one.type)) for one in fields(kind)}
        return {key: value for key, value in found.items() if value is not None}

    def top(self) -> dict[str, Any]:
        readers: dict[str, Callable[[Any], Any]] = {
            "strategy": _text,
            "symbols": _symbols,
            "portfolio": _text,
            "timeframe": _timeframe,
            "enable_trading": _flag,
        }
        found = {name: self._value(name, reader) for name, reader in readers.items()}
        return {name: value for name, value in found.items() if value is not None}

    def take(self, prefix: str) -> dict[str, Any]:
        keys = [key for key in self._left if key.startswith(prefix)]
        self._seen |= {key: self._left[key] for key in keys}
        return {key: self._left.pop(key).value for key in keys}

    def sizer(self) -> PositionSizer:
        values = {key.partition(".")[2]: value for key, value in self.take("position_sizer.").items()}
        if not values:
            return PercentSizer(0.1)
        try:
            return sizer_build(str(values.pop("type", "percent")), values)
        except InvalidInput as error:
            self._problem(error.field, error.detail, self._seen.get(error.field) or next(iter(self._seen.values()), None))
            return PercentSizer(0.1)

    def unknown(self) -> None:
        known = [*TOP, *(f"{section}.{one.name}" for section, kind in SECTIONS.items() for one in fields(kind))]
        for key, given in self._left.items():
            names = list(ENV_KEYS) if key.isupper() else [*known, "parameters", "position_sizer"]
            near = difflib.get_close_matches(key, names, 1)
            self._problem(key, f"is unknown{f', did you mean {near[0]}?' if near else ''}", given)

    def check(self, trading: TradingConfig) -> None:
        """The address and the mode must say the same: a configuration that says paper never reaches a live market."""
        given = self._seen.get("trading.base_url")
        url = trading.base_url.rstrip("/")
        if given is not None and not url.startswith(("http://", "https://")):
            self._problem("trading.base_url", f"{trading.base_url!r} is no http address", given)
        elif (url == LIVE_URL and trading.paper_mode) or (given is not None and url == PAPER_URL and not trading.paper_mode):
            self._problem("trading.base_url", f"{url} does not trade in {'paper' if trading.paper_mode else 'live'} mode", given)

    def _value(self, key: str, reader: Callable[[Any], Any]) -> Any:
        given = self._left.pop(key, None)
        if given is None:
            return None
        self._seen[key] = given
        try:
            return None if given.value is None else reader(given.value)
        except ValueError as error:
            self._problem(key, str(error), given)
            return None

    def _problem(self, key: str, text: str, given: Given | None) -> None:
        where = given.where if given is not None else ""
        name = given.name if given is not None and given.name and key in self._seen | self._left else key
        self.problems.append((key, f"{where + ', ' if where else ''}{name} {text}"))


def _reader(name: str, kind: Any) -> Callable[[Any], Any]:
    if name in _FRACTIONS:
        return _fraction
    if kind is bool:
        return _flag
    if kind is str:
        return _text
    return _whole if name.startswith("max_orders") else _above_zero


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError(f"was {value!r}, which is neither true nor false")


def _timeframe(value: Any) -> Timeframe:
    try:
        return timeframe_check(Timeframe.parse(str(value)))
    except InvalidInput as error:
        raise ValueError(f"was {value!r}: {error.detail}") from error


def _text(value: Any) -> str:
    if isinstance(value, bool | list | dict):
        raise ValueError(f"was {value!r}, which is no text")
    return str(value).strip()


def _symbols(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else str(value).split(",")
    symbols = tuple(str(one).strip().upper() for one in found if str(one).strip())
    if not symbols or len(set(symbols)) != len(symbols):
        raise ValueError(f"was {value!r}: symbols are named once each, and at least one")
    return symbols


def _decimal(value: Any) -> Decimal:
    try:
        number = Decimal(str(value).strip().replace("_", ""))
    except InvalidOperation:
        number = Decimal("nan")
    if isinstance(value, bool) or not number.is_finite():
        raise ValueError(f"was {value!r}, which is no number")
    return number


def _above_zero(value: Any) -> Decimal:
    number = _decimal(value)
    if number <= 0:
        raise ValueError(f"was {value}, which is not above zero")
    return number


def _fraction(value: Any) -> Decimal:
    number = _decimal(value)
    if not 0 < number < 1:
        raise ValueError(f"was {value}, which is no fraction between 0 and 1: 0.05 is 5 %")
    return number


def _whole(value: Any) -> int:
    number = _above_zero(value)
    if number != int(number):
        raise ValueError(f"was {value}, which is no whole number")
    return int(number)
