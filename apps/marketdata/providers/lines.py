"""Our own lines to vendors without a client library of their own: JSON over HTTP, and JSON over WebSocket."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from apps.core.errors import DeskError
from apps.marketdata.providers.failures import check_status, reading
from apps.marketdata.providers.protocol import BadFrames, Guard, VendorNonsense, VendorUnavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

Found = TypeVar("Found")

#: A stream that sends bigger messages than this is cut off.
LARGEST_MESSAGE = 16 * 1024 * 1024
#: So many messages may wait before the socket is not read, and so many when it is read again: a burst is normal and costs no system calls.
WAITING_MESSAGES = (1024, 256)


class JsonLine:
    """Asks a vendor over HTTP, each time through the guard, and raises whatever its answer means."""

    def __init__(self, vendor: str, address: str, guard: Guard, *, timeout_seconds: float, headers: Mapping[str, str] | None = None) -> None:
        import httpx2

        self.vendor, self.guard = vendor, guard
        self._client = httpx2.Client(base_url=address, headers=dict(headers or {}), timeout=timeout_seconds)

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Any:
        """The answer's JSON."""
        return self.guard.call(lambda: self._ask(path, dict(parameters or {})))

    def _ask(self, path: str, parameters: dict[str, str | int]) -> Any:
        import httpx2

        try:
            answer = self._client.get(path, params=parameters)
            text = answer.text
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise VendorUnavailable(f"{self.vendor} cannot be reached: {type(error).__name__}: {error}") from error
        check_status(self.vendor, answer.status_code, answer.headers, text)
        return parsed(self.vendor, text)


def parsed(vendor: str, text: str | bytes) -> Any:
    """JSON. Raises VendorNonsense for anything else, an answer that was cut off included."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise VendorNonsense(f"{vendor} sent no JSON: {error}") from error


async def connected(vendor: str, address: str, *, timeout_seconds: float) -> "ClientConnection":
    """Open a WebSocket. Raises what the vendor's refusal means, VendorUnavailable when nobody answers."""
    from websockets.asyncio.client import connect

    try:
        return await connect(address, open_timeout=timeout_seconds, max_size=LARGEST_MESSAGE, max_queue=WAITING_MESSAGES)
    except Exception as error:
        raise broken(vendor, error) from error


async def say(connection: "ClientConnection", *messages: Any) -> None:
    """Send JSON. When the vendor has closed the line already, what it said before closing is still to be read, and tells why."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed, OSError):
        for message in messages:
            await connection.send(json.dumps(message))


def broken(vendor: str, error: BaseException) -> DeskError:
    """What a WebSocket that does not open or that ends means, as one of the desk's errors."""
    from websockets.exceptions import InvalidStatus
    from websockets.legacy.exceptions import InvalidStatusCode

    if isinstance(error, DeskError):
        return error
    try:
        if isinstance(error, InvalidStatus):
            check_status(vendor, error.response.status_code, dict(error.response.headers), bytes(error.response.body or b"").decode(errors="replace"))
        elif isinstance(error, InvalidStatusCode):
            check_status(vendor, error.status_code, dict(error.headers), "the stream is not open to us")
    except DeskError as meant:
        return meant
    return VendorUnavailable(f"the stream of {vendor} is not there: {type(error).__name__}: {error}")


async def messages(vendor: str, connection: "ClientConnection", read: Callable[[Any], list[Found]], bad_frames: BadFrames) -> AsyncGenerator[Found]:
    """What `read` makes of each message, until the line breaks, which raises VendorUnavailable.

    A message that `read` cannot make sense of is counted in `bad_frames` and left out; an error that the vendor tells is raised.
    """
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            text = await connection.recv()
            for found in understood(vendor, text, read, bad_frames):
                yield found
    except (ConnectionClosed, OSError) as error:
        raise broken(vendor, error) from error
    finally:
        await connection.close()


def understood(vendor: str, text: str | bytes, read: Callable[[Any], list[Found]], bad_frames: BadFrames) -> list[Found]:
    """What `read` makes of one message of JSON; nothing, and one more bad frame, when it makes no sense."""
    try:
        with reading(vendor, "a message"):
            return read(parsed(vendor, text))
    except VendorNonsense as error:
        bad_frames.add(error.detail)
        return []
