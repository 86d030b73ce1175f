"""The one place that knows which library speaks the TWS protocol: changing to `ib_async` is a change of this module's import.

Only what reads and writes messages is used. The library's own `IB` and `Wrapper` are left out on purpose: on any error code that
they do not know they declare an order cancelled, and an order that may still trade must never be taken for dead.

Importing it needs an event loop in the importing thread, so that this module is imported by the thread which has one (`ib_line`).
"""

from ib_insync.client import Client
from ib_insync.contract import Stock
from ib_insync.objects import ExecutionFilter
from ib_insync.order import Order
from ib_insync.util import UNSET_DOUBLE, UNSET_INTEGER

__all__ = ["UNSET_DOUBLE", "UNSET_INTEGER", "Client", "ExecutionFilter", "Order", "Stock"]
