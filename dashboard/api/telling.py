"""What analyses and commands say of an error, as a caller of the API has it: no option of a function, no command, and times with their offset."""

import re
from datetime import datetime

from dashboard.formatting import SEOUL
from warehouse.analysis import AnalysisError
from warehouse.analysis.errors import NothingBeforeError
from warehouse.reading import NotKnownError

NOTHING_BEFORE = "No sales are known before this span. Ask for a later one."

_NAIVE = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?!\d|[:.+-]\d)")
"""A time of the clock in Seoul, as analyses write it."""


def told(error: Exception) -> str:
    """The message of ``error`` for a caller of the API."""
    said = str(error.args[0]) if error.args else str(error)
    if isinstance(error, NothingBeforeError):
        return NOTHING_BEFORE
    if isinstance(error, NotKnownError):
        return said.replace("onnuri incidents", "/api/v1/incidents")
    return _NAIVE.sub(_with_offset, said) if isinstance(error, AnalysisError) else said


def _with_offset(found: re.Match[str]) -> str:
    return datetime.fromisoformat(found.group()).replace(tzinfo=SEOUL).isoformat()
