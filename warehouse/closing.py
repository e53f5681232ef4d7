"""What happens when the watermark moves: minutes close, detection runs once over each of them in order, old raw events go.

Detection's changes and the mark up to which it ran are one transaction, so that a crash neither repeats nor skips a minute. What it looks at is read, and
judged, before: nobody else changes incidents, and on a lake a transaction that takes long is broken off.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from warehouse.analysis import Usual, detect, usual_day
from warehouse.connection import frame, query_text
from warehouse.ingest import MARGIN, Writer, statement
from warehouse.merging import SEOUL
from warehouse.telling import note
from warehouse.wholes import OVER, hand_over, settle

HISTORY = timedelta(days=28)
STEP = timedelta(days=1)
OF_A_PART = timedelta(days=2)
"""So much of a part's incident is no example of ordinary sales: an issuer that is away for good would leave none, and nothing would be expected of the nation. The losses' query (``spans_without_normal_sales``) has the same for issuers."""

AT_ONCE = timedelta(hours=6)
"""So much is closed in a round where other workers' batches, and one's own, wait for it: on a lake a backlog would take minutes at once."""


class Closing:
    """Closes minutes on a writer's warehouse. Used on the database thread only; all times naive UTC unless said."""

    def __init__(self, writer: Writer, lateness: timedelta, raw_days: int) -> None:
        self.writer = writer
        self.lateness = lateness
        self.raw_days = raw_days
        self.usual: dict[date, Usual] = {}
        line = writer.line()
        self.watermark = line.watermark
        self.detected_through = line.detected_through
        self.retained_from = line.retained_from

    def close(self, watermark: datetime) -> None:
        """Raise the watermark and detect in the minutes that it closes."""
        until = watermark.replace(second=0, microsecond=0)
        if self.watermark is not None and watermark <= self.watermark:
            return
        since = self.detected_through or self._first_minute(until - timedelta(days=self.raw_days))
        if since is None or until <= since:
            with self.writer.leading():
                self.writer.connection.execute("UPDATE line SET watermark = ?", [watermark])
            self.watermark, self.detected_through = watermark, since
            return
        if self.writer.shared and until > since + AT_ONCE:
            watermark = until = since + AT_ONCE
        for low, high in _spans(since, until):
            changes = self._judged(low, high)
            mark = watermark if high == until else high
            with self.writer.leading():
                for change in changes.iter_rows(named=True):
                    self._keep(change)
                if len(changes):
                    self.writer.raise_versions("table_version", "name", ["incident"])
                self.writer.connection.execute("UPDATE line SET detected_through = $1, watermark = greatest(coalesce(watermark, $2), $2)", [high, mark])
            self.watermark, self.detected_through = max(mark, self.watermark or mark), high

    def retire(self, watermark: datetime, now: datetime) -> datetime | None:
        """Refuse what is older than the retention of raw events, hour by hour of the clock, and let such go a ``MARGIN`` later.

        ``now`` is aware; returns from when events are accepted. The watermark holds it back: what has not been read yet must still be told
        from duplicates when it comes.
        """
        horizon = (min(watermark, now.astimezone(UTC).replace(tzinfo=None)) - timedelta(days=self.raw_days)).replace(minute=0, second=0, microsecond=0)
        if self.retained_from is None or horizon > self.retained_from:
            self.writer.alone(lambda: self._delete_before(horizon - MARGIN, horizon))
            self.retained_from = horizon
        return self.retained_from

    def _delete_before(self, deleted: datetime, retained: datetime) -> None:
        run = self.writer.connection.execute
        # What is kept of a failed purchase is kept whole: what comes later of it is counted from all of it.
        run(statement("lasting_purchases"), {"deleted": deleted})
        for table in ("failed_purchase_payment", "failure"):
            run(f"DELETE FROM {table} WHERE occurred_at < ? AND (purchase_id IS NULL OR purchase_id NOT IN (SELECT purchase_id FROM lasting))", [deleted])
        for table in ("payment", "load_report"):
            run(f"DELETE FROM {table} WHERE occurred_at < ?", [deleted])
        run("DROP TABLE temp.lasting")
        run("DELETE FROM rejected WHERE rejected_at < ?", [deleted])
        run("UPDATE line SET retained_from = ?", [retained])

    def _first_minute(self, earliest: datetime) -> datetime | None:
        """Where detection begins: one event from years ago must not have it judge every day since."""
        # Fetched whole: while a result is unfinished, DuckDB refuses a relation on the same connection.
        ((first,),) = self.writer.connection.execute("SELECT min(minute_at) FROM market_minute WHERE minute_at >= ?", [earliest]).fetchall()
        return first  # type: ignore[no-any-return]

    def _judged(self, low: datetime, high: datetime) -> pl.DataFrame:
        day = (low + SEOUL).date()
        begin: dict[str, object] = {"low": datetime.combine(day, datetime.min.time()) - SEOUL, "high": high}
        connection = self.writer.connection
        minutes, issuers, services = (frame(connection, query_text(f"minutes_by_{what}"), begin) for what in ("market", "issuer", "service"))
        incidents = frame(connection, f"SELECT * FROM incident WHERE ended_at IS NULL AND kind <> 'declared' AND NOT ({OVER})")
        maintenance = frame(connection, "SELECT service, starts_at, ends_at, announced_at FROM maintenance")
        return detect(minutes, self._usual(day), incidents, since=low, until=high, maintenance=maintenance, issuers=issuers, services=services)

    def _keep(self, change: dict[str, Any]) -> None:
        run = self.writer.connection.execute
        known = run("SELECT version FROM incident WHERE incident_id = ?", [change["incident_id"]]).fetchall()
        version = known[0][0] + 1 if known else 1
        run("DELETE FROM incident WHERE incident_id = ?", [change["incident_id"]])
        row = {k: v for k, v in change.items() if k != "action"} | {"declared_by": None, "version": version}
        run(f"INSERT INTO incident ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        if change["merged_into"]:
            hand_over(self.writer.connection, change["incident_id"], change["merged_into"])
        # What others are merged into goes on with them, and ends with the last.
        whole, before, ended = settle(self.writer.connection, change["incident_id"]) or (change["incident_id"], False, True)
        itself = whole == change["incident_id"]
        note(self.writer.connection, change["incident_id"], "updated" if itself and change["action"] == "closed" and not ended else change["action"])
        if not itself and ended and not before:
            run("UPDATE incident SET version = version + 1 WHERE incident_id = ?", [whole])
            note(self.writer.connection, whole, "closed")

    def _usual(self, day: date) -> Usual:
        """What a day in Seoul is measured by, from the days before it; made once a day."""
        if day not in self.usual:
            connection = self.writer.connection
            start = datetime.combine(day, datetime.min.time()) - SEOUL
            past: dict[str, object] = {"low": start - HISTORY, "high": start}
            known = query_text("spans_without_normal_sales")
            spans = frame(connection, f"SELECT starts_at, ends_at FROM ({known}\n) WHERE reason <> 'incident' AND market_id IS NULL", {"now": start})
            incidents = frame(
                connection,
                "SELECT onset_at AS starts_at, least(greatest(onset_at, coalesce(ended_at, last_seen_at)), "
                "CASE WHEN scope <> 'nation' THEN onset_at + $most END) AS ends_at FROM incident WHERE merged_into IS NULL AND scope <> 'market'",
                {"most": OF_A_PART},
            )
            usual = usual_day(frame(connection, query_text("minutes_by_region"), past), day, exclusions=spans, incidents=incidents)
            issuers, markets = (frame(connection, query_text(what), past) for what in ("issuer_shares", "market_hours"))
            self.usual = {day: replace(usual, issuers=issuers, markets=markets)}
        return self.usual[day]


def _spans(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Cut [since, until) at midnights in Seoul: each day has its own expectation."""
    cuts = [since]
    while cuts[-1] < until:
        midnight = datetime.combine((cuts[-1] + SEOUL).date(), datetime.min.time()) + STEP - SEOUL
        cuts.append(min(midnight, until))
    return list(pairwise(cuts))
