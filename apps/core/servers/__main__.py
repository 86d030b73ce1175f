"""`python -m apps.core.servers status|stop`: what runs under var/, and the end of what a killed desk left there."""

import argparse
import os
import sys
from pathlib import Path

from apps.core.servers.embedded import ROOT, EmbeddedServers
from apps.core.servers.errors import ServerError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m apps.core.servers", description=__doc__)
    parser.add_argument("action", choices=["status", "stop"])
    parser.add_argument("--var", type=Path, default=ROOT / os.environ.get("DESK_VAR", "var"))
    options = parser.parse_args()
    if not options.var.is_dir():
        return 0
    servers = EmbeddedServers(options.var)
    try:
        if options.action == "stop":
            servers.stop()
        for name, server in (("postgres", servers.postgres), ("redis", servers.redis)):
            pid = server.pid()
            sys.stdout.write(f"{name} {f'running, process {pid}' if pid else 'stopped'}\n")
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
