"""Requests to Alpaca by `alpaca-py`'s client: each is made once, ends in time, and what went wrong is told apart.

The library repeats a request after 429 by itself and waits for ever for an answer: both are switched off, because whether an order is
sent again is not the library's to say.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.core.trading import TradingMode
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable

PAPER_URL, LIVE_URL = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"
TOO_MANY, UNAUTHORISED, FIRST_SERVER_ERROR = 429, 401, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaSettings:
    """Whose account at which address. `url` without the version; the stream's address follows from it unless it is given."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    url: str
    stream: str = ""
    timeout_seconds: float = 10.0

    @property
    def stream_url(self) -> str:
        return self.stream or self.url.replace("http", "ws", 1) + "/stream"

    def __str__(self) -> str:
        return self.url


def url_of(mode: TradingMode) -> str:
    """Where accounts of a mode are."""
    return PAPER_URL if mode is TradingMode.PAPER else LIVE_URL


class Refused(Exception):
    """Alpaca's answer is no (a status of 4xx): `status` and its words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class AlpacaLine:
    """`ask` makes one request. Without the library's models, which would make floats of quantities."""

    def __init__(self, settings: AlpacaSettings) -> None:
        from alpaca.trading.client import TradingClient
        from requests.adapters import HTTPAdapter

        self.settings = settings
        self._client = TradingClient(settings.key, settings.secret, raw_data=True, url_override=settings.url)
        self._client._retry = 0

        class Bounded(HTTPAdapter):
            def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
                answer = super().send(request, **{**options, "timeout": settings.timeout_seconds})
                answer.json = lambda **_: json.loads(answer.text, parse_float=Decimal)  # type: ignore[method-assign]
                return answer

        for scheme in ("http://", "https://"):
            self._client._session.mount(scheme, Bounded(max_retries=0))

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON, None without a body.

        Raises Refused (4xx), BrokerUnreachable (it certainly did nothing: no connection, 401, 429) and BrokerTimeout (nobody knows: no answer,
        a line that broke, 5xx).
        """
        import requests
        from alpaca.common.exceptions import APIError

        try:
            return self._client._request(method, path, dict(data) if data is not None else None)
        except APIError as error:
            raise self._meant(error) from error
        except (requests.ConnectTimeout, requests.ConnectionError) as error:
            if isinstance(error, requests.ConnectTimeout) or "Failed to establish a new connection" in str(error):
                raise BrokerUnreachable(f"{self.settings} cannot be reached") from error
            raise BrokerTimeout(f"the line to {self.settings} broke before it answered") from error
        except (requests.RequestException, ValueError) as error:
            raise BrokerTimeout(f"{self.settings} did not answer: {type(error).__name__}") from error

    def close(self) -> None:
        self._client._session.close()

    def _meant(self, error: Any) -> Exception:
        status = int(error.status_code or 0)
        if status == TOO_MANY:
            return BrokerUnreachable(f"{self.settings} takes no more requests this minute")
        if status == UNAUTHORISED:
            return BrokerUnreachable(f"{self.settings} refuses the keys of the environment")
        if status >= FIRST_SERVER_ERROR or not status:
            return BrokerTimeout(f"{self.settings} failed ({status})")
        return Refused(status, _said(str(error)) or f"refused ({status})")


def _said(body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return body[:300]
    return f"{found.get('code', '')}: {found.get('message', '')}".strip(": ") if isinstance(found, dict) else body[:300]
