"""The course of an incident: its moments in order, and how it stands to the rules on reporting and recovery."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

Moment = Literal["onset", "detection", "notice", "peak", "last_seen", "end"]

RULES = (("ten", timedelta(minutes=10)), ("thirty", timedelta(minutes=30)), ("recovery", timedelta(hours=3)))
"""For services with 10,000 subscribers or more: outages of ten and thirty minutes are reported; recovery is due within three hours."""


@dataclass(frozen=True)
class Step:
    """One moment: when, and how long after the onset. ``at`` None: nobody recorded it."""

    what: Moment
    at: datetime | None
    after: timedelta | None


@dataclass(frozen=True)
class Rule:
    """One rule: until when the incident might have lasted, and whether it lasted longer."""

    name: str
    span: timedelta
    due: datetime
    exceeded: bool


def course_of(
    onset: datetime, detected: datetime | None, last_seen: datetime | None, ended: datetime | None, notices: pl.DataFrame, steps: pl.DataFrame
) -> list[Step]:
    """The moments in order of time; a notice that nobody recorded stands last. ``notices``: announced_at; ``steps``: at, inside, failure_rate."""
    announced = notices.filter(pl.col("announced_at") >= onset)["announced_at"]
    worst = steps.filter(pl.col("inside") & pl.col("failure_rate").is_not_null()).sort("failure_rate", descending=True, maintain_order=True)
    found: list[tuple[Moment, datetime | None]] = [
        ("onset", onset),
        ("detection", detected),
        ("notice", min(announced) if len(announced) else None),
        ("peak", max(worst["at"][0], onset) if len(worst) else None),
        ("end", ended) if ended else ("last_seen", last_seen),
    ]
    known = sorted(((what, at) for what, at in found if at is not None), key=lambda pair: pair[1])
    unknown: list[tuple[Moment, datetime | None]] = [("notice", None)] if found[2][1] is None else []
    return [Step(what, at, at - onset if at is not None and at > onset else None) for what, at in [*known, *unknown]]


def rules_of(onset: datetime, until: datetime) -> list[Rule]:
    """How an incident that lasted until ``until`` stands to each rule."""
    return [Rule(name, span, onset + span, until - onset > span) for name, span in RULES]
