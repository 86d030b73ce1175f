"""Returns of many symbols on the sessions of one market, from their closes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from apps.risk.domain.risk_numbers import Numbers, ReturnMatrix, matrix_of


def session_returns(ts: NDArray[np.datetime64], close: Numbers, sessions: NDArray[np.datetime64]) -> Numbers:
    """Simple returns [S - 1, N] from session to session, of closes [T, N] at `ts` [T] and `sessions` datetime64[D] [S], both ascending.

    A return needs the closes of both its sessions: it is NaN without, and no price is carried over. Closes of days that are no session
    (of a market that never closes) are passed over, so that their moves are in the next session's return.
    """
    days = ts.astype("datetime64[D]")
    at = np.searchsorted(days, sessions)
    there = at < len(days)
    there[there] = days[at[there]] == sessions[there]
    closes = np.full((len(sessions), close.shape[1]), np.nan)
    closes[there] = close[at[there]]
    return np.asarray(closes[1:] / closes[:-1] - 1)


def in_base_currency(matrix: ReturnMatrix, pairs: Mapping[str, str]) -> ReturnMatrix:
    """The matrix with the returns of foreign instruments as their holder has them, the currency's move included. `pairs` names the column of
    the rate (base currency for one of the instrument's) by symbol; a rate without a column leaves the symbol without returns.
    """
    foreign = {symbol: pair for symbol, pair in pairs.items() if symbol in matrix.columns}
    if not foreign:
        return matrix
    returns = matrix.returns.copy()
    for symbol, pair in foreign.items():
        rate = matrix.returns[:, matrix.columns[pair]] if pair in matrix.columns else np.nan
        column = matrix.columns[symbol]
        returns[:, column] = (1 + returns[:, column]) * (1 + rate) - 1
    return matrix_of(symbols=matrix.symbols, dates=matrix.dates, returns=returns)
