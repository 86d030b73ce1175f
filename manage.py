#!/usr/bin/env python
"""Django's command line. With no DATABASE_URL and REDIS_URL it finds the private servers under var/, or starts them for its own time."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarttrader.settings.dev")
    from apps.core.servers import servers_for_command

    with servers_for_command(sys.argv):
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
