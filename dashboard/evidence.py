"""What was said from outside of one incident, with what speaks for it: claims and the survey that is used, each with its note."""

from typing import Any

from dashboard.figures.incidents import IncidentFigures
from dashboard.formatting import MISSING, day_name, percent, seoul, spanned, unbroken, won
from dashboard.texts import Texts

COLUMNS = ("what", "source", "amount", "entered", "note")
"""Of ``evidence_rows``."""


def evidence_rows(figures: IncidentFigures, texts: Texts) -> list[list[str]]:
    """A row for every claim and for the survey that is used: what it is, whose, its figure, the day on which it was entered, and the note that was entered with it.

    When a survey was entered is not kept.
    """
    claims = [_claim(row, texts) for row in figures.claims.iter_rows(named=True)]
    return claims if figures.survey is None else [*claims, _survey(figures.survey, texts)]


def _claim(row: dict[str, Any], texts: Texts) -> list[str]:
    day = day_name(seoul(row["claimed_at"]).date(), texts.language) if row["claimed_at"] else MISSING
    return [texts("methods.evidence_claim"), row["source"], unbroken(won(row["amount"], texts.language)), day, row["note"] or MISSING]


def _survey(row: dict[str, Any], texts: Texts) -> list[str]:
    share = f"{percent(row['substitution'], 0)} ({spanned(percent(row['low'], 0), percent(row['high'], 0), texts.language)})"
    return [texts("methods.evidence_survey"), row["label"], unbroken(share), MISSING, row["note"] or MISSING]
