"""What an analysis refuses, each with a hint at what to do."""

from collections.abc import Iterable
from difflib import get_close_matches

import polars as pl


class AnalysisError(ValueError):
    """What was asked cannot be answered; the message says what was expected, what came, what to do."""


class FrameError(AnalysisError):
    """A frame lacks a column, or a column holds what it may not."""


class HistoryError(AnalysisError):
    """There is nothing to learn from: no ordinary day before ``as_of``."""


class NothingBeforeError(HistoryError):
    """No sales at all are known before what was asked about."""


class LongWindowError(AnalysisError):
    """The window is so long that the days before it tell nothing of its end."""


def need_columns(frame: pl.DataFrame, what: str, columns: Iterable[str]) -> None:
    """Check that ``frame`` is a Polars frame and has the columns.

    Raises:
        FrameError: it is no frame, or a column is missing; near names are suggested.
    """
    if not isinstance(frame, pl.DataFrame):
        raise FrameError(f"{what}: expected a Polars DataFrame, got {type(frame).__name__}.")
    for column in columns:
        if column not in frame.columns:
            near = get_close_matches(column, frame.columns, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}? Rename it." if near else f"It has: {', '.join(frame.columns) or 'no columns'}."
            raise FrameError(f"{what}: expected a column {column!r}, got none. {hint}")
