"""``python -m dashboard --host 127.0.0.1 --port 8501``: serve the dashboard until stopped."""

import argparse
import os

from dashboard.command import command
from dashboard.settings import DashboardSettings
from warehouse.access import AccessError


def main() -> None:
    """Become the process that serves the dashboard, so that who started this one can stop that one by the same id."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description="Serve the dashboard.", epilog="Example: python -m dashboard --port 8600")
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s, this machine only).")
    parser.add_argument("--port", type=int, default=8501, help="Port to listen on (default: %(default)s).")
    given = parser.parse_args()
    try:
        DashboardSettings.read()
    except AccessError as error:
        parser.error(str(error))
    arguments = command(given.host, given.port)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell; the arguments are our own


if __name__ == "__main__":
    main()
