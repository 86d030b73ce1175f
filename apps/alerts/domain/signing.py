"""The signature of a webhook: whoever knows the route's secret can tell that the desk sent it, and when."""

import hashlib
import hmac


def signature(*, secret: str, timestamp: int, key: str, body: bytes) -> str:
    """ "v1=" and the hex HMAC-SHA256, under the secret, of "timestamp.key.body". `timestamp` is when it was sent [s since 1970, UTC]."""
    signed = f"{timestamp}.{key}.".encode() + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
