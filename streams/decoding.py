"""A chunk of bytes becomes columns and a list of refusals; one bad record never spoils its neighbours. Pure.

msgspec says what a record is, and is strict about types. Large chunks are read straight into columns, and msgspec is only asked about records that
may be something else than they seem there. Of small chunks, and of those in which many are, it decodes a few thousand records at a time, and what is left
to check is checked on whole columns. Where that gives reason to doubt a record, it is looked at by itself; so every refusal has its words.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.events import MAX_COMMAND_BYTES, MAX_RECORD_BYTES, ClockTick, Command
from streams.nesting import depth, key_twice, signs_of
from streams.scanning import Scanner, in_each

EARLIEST_MS = 1_247_443_200_000
"""2009-07-13 UTC, when the paper Onnuri voucher began: nothing real is older. Seconds sent as milliseconds fall into 1970."""

FUTURE_MS = 600_000
"""How far an event's time may lie ahead of ``now``: ten minutes of clock skew."""

SLICE = 2_000
"""Records decoded at a time: what they are made of then stays in the processor's cache until it is in columns."""

SCANNED_FROM = 1_000
"""Records from which reading a chunk straight into columns is faster."""

DOUBTED_SHARE, PAUSE = 0.1, 10
"""Where more of a chunk has to be read once more, so many chunks are not read straight into columns: it would cost more than it saves."""

DEEPEST = 100
"""Objects and lists in one another that a command may have: far more than a payload needs, and far less than Python can write down again."""

KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Keys of an object, whatever its values are: a number may be larger than Python takes."""


Doubts = NDArray[np.bool_]


@dataclass(frozen=True)
class Refusal:
    """One record that could not be read: ``row`` in its chunk, a ``reason`` to count by, and ``detail`` for a person."""

    row: int
    reason: str
    detail: str


class Unreadable(bytes):
    """A value that is refused unread, for ``reason`` and with ``detail`` for a person; ``whole`` is the length of the value that it is cut from."""

    reason: str
    detail: str
    whole: int | None
    sha256: str

    def __new__(cls, value: bytes | memoryview, reason: str, detail: str, keep: int | None = None) -> Self:
        """The value, or its first ``keep`` bytes with the length and the SHA-256 of all."""
        made = super().__new__(cls, value[:keep])
        made.reason, made.detail = reason, detail
        made.whole = None if keep is None else len(value)
        made.sha256 = "" if keep is None else hashlib.sha256(value).hexdigest()
        return made


@dataclass(frozen=True)
class Decoded:
    """``frame`` has a column per field of the struct and ``row``, the record's place in the chunk; the rest are ``refusals``.

    Commands have their bytes beside, as ``record``: what they hold may still be refused where it is applied.
    """

    frame: pl.DataFrame
    refusals: list[Refusal]


@dataclass(frozen=True)
class Span:
    """Event times that are plausible: from ``earliest_ms``, up to ``FUTURE_MS`` after ``now_ms``; each one for all records, or one for each."""

    earliest_ms: int | NDArray[np.int64]
    now_ms: int | NDArray[np.int64]

    def of(self, row: int) -> tuple[int, int]:
        """The first and the last plausible event time of the record at ``row``, in epoch milliseconds."""
        return _at(self.earliest_ms, row), _at(self.now_ms, row) + FUTURE_MS

    def at(self, rows: NDArray[np.int64]) -> "Span":
        """The same for these records alone."""
        return Span(*(bound if isinstance(bound, int) else bound[rows] for bound in (self.earliest_ms, self.now_ms)))

    def contains(self, column: pl.Expr) -> pl.Expr:
        """The same for a whole chunk."""
        return column.is_between(_every(self.earliest_ms), _every(self.now_ms) + FUTURE_MS)


def _at(bound: int | NDArray[np.int64], row: int) -> int:
    return bound if isinstance(bound, int) else int(bound[row])


def _every(bound: int | NDArray[np.int64]) -> pl.Expr:
    return pl.lit(bound) if isinstance(bound, int) else pl.lit(pl.Series(bound)).gather(pl.col("row"))


class Layout:
    """How the records of one struct become columns; chunks of ``scanned_from`` records and more straight away."""

    def __init__(self, struct: type[msgspec.Struct], scanned_from: int = SCANNED_FROM) -> None:
        self.struct = struct
        self.decoder = msgspec.json.Decoder(struct)
        fields = msgspec.structs.fields(struct)
        self.schema: dict[str, Any] = {f.name: pl.Int64 if _is_integer(f.type) else pl.String for f in fields}
        # Fields with another default than None cannot be told from fields that were sent, and payloads have keys of their own; those topics are small.
        self.countable = struct not in (Command, ClockTick) and all(f.required or f.default is None for f in fields)
        self.max_bytes = MAX_COMMAND_BYTES if struct is Command else MAX_RECORD_BYTES
        self.scanner = Scanner(struct, self.max_bytes) if self.countable else None
        self.scanned_from = scanned_from
        self.pause = 0
        """Chunks that are not scanned, because it did not pay."""

    def scan(self, values: Sequence[bytes | None]) -> tuple[pl.DataFrame, Doubts] | None:
        """As the scanner's; None also where it is not worth it."""
        if self.scanner is None or len(values) < self.scanned_from:
            return None
        if self.pause:
            self.pause -= 1
            return None
        found = self.scanner.scan(values)
        if found is None or np.count_nonzero(found[1]) > DOUBTED_SHARE * len(values):
            self.pause = PAUSE
            return None
        return found

    def read(self, value: bytes) -> msgspec.Struct:
        """The record.

        Raises:
            msgspec.ValidationError: something in it is not of its type.
            msgspec.DecodeError, ValueError: it is no JSON, or a key stands twice: which of the two is meant? What is ignored anyway may.
            RecursionError: it is nested so deep that Python does not read it.
        """
        record: msgspec.Struct = self.decoder.decode(value)
        text = value.decode()  # what is ignored is UTF-8 too
        if self.struct is not Command and _has_each_key_once(value):
            return record
        signs = signs_of(text)
        if self.struct is Command and depth(signs) > DEEPEST:
            raise ValueError(f"objects and lists are nested more than {DEEPEST} deep")
        if (twice := key_twice(signs, None if self.struct is Command else self.schema)) is not None:
            raise ValueError(f"the key {twice[:64]!r} stands twice")
        return record


