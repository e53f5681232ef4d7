"""Whom an incident hit: buyers, attempts, hours in the queue, and those who gave up. What the platform does not send is None, never zero."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.figures.asking import ask
from warehouse.reading import Snapshot


@dataclass(frozen=True)
class People:
    """People in one incident. Amounts in KRW; ``hours_waited`` are person-hours in the queue, from the longest queue of each minute.

    ``buyers`` is None where no failed purchase names its buyer; ``purchases_without_buyer`` says how many do not. ``lost_amount`` had
    not come back by the incident's end, None where no purchase has an amount; of it ``made_up_amount`` came back later. The queue and the registration are reported for the whole nation: None for a narrower scope,
    and where the platform reports no ``service_load``.
    """

    buyers: int | None
    purchases_without_buyer: int
    attempts: int
    given_up: int
    lost_amount: int | None
    made_up_amount: int
    hours_waited: float | None
    longest_queue: int | None
    abandoned: int | None
    registrations: int | None
    registrations_blocked: int | None


def people_in(snapshot: Snapshot, start: datetime, end: datetime, *, scope: str, scope_name: str) -> People:
    """The people hit in [start, end), aware times, within a scope."""
    found = ask(snapshot, "people_in_span", start=start, end=end, scope=scope, scope_name=scope_name).row(0, named=True)
    reports = {row["service"]: row for row in ask(snapshot, "services_in_span", start=start, end=end).iter_rows(named=True)} if scope == "nation" else {}
    queue, registration = reports.get("queue"), reports.get("registration")
    return People(
        buyers=found["buyers"] or (None if found["purchases_without_buyer"] else 0),
        purchases_without_buyer=found["purchases_without_buyer"],
        attempts=found["attempts"],
        given_up=found["given_up"],
        lost_amount=found["lost_amount"],
        made_up_amount=found["made_up_amount"],
        hours_waited=queue["waited_minutes"] / 60 if queue else None,
        longest_queue=queue["queue_length"] if queue else None,
        abandoned=queue["abandoned"] if queue else None,
        registrations=registration["attempts"] if registration else None,
        registrations_blocked=registration["failed"] if registration else None,
    )
