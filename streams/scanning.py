"""A chunk's JSON straight into columns, and which of its records have to be looked at one by one. Pure.

Polars reads JSON in half the time that msgspec takes, and without the interpreter's lock. It is not as strict: of a key that stands twice it takes the
first, an unknown key and a null are passed over, and a number becomes text where text is due. But it never makes a number of anything but an integer, and it
reads no line that is not JSON. So it is given flat objects without escapes only, and what it says is held against the bytes: each has a colon for each key,
two quotation marks for each key, and two for each text.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import inspect
from numpy.typing import NDArray

Lines = Sequence[bytes | None]

NOTHING = b"{}"
"""In the place of what is not read: it lacks every field, so it is doubted."""


class Scanner:
    """For the records of one struct of integers and texts, of which those that may be missing are None by default; at most ``longest`` bytes each."""

    def __init__(self, struct: type[msgspec.Struct], longest: int) -> None:
        self.longest = longest
        self.schema: dict[str, Any] = {}
        demands = []
        info = inspect.type_info(struct)
        assert isinstance(info, inspect.StructType)
        for field in info.fields:
            self.schema[field.name], demand = _demanded(pl.col(field.name), field.type)
            demands.append(demand.fill_null(value=not field.required))
        self.met = pl.all_horizontal(demands)
        self.texts = [name for name, dtype in self.schema.items() if dtype == pl.String]

    def scan(self, values: Lines) -> tuple[pl.DataFrame, NDArray[np.bool_]] | None:
        """A column for each field, a row for each value, and which rows are doubted: all that msgspec would refuse or might read in another way.

        None where some value is no JSON at all.
        """
        lines, text, codes = self._lines(values)
        try:
            frame = pl.read_ndjson(text, schema=self.schema, ignore_errors=True)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        if len(frame) != len(values):
            return None
        met = frame.select(self.met).to_series().to_numpy()
        return frame, ~met | self._uneven(frame, lines, codes)

    def _lines(self, values: Lines) -> tuple[Sequence[bytes], bytes, NDArray[np.uint8]]:
        """The values that are read, and all of it as one text, also as numbers."""
        lines: Any = values
        if set(map(type, values)) == {bytes} and max(map(len, lines)) <= self.longest:
            text = b"\n".join(lines)
            codes = np.frombuffer(text, np.uint8)
            # A value of two lines and a blank one, which Polars passes over, would together look like two.
            if _count(codes, "\n") == len(lines) - 1 and _count(codes, "{") == len(lines) and b"[" not in text and b"\\" not in text:
                return lines, text, codes
        lines = [value if self._flat(value) else NOTHING for value in values]
        text = b"\n".join(lines)
        return lines, text, np.frombuffer(text, np.uint8)

    def _flat(self, value: bytes | None) -> bool:
        """Whether it may be read. Subclasses of bytes are values that are refused unread."""
        if value.__class__ is not bytes or len(value) > self.longest:
            return False
        return value.count(b"{") == 1 and b"[" not in value and b"\\" not in value and b"\n" not in value

    def _uneven(self, frame: pl.DataFrame, lines: Sequence[bytes], codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which lines have other numbers of colons and quotation marks than what was read of them needs.

        No line has fewer colons than fields that are filled, and no line with just as many has more quotation marks than they need. So where the sums
        agree, each line does.
        """
        filled = sum(len(column) - column.null_count() for column in frame)
        texts = sum(len(frame) - frame[name].null_count() for name in self.texts)
        if _count(codes, ":") == filled and _count(codes, '"') == 2 * (filled + texts):
            return np.zeros(len(frame), np.bool_)
        colons, marks = (in_each(lines, sign) for sign in ':"')
        fields, filled_texts = (frame.select(pl.sum_horizontal(pl.col(some).is_not_null())).to_series().to_numpy() for some in (frame.columns, self.texts))
        return np.asarray((colons != fields) | (marks != 2 * (fields + filled_texts)))


def in_each(values: Sequence[bytes], sign: str) -> NDArray[np.int64]:
    """How often a character of ASCII stands in each value, whatever else its bytes are."""
    starts = np.cumsum([0, *map(len, values)])
    found = np.flatnonzero(np.frombuffer(b"".join(values), np.uint8) == ord(sign))
    return np.diff(np.searchsorted(found, starts))


def _count(codes: NDArray[np.uint8], sign: str) -> int:
    return int(np.count_nonzero(codes == ord(sign)))


def _demanded(column: pl.Expr, kind: inspect.Type) -> tuple[Any, pl.Expr]:
    """The type of the column for a field, and what its annotation asks of it; null where it is missing."""
    if isinstance(kind, inspect.UnionType):
        kind = next(option for option in kind.types if not isinstance(option, inspect.NoneType))
    if isinstance(kind, inspect.IntType):
        return pl.Int64, column.is_between(kind.ge, kind.le)
    if isinstance(kind, inspect.LiteralType):
        return pl.String, column.is_in(list(kind.values))
    assert isinstance(kind, inspect.StrType)
    # In bytes: a text that is too long in these alone is looked at, and found honest.
    return pl.String, column.str.len_bytes().is_between(kind.min_length, kind.max_length)