def _has_each_key_once(value: bytes) -> bool:
    """Whether all colons of an object are those of its different keys and of what these hold; a colon in a key only makes it doubted."""
    held = KEYS.decode(value)
    more = value.count(b":") - len(held)
    return more == 0 or more == sum(bytes(part).count(b":") for part in held.values())


def decode(values: Sequence[bytes | None], layout: Layout, span: Span) -> Decoded:
    """Decode one chunk of one topic. Never raises for what the bytes hold."""
    scanned = layout.scan(values)
    if scanned is None:
        decoded = _decode(values, layout, span)
        if layout.struct is not Command:
            return decoded
        records = pl.Series("record", [values[row] for row in decoded.frame["row"]], dtype=pl.Binary)
        return replace(decoded, frame=decoded.frame.with_columns(records))
    frame = scanned[0].insert_column(0, pl.int_range(len(values), eager=True).alias("row"))
    implausible, wide = _checked(frame, None, layout, span)
    doubted = implausible | pl.Series(scanned[1])
    rows = frame["row"].filter(doubted)
    if not len(rows):
        return Decoded(_composed(frame, wide), [])
    again = _decode([values[row] for row in rows], layout, span.at(rows.to_numpy()))
    refusals = [replace(refusal, row=rows[refusal.row]) for refusal in again.refusals]
    parts = [_composed(frame.filter(~doubted), wide), again.frame.with_columns(rows.gather(again.frame["row"]))]
    return Decoded(pl.concat(parts).sort("row"), refusals)


def _decode(values: Sequence[bytes | None], layout: Layout, span: Span) -> Decoded:
    """The same by msgspec alone."""
    rows: list[int] = []
    refusals: list[Refusal] = []
    slices = (_records(values, first, layout, span, rows, refusals) for first in range(0, len(values), SLICE))
    parts = [_columns(records, layout) for records in slices if records]
    if not parts:
        return Decoded(pl.DataFrame(schema={"row": pl.Int64, **layout.schema}), refusals)
    frame = pl.concat(parts).insert_column(0, pl.Series("row", rows, dtype=pl.Int64))
    read: Any = [values[row] for row in rows] if refusals else values
    doubted, wide = _checked(frame, read, layout, span)
    bad = [found for row in frame["row"].filter(doubted) if isinstance(found := _one(values[row], row, layout, span), Refusal)]
    if bad:
        frame = frame.filter(~pl.col("row").is_in([refusal.row for refusal in bad]))
        refusals = sorted(refusals + bad, key=lambda refusal: refusal.row)
    return Decoded(_composed(frame, wide), refusals)


def _records(values: Sequence[bytes | None], first: int, layout: Layout, span: Span, rows: list[int], refusals: list[Refusal]) -> list[msgspec.Struct]:
    """What the type system accepts of one slice; adds to the chunk's ``rows`` and ``refusals``."""
    read, longest = layout.decoder.decode, layout.max_bytes
    records = []
    for row, value in enumerate(values[first : first + SLICE], first):
        # A subclass is refused unread.
        if layout.countable and value.__class__ is bytes and len(value) <= longest:
            try:
                records.append(read(value))
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
            else:
                rows.append(row)
                continue
        found = _one(value, row, layout, span)
        if isinstance(found, Refusal):
            refusals.append(found)
        else:
            records.append(found)
            rows.append(row)
    return records


