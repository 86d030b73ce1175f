"""The guard under libraries that speak HTTP through `requests`. Imported only by adapters that are about to use it."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from apps.marketdata.providers.failures import check_status
from apps.marketdata.providers.protocol import Guard, VendorUnavailable


class GuardedTransport(HTTPAdapter):
    """Sends each request through the guard, with a time-out, and raises what the answer means before the library sees it."""

    def __init__(self, vendor: str, guard: Guard, timeout_seconds: float) -> None:
        super().__init__(max_retries=0)
        self.vendor, self.guard, self.timeout_seconds = vendor, guard, timeout_seconds

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return self.guard.call(lambda: self._ask(request, {**kwargs, "timeout": self.timeout_seconds, "stream": False}))

    def _ask(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        try:
            answer = super().send(request, **kwargs)
            text = answer.text  # read here, so that a line that breaks in the middle is the guard's business too
        except requests.RequestException as error:
            raise VendorUnavailable(f"{self.vendor} cannot be reached: {type(error).__name__}: {error}") from error
        check_status(self.vendor, answer.status_code, answer.headers, text)
        return answer
