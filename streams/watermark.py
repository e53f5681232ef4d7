"""Up to when everything has been seen. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

TIMED = ("payments", "errors", "service_load")
"""Topics whose events carry the time that the watermark follows."""


def watermark(
    partitions: Collection[tuple[str, int]],
    newest: Mapping[tuple[str, int], datetime | None],
    ended: Collection[tuple[str, int]],
    now: datetime | None,
    lateness: timedelta,
) -> datetime | None:
    """The minimum over partitions of how far each has come, less the lateness allowed. All times naive UTC.

    A partition has come to its newest event. One that has been read to its end has come to ``now``, or silence would stop the line;
    ``now`` must have been read before the ends were asked for. None while a partition has shown nothing.
    """
    reached = []
    for partition in partitions:
        if partition[0] not in TIMED:
            continue
        seen = newest.get(partition)
        if seen is not None and now is not None:
            # An event of the next minutes is plausible, but does not make them past.
            seen = min(seen, now)
        if partition in ended and now is not None:
            seen = max(seen, now) if seen else now
        if seen is None:
            return None
        reached.append(seen)
    return min(reached) - lateness if reached else None