def _columns(records: list[msgspec.Struct], layout: Layout) -> pl.DataFrame:
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    if layout.struct is Command:
        columns = (map(_column_value, column) for column in columns)  # type: ignore[assignment]
    return pl.DataFrame([pl.Series(name, list(column), dtype=dtype) for (name, dtype), column in zip(layout.schema.items(), columns, strict=False)])


def _checked(frame: pl.DataFrame, values: Sequence[bytes] | None, layout: Layout, span: Span) -> tuple[pl.Series, list[str]]:
    """Which of the records in ``frame``, made of these values, need a look by themselves, as a mask; and which columns hold more than ASCII.

    Without values, it is only about times.

    No key stands twice where an object has as many colons as it has fields filled, for each key brings one. An unknown field, a null and a colon
    in a text bring more; those records are honest and only take longer.
    """
    texts = [name for name, dtype in layout.schema.items() if dtype == pl.String and name != "payload"]
    wide = {name: pl.col(name).str.len_bytes().sum() > pl.col(name).str.len_chars().sum() for name in texts}
    # Others than these were looked at by themselves.
    doubted = pl.lit(value=False)
    if layout.countable:
        at = pl.col("occurred_at")
        doubted = (~span.contains(at) | (at < EARLIEST_MS)).fill_null(value=True)
        if values is not None:
            # Of bytes: what was skipped, as in an unknown field, need not be UTF-8.
            filled = pl.sum_horizontal(pl.col(name).is_not_null() for name in layout.schema)
            doubted |= pl.lit(pl.Series(in_each(values, ":"))) != filled
            doubted |= pl.lit(pl.Series([rb"\u0000" in value for value in values], dtype=pl.Boolean))
    # One pass over all of it: live chunks are small, and each call of Polars costs more than they do.
    found = frame.select(pl.col("row"), doubted=doubted, **wide)
    return found["doubted"], [name for name in texts if found[name][0]]


def _one(value: bytes | None, row: int, layout: Layout, span: Span) -> msgspec.Struct | Refusal:
    if value is None:
        return Refusal(row, "empty", "a record without a value")
    if isinstance(value, Unreadable):
        return Refusal(row, value.reason, value.detail)
    if len(value) > layout.max_bytes:
        return Refusal(row, "too_large", f"{len(value)} bytes; at most {layout.max_bytes}")
    try:
        record = layout.read(value)
    except msgspec.ValidationError as error:
        return Refusal(row, "invalid", str(error))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Refusal(row, "malformed", "objects and lists are nested too deep" if isinstance(error, RecursionError) else str(error))
    return _implausible(record, row, span) or record


def _implausible(record: msgspec.Struct, row: int, span: Span) -> Refusal | None:
    """What the types cannot say: when it may have occurred, and what a text may hold."""
    occurred = getattr(record, "occurred_at", None)
    if occurred is not None:
        earliest, latest = span.of(row)
        if occurred < EARLIEST_MS:
            return Refusal(row, "implausible_time", f"occurred_at {occurred} is before 2009-07-13; it takes milliseconds, not seconds")
        # What people said is kept for ever, and single events need not be told from it.
        if occurred < earliest and not isinstance(record, Command):
            return Refusal(row, "too_old", f"occurred_at {occurred} is before {earliest}, from where single events are kept")
        if occurred > latest:
            return Refusal(row, "in_future", f"occurred_at {occurred} is more than {FUTURE_MS // 1000} s after {latest - FUTURE_MS}, when it was sent")
    if any("\x00" in v for v in msgspec.structs.astuple(record) if isinstance(v, str)):
        return Refusal(row, "invalid", "a text holds the character U+0000")
    return None


def _column_value(value: Any) -> Any:  # noqa: ANN401  # a field's value, of whichever type
    return unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False)) if isinstance(value, dict) else value


def _composed(frame: pl.DataFrame, wide: Sequence[str]) -> pl.DataFrame:
    """The frame with the texts of these columns in NFC."""
    for name in wide:
        texts = {text: unicodedata.normalize("NFC", text) for text in frame[name].drop_nulls().unique()}
        if any(text != composed for text, composed in texts.items()):
            frame.replace_column(frame.columns.index(name), frame[name].replace(texts))
    return frame


def _is_integer(annotation: Any) -> bool:  # noqa: ANN401  # whatever a struct's field is annotated with
    return annotation is int or any(_is_integer(a) for a in get_args(annotation) if isinstance(a, type) or get_args(a))
