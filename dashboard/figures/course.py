"""The course of an incident: its moments in order, and how it stands to the rules on reporting and recovery."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

import polars as pl

from warehouse.analysis.reporting import LATER, MANY_SUBSCRIBERS, SOON, reporting_facts

Moment = Literal["onset", "detection", "declaration", "notice", "peak", "last_seen", "end"]


@dataclass(frozen=True)
class Step:
    """One moment: when, and how long after the onset. ``at`` None: nobody recorded it. ``by``: the person who gave the time; None: it was measured."""

    what: Moment
    at: datetime | None
    after: timedelta | None
    by: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule: when its time is over, and whether the incident lasted so long."""

    name: str
    due: datetime
    exceeded: bool


def given_by(declared_by: str | None, onset_by: str | None, ended_by: str | None) -> dict[Moment, str]:
    """Who gave which moment of an incident: of one that was declared every moment that was not measured, of any other those that were corrected."""
    given: dict[Moment, str | None] = {"declaration": declared_by, "last_seen": declared_by, "onset": onset_by or declared_by, "end": ended_by or declared_by}
    return {what: by for what, by in given.items() if by}


def course_of(
    onset: datetime,
    detected: datetime | None,
    last_seen: datetime | None,
    ended: datetime | None,
    notices: pl.DataFrame,
    steps: pl.DataFrame,
    given: Mapping[Moment, str] = MappingProxyType({}),
) -> list[Step]:
    """The moments in order of time; a notice that nobody recorded stands last, and where nothing failed there is no worst rate.

    ``notices``: announced_at; ``steps``: at, inside, failure_rate; ``given``: as ``given_by`` has it.
    """
    announced = notices.filter(pl.col("announced_at") >= onset)["announced_at"]
    worst = steps.filter(pl.col("inside") & (pl.col("failure_rate") > 0)).sort("failure_rate", descending=True, maintain_order=True)
    found: list[tuple[Moment, datetime | None]] = [
        ("onset", onset),
        ("declaration" if "declaration" in given else "detection", detected),
        ("notice", min(announced) if len(announced) else None),
        ("peak", max(worst["at"][0], onset) if len(worst) else None),
        ("end", ended) if ended else ("last_seen", last_seen),
    ]
    known = sorted(((what, at) for what, at in found if at is not None), key=lambda pair: pair[1])
    unknown: list[tuple[Moment, datetime | None]] = [("notice", None)] if found[2][1] is None else []
    return [Step(what, at, at - onset if at is not None and at > onset else None, given.get(what)) for what, at in [*known, *unknown]]


def rules_of(onset: datetime, ended: datetime | None, until: datetime) -> list[Rule]:
    """How an incident stands to each rule for a service with many subscribers; ``until`` is how far an open one is known."""
    facts = reporting_facts(onset, ended, until, subscribers=MANY_SUBSCRIBERS)
    return [
        Rule("ten", onset + SOON, facts.past_ten_minutes),
        Rule("thirty", onset + LATER, facts.past_thirty_minutes),
        Rule("recovery", facts.recovery_due_at, facts.recovered_in_time is False),
    ]
