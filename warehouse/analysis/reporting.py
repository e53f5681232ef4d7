"""Korean rules about outages, as facts on an incident: what must be reported, and what must have recovered by when.

A service with 10,000 subscribers or more reports an interruption or delay of 10 minutes, any other one of 30 minutes (Regulation on
Supervision of Electronic Financial Transactions, art. 73, and its detailed rules, as in force since 2025-02-05); core services are to
recover within 3 hours (the same regulation, art. 23). Whether the platform is bound by them is for its lawyers: these are
facts about the timeline, no legal advice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MANY_SUBSCRIBERS = 10_000
SOON, LATER = timedelta(minutes=10), timedelta(minutes=30)
RECOVERY = timedelta(hours=3)


@dataclass(frozen=True)
class ReportingFacts:
    """``lasted`` is from the onset to the end, or as far as is known. ``reportable_at`` is when the rule's time had passed, None while it has not.

    ``recovered_in_time`` is None while it is open and the time is not over.
    """

    lasted: timedelta
    threshold: timedelta
    reportable_at: datetime | None
    past_ten_minutes: bool
    past_thirty_minutes: bool
    recovery_due_at: datetime
    recovered_in_time: bool | None

    @property
    def reportable(self) -> bool:
        """The rule's time has passed."""
        return self.reportable_at is not None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values; naive times are UTC."""
        return {
            "lasted_minutes": round(self.lasted / timedelta(minutes=1), 1),
            "threshold_minutes": self.threshold // timedelta(minutes=1),
            "reportable": self.reportable,
            "reportable_at": _text(self.reportable_at) if self.reportable_at else None,
            "past_ten_minutes": self.past_ten_minutes,
            "past_thirty_minutes": self.past_thirty_minutes,
            "recovery_due_at": _text(self.recovery_due_at),
            "recovered_in_time": self.recovered_in_time,
        }


def reporting_facts(onset_at: datetime, ended_at: datetime | None, now: datetime, *, subscribers: int) -> ReportingFacts:
    """The facts of an incident that began at ``onset_at`` and ended at ``ended_at`` (None: it is open at ``now``). All times of one kind, naive or aware.

    Raises:
        ValueError: there are fewer subscribers than none.
    """
    if subscribers < 0:
        raise ValueError(f"subscribers: expected 0 or more, got {subscribers}.")
    lasted = max((ended_at or now) - onset_at, timedelta(0))
    threshold = SOON if subscribers >= MANY_SUBSCRIBERS else LATER
    in_time: bool | None = lasted <= RECOVERY
    if ended_at is None and in_time:
        in_time = None
    return ReportingFacts(
        lasted, threshold, onset_at + threshold if lasted >= threshold else None, lasted >= SOON, lasted >= LATER, onset_at + RECOVERY, in_time
    )


def _text(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
