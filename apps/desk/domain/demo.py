"""What the demo desk consists of."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apps.desk.domain.processes import Replay

FUND = "Demo Fund"
CAPITAL = Decimal(1_000_000)
OPENED_ON = date(2008, 7, 1)

#: The live market begins here: the Friday before Lehman Brothers.
REPLAY_FROM = date(2008, 9, 12)
REPLAY = Replay(
    start=REPLAY_FROM.isoformat(),
    session_seconds=6.0,
    strategy="sma_cross",
    parameters=("fast=2", "slow=5"),
    symbols=("AAPL", "GOOG", "IBM", "MSFT"),
    portfolio=FUND,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoInstrument:
    """An instrument of the fixtures, and the file that has its bars."""

    symbol: str
    name: str
    asset_class: str
    file: str
    sector: str
    tradable: bool = True


STOCKS = "equities_daily_5stocks_raw_2000_2013.csv.gz"
INSTRUMENTS = (
    DemoInstrument(symbol="AAPL", name="Apple Inc.", asset_class="stock", file=STOCKS, sector="information_technology"),
    DemoInstrument(symbol="FB", name="Facebook, Inc.", asset_class="stock", file=STOCKS, sector="communication_services"),
    DemoInstrument(symbol="GOOG", name="Google Inc.", asset_class="stock", file=STOCKS, sector="communication_services"),
    DemoInstrument(
        symbol="IBM", name="International Business Machines Corporation", asset_class="stock", file=STOCKS, sector="information_technology"
    ),
    DemoInstrument(symbol="MSFT", name="Microsoft Corporation", asset_class="stock", file=STOCKS, sector="information_technology"),
    DemoInstrument(
        symbol="^GSPC", name="S&P 500", asset_class="index", file="index_sp500_daily_ohlcv_1999_2018.csv.gz", sector="diversified", tradable=False
    ),
    DemoInstrument(
        symbol="^IXIC",
        name="NASDAQ Composite",
        asset_class="index",
        file="index_nasdaq_daily_ohlcv_1999_2018.csv.gz",
        sector="diversified",
        tradable=False,
    ),
)
BENCHMARK = "^GSPC"

ETF_CLOSES = "etf_daily_adjclose_factor5_2014_2022.csv.gz"
STOCK_CLOSES = "equities_daily_adjclose_20stocks_1990_2022.csv.gz"
VIX_CLOSES = "vix_daily_close_2014_2019.csv"
FAMA_FRENCH = "fama_french_3factor_monthly_1926_2018.csv"

#: Instruments of which the fixtures have closes and no bars: they can be scored, not traded.
SCORED = (
    ("MTUM", "iShares MSCI USA Momentum Factor ETF", "etf", "diversified"),
    ("QUAL", "iShares MSCI USA Quality Factor ETF", "etf", "diversified"),
    ("SIZE", "iShares MSCI USA Size Factor ETF", "etf", "diversified"),
    ("USMV", "iShares MSCI USA Min Vol Factor ETF", "etf", "diversified"),
    ("VLUE", "iShares MSCI USA Value Factor ETF", "etf", "diversified"),
    ("AMD", "Advanced Micro Devices, Inc.", "stock", "information_technology"),
    ("BAC", "Bank of America Corporation", "stock", "financials"),
    ("BBY", "Best Buy Co., Inc.", "stock", "consumer_discretionary"),
    ("CVX", "Chevron Corporation", "stock", "energy"),
    ("GE", "General Electric Company", "stock", "industrials"),
    ("HD", "The Home Depot, Inc.", "stock", "consumer_discretionary"),
    ("JNJ", "Johnson & Johnson", "stock", "health_care"),
    ("JPM", "JPMorgan Chase & Co.", "stock", "financials"),
    ("KO", "The Coca-Cola Company", "stock", "consumer_staples"),
    ("LLY", "Eli Lilly and Company", "stock", "health_care"),
    ("MRK", "Merck & Co., Inc.", "stock", "health_care"),
    ("PEP", "PepsiCo, Inc.", "stock", "consumer_staples"),
    ("PFE", "Pfizer Inc.", "stock", "health_care"),
    ("PG", "The Procter & Gamble Company", "stock", "consumer_staples"),
    ("RRC", "Range Resources Corporation", "stock", "energy"),
    ("UNH", "UnitedHealth Group Incorporated", "stock", "health_care"),
    ("WMT", "Walmart Inc.", "stock", "consumer_staples"),
    ("XOM", "Exxon Mobil Corporation", "stock", "energy"),
    ("VIX", "Cboe Volatility Index", "index", "diversified"),
)
#: Stocks are scored from here on: some years before the replay are enough to look back upon.
SCORED_FROM = date(2003, 1, 2)

#: Shares bought at the open of the fund's first session.
OPENING_POSITIONS = {"AAPL": 900, "GOOG": 260, "IBM": 1_100, "MSFT": 4_500}

#: What the fund shall hold: a fraction of its value in each, near to what it buys first. The market of 2008 takes it away from there.
TARGETS = {"AAPL": Decimal("0.15"), "GOOG": Decimal("0.14"), "IBM": Decimal("0.13"), "MSFT": Decimal("0.12")}
TARGETS_REASON = "Opening targets of the demo desk"
#: A replayed session takes seconds: a proposal is looked at for longer than prices stand still.
PRICE_TOLERANCE = Decimal("0.25")

#: Kind of limit: soft level, hard level. Fractions are of the value at the last close, or of the highest value.
LIMITS: dict[str, tuple[str | None, str]] = {
    "position_size": ("15000", "20000"),
    "position_value": ("400000", "600000"),
    "total_exposure": ("1200000", "1500000"),
    "order_rate": ("60", "120"),
    "symbol_order_rate": ("30", "60"),
    "price_collar": ("0.05", "0.10"),
    "daily_loss": ("0.01", "0.08"),
    "drawdown": ("0.15", "0.40"),
    "position_share": ("0.50", "0.70"),
    "concentration": ("1.20", "1.60"),
    "sector_share": ("0.90", "1.50"),
    "leverage": ("1.50", "2.00"),
    "var": ("0.03", "0.10"),
    "expected_shortfall": ("0.05", "0.15"),
    "stress_loss": ("0.40", "0.80"),
}
#: A position that is watched more closely than the others: symbol, kind and its levels.
INSTRUMENT_LIMITS = (("GOOG", "position_share", "0.20", "0.30"),)
LIMITS_REASON = "Opening limits of the demo desk"

#: Symbol and reason of what may not be traded.
RESTRICTED = {"FB": "Not listed before its initial public offering of 2012-05-18"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBacktest:
    """A stored run that the strategy page opens with."""

    strategy: str
    symbols: tuple[str, ...]
    start: date
    end: date
    parameters: dict[str, int | float]


#: Splits of the instruments, beside their bars in `fixtures/`.
SPLITS = "corporate_actions_splits_implied_5stocks.csv"

BACKTEST_CASH = Decimal(100_000)
BACKTEST_COMMISSION = Decimal(1)
BACKTEST_SLIPPAGE_BPS = Decimal(5)
YEARS = {"start": date(2004, 9, 1), "end": date(2007, 12, 31)}  # from Google's first full month on, over Apple's split of 2005-02-28
BACKTESTS = (
    DemoBacktest(strategy="sma_cross", symbols=("AAPL", "IBM"), parameters={"fast": 20, "slow": 50}, **YEARS),
    DemoBacktest(strategy="macd", symbols=("GOOG", "MSFT"), parameters={}, **YEARS),
    DemoBacktest(strategy="momentum", symbols=("AAPL", "GOOG", "IBM", "MSFT"), parameters={}, **YEARS),
)
