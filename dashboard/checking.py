"""What a form still lacks, said in its own labels: the door of the commands refuses it too, in the words of developers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dashboard.texts import Texts
from warehouse.commands import ROUNDED

NEEDED: Mapping[str, Mapping[str, str]] = {
    "incident_merged": {"into": "say.into"},
    "claim_entered": {"source": "say.source", "amount": "say.amount"},
    "survey_entered": {"label": "say.label", "low": "say.low", "substitution": "say.substitution", "high": "say.high"},
    "incident_declared": {"scope_name": "say.scope_name", "onset_at": "course.onset"},
    "span_excluded": {"label": "say.label", "starts_at": "say.starts", "ends_at": "say.ends"},
    "maintenance_announced": {"label": "say.label", "starts_at": "say.starts", "ends_at": "say.ends"},
    "withdrawn": {"said": "say.taken_back"},
    "operator_period": {"name": "say.operator", "starts_at": "say.starts"},
}
"""Fields that a kind cannot do without, with the text of each one's label."""


def lacking(kind: str, payload: Mapping[str, Any], now: datetime, texts: Texts, standing: Mapping[str, datetime] | None = None) -> str:
    """Why the form cannot be sent as it stands; empty where nothing is known against it.

    ``now`` is aware, times of the payload are ISO 8601 with an offset; ``standing`` are aware times of the incident that the payload may leave as they are.
    """
    empty = [texts(label) for name, label in NEEDED.get(kind, {}).items() if payload.get(name) in (None, "") and not _of_nation(name, payload)]
    if empty:
        return texts("say.missing", fields=", ".join(empty))
    start, end = (_time(payload, *names) for names in (("starts_at", "onset_at"), ("ends_at", "ended_at")))
    first, last = start or (standing or {}).get("onset_at"), end or (standing or {}).get("ended_at")
    if (start or end) and first and last and last <= first:
        return texts("say.not_after")
    if kind in ("incident_declared", "incident_corrected") and any(time and time > now + ROUNDED for time in (start, end)):
        return texts("say.to_come")
    if kind == "incident_corrected" and not start and not end:
        return texts("say.unchanged")
    if kind == "survey_entered" and not payload["low"] <= payload["substitution"] <= payload["high"]:
        return texts("say.not_between")
    return ""


def _of_nation(name: str, payload: Mapping[str, Any]) -> bool:
    return name == "scope_name" and payload.get("scope") == "nation"


def _time(payload: Mapping[str, Any], *names: str) -> datetime | None:
    given = next((payload[name] for name in names if payload.get(name)), None)
    return datetime.fromisoformat(given) if given else None
