"""Which strategies there are, and what can be set on them."""

import dataclasses
import inspect
from typing import Any


def strategy_names() -> list[str]:
    from apps.strategies.domain.library import STRATEGIES

    return list(STRATEGIES)


def strategy_describe(name: str) -> dict[str, Any]:
    """Name, description, warm-up in bars with the defaults, and parameters with type and default. Raises InvalidInput."""
    from apps.strategies.domain.registry import strategy_class

    kind = strategy_class(name)
    parameters = [
        {"name": field.name, "type": getattr(field.type, "__name__", str(field.type)), "default": field.default}
        for field in dataclasses.fields(kind.Parameters)
    ]
    return {"name": kind.name, "description": inspect.getdoc(kind) or "", "warmup": kind().warmup, "parameters": parameters}
