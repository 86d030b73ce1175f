"""HTTP by ASGI for views that are synchronous: one request, one thread, from the first middleware to the last.

Django's own handler goes back to the event loop between a middleware that can be asynchronous and one that cannot: with the desk's
middleware that made a dozen changes of thread per request, each of which waits for its turn on a busy machine. It also starts a thread,
and with it a new set-up of the database connection, for each request; here a few threads stay.
"""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, cast

from asgiref.sync import ThreadSensitiveContext
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

#: Requests at work at the same time; further ones wait. Not fewer than the database's connections, so that no slow page keeps one idle.
THREADS = 32


class ThreadedHandler(ASGIHandler):
    """`ASGIHandler` with its middleware loaded for threads."""

    def __init__(self) -> None:
        super(ASGIHandler, self).__init__()
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request. It is worked off to its end also when the client has gone away: an order is not half an order."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._in_thread(partial(self._respond, scope, body))
        if not response.streaming:
            await self.send_response(response, send)
            return
        try:
            async with ThreadSensitiveContext():  # a thread of its own for what it reads
                await self.send_response(response, send)
        finally:
            await self._in_thread(response.close)

    async def _in_thread(self, work: Any) -> Any:
        running = asyncio.get_running_loop().run_in_executor(self._threads, contextvars.copy_context().run, work)
        return await asyncio.shield(running)

    def _respond(self, scope: dict[str, Any], body: IO[bytes]) -> HttpResponseBase:
        """The response, with everything given back that it needed, the database connection too. One that streams needs it until it is sent."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refused = self.create_request(scope, body)
        response = cast("HttpResponseBase", refused if request is None else self.get_response(request))
        vars(response)["_handler_class"] = self.__class__  # who sends request_finished
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            response.close()
        return response
