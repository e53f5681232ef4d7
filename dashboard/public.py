"""What everybody may read where the state cannot be shown: that, and nothing of the server. The reason goes to the log."""

import logging
import time

log = logging.getLogger(__name__)

TOLD_SECONDS = 60
"""The same reason stands in the log at most so often: everybody may ask, and as often as they like."""

_told: dict[str, float] = {}


def keep_reason(error: Exception) -> None:
    """Write to the log why the public status cannot be shown."""
    reason, now = f"{type(error).__name__}: {error}", time.monotonic()
    if now - _told.get(reason, -TOLD_SECONDS) >= TOLD_SECONDS:
        _told.clear()
        _told[reason] = now
        log.warning("The public status cannot be shown. %s", reason)
