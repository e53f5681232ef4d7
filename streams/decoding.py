"""A chunk of bytes becomes columns and a list of refusals; one bad record never spoils its neighbours. Pure.

Two ways give the same answer. The fast one parses the whole chunk with Polars, off the interpreter lock, and is used only where
checks on the bytes prove that it was as strict as the contract: Polars alone would read ``5`` into a text column, keep the first of
two equal keys and split a record that holds two lines. The exact one decodes record by record with msgspec. Records whose values the
fast way doubts are decoded again by the exact way, so every refusal has the same words.
"""

import hashlib
import io
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, get_args

import msgspec
import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from streams.events import MAX_COMMAND_BYTES, MAX_RECORD_BYTES, ClockTick, Command, Payment

EARLIEST_MS = 1_247_443_200_000
"""2009-07-13 UTC, when the paper Onnuri voucher began: nothing real is older. Seconds sent as milliseconds fall into 1970."""

FUTURE_MS = 600_000
"""How far an event's time may lie ahead of ``now``: ten minutes of clock skew."""


QUOTE = ord('"')


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
    """``frame`` has a column per field of the struct and ``row``, the record's place in the chunk; the rest are ``refusals``."""

    frame: pl.DataFrame
    refusals: list[Refusal]


@dataclass(frozen=True)
class Span:
    """Event times that are plausible: from ``earliest_ms``, up to ``FUTURE_MS`` after ``now_ms``; each one for all records, or one for each."""

    earliest_ms: int | Sequence[int]
    now_ms: int | Sequence[int]

    def of(self, row: int) -> tuple[int, int]:
        """The first and the last plausible event time of the record at ``row``, in epoch milliseconds."""
        return _at(self.earliest_ms, row), _at(self.now_ms, row) + FUTURE_MS

    def contains(self, column: pl.Expr) -> pl.Expr:
        """The same for a whole chunk."""
        return column.is_between(_every(self.earliest_ms), _every(self.now_ms) + FUTURE_MS)


def _at(bound: int | Sequence[int], row: int) -> int:
    return bound if isinstance(bound, int) else bound[row]


def _every(bound: int | Sequence[int]) -> pl.Expr:
    return pl.lit(bound) if isinstance(bound, int) else pl.lit(pl.Series(bound, dtype=pl.Int64)).gather(pl.col("row"))


class Layout:
    """How the records of one struct become columns."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self.struct = struct
        self.decoder = msgspec.json.Decoder(struct)
        fields = msgspec.structs.fields(struct)
        self.optional = {f.name for f in fields if not f.required}
        self.schema: dict[str, Any] = {f.name: pl.Int64 if _is_integer(f.type) else pl.String for f in fields}
        self.max_bytes = MAX_COMMAND_BYTES if struct is Command else MAX_RECORD_BYTES
        # Payloads and defaults other than None need msgspec; those topics are small.
        self.fast = all(f.required or f.default is None for f in fields) and struct not in (Command, ClockTick)
        texts = "|".join(n for n, t in self.schema.items() if t == pl.String)
        numbers = "|".join(n for n, t in self.schema.items() if t == pl.Int64)
        self.key_bytes = {name: len(name) + 3 for name in self.schema}  # with its quotes and colon
        self.keys = rf'"(?:{texts}|{numbers})"\s*:'
        self.typed = rf'"(?:{texts})"\s*:\s*"|"(?:{numbers})"\s*:\s*-?[0-9]'

    def no_key_twice(self, pairs: list[tuple[str, Any]]) -> None:
        """Refuse an object in which a field stands twice: which of the two is meant? What is ignored anyway may."""
        keys = [key for key, _ in pairs if key in self.schema or self.struct is Command]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice[:64]!r} stands twice")


def decode(values: Sequence[bytes | None], layout: Layout, span: Span) -> Decoded:
    """Decode one chunk of one topic. Never raises for what the bytes hold."""
    frame = _fast(values, layout) if layout.fast else None
    if frame is None and layout.fast:
        frame = _fast_where_sound(values, layout)
    if frame is None:
        return _exact(values, range(len(values)), layout, span)
    good = frame.filter(_sound(layout, span))
    if len(good) == len(values):
        return Decoded(_normalised(good), [])
    doubted = sorted(set(range(len(values))) - set(good["row"].to_list()))
    again = _exact(values, doubted, layout, span)
    return Decoded(pl.concat([_normalised(good), again.frame]).sort("row"), again.refusals)


def _fast(values: Sequence[bytes | None], layout: Layout) -> pl.DataFrame | None:
    # A long record is refused by the exact way.
    if not values or None in values or max(map(len, values)) > MAX_RECORD_BYTES:  # type: ignore[arg-type]
        return None
    blob = b"\n".join(values)  # type: ignore[arg-type]
    # A backslash could hide a key in an escape.
    if b"\\" in blob or blob.count(b"\n") != len(values) - 1:
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(blob), schema=layout.schema)
        text = pl.Series([blob]).cast(pl.String)
    except PolarsError:
        return None
    if len(frame) != len(values):
        return None
    if not _accounted(blob, frame, layout) and not _matched(text, frame, layout):
        return None
    return frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))


def _fast_where_sound(values: Sequence[bytes | None], layout: Layout) -> pl.DataFrame | None:
    """The same for those records of a chunk that are sound by themselves, so that some bad ones do not make all of them slow."""
    rows = [row for row, value in enumerate(values) if value is not None and _is_sound(value, layout)]
    sound: list[bytes] = [values[row] for row in rows]  # type: ignore[misc]
    if not sound:
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(b"\n".join(sound)), schema=layout.schema)
        text = pl.Series(sound, dtype=pl.Binary).cast(pl.String)
    except PolarsError:
        return None
    if len(frame) != len(sound):
        return None
    present = frame.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    known = (text.str.count_matches(layout.keys) == present) & (text.str.count_matches(layout.typed) == present)
    return frame.with_columns(pl.Series("row", rows, dtype=pl.Int64)).filter(known).select("row", *layout.schema)


def _is_sound(value: bytes, layout: Layout) -> bool:
    if len(value) > MAX_RECORD_BYTES or b"\\" in value or b"\n" in value:
        return False
    try:
        layout.decoder.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _accounted(blob: bytes, frame: pl.DataFrame, layout: Layout) -> bool:
    """Whether the values read account for every byte and every quote of the chunk, so that nothing was read otherwise than it stands there.

    A number without its quotes in a text column lacks two quotes and two bytes; each key more, known or not, brings at least two quotes and five
    bytes; so where both sums agree there is neither. Blanks are those that json.dumps writes or none; with others, and with unknown fields, this
    says no, and the slower ``_matched`` decides.
    """
    if blob.count(b"{") != len(frame) or b"[" in blob:
        return False
    filled = {name: len(frame) - nulls for name, nulls in zip(frame.columns, frame.null_count().row(0), strict=True)}
    texts = [name for name, dtype in layout.schema.items() if dtype == pl.String]
    numbers = [name for name, dtype in layout.schema.items() if dtype == pl.Int64]
    fields, separators = sum(filled.values()), sum(filled.values()) - len(frame)
    sizes = frame.select(*(pl.col(n).str.len_bytes().sum() for n in texts), *(pl.col(n).cast(pl.String).str.len_bytes().sum() for n in numbers)).row(0)
    bytes_read = sum(sizes) + sum(layout.key_bytes[name] * count for name, count in filled.items()) + 2 * sum(filled[n] for n in texts)
    bytes_read += separators + 3 * len(frame) - 1  # commas; braces and ends of lines
    quotes = 2 * fields + 2 * sum(filled[n] for n in texts)
    blanks = len(blob) - bytes_read
    if blanks:
        spaced = blob.count(b'": ') == fields and blob.count(b', "') == separators
        blanks -= fields + separators if spaced else 0
    return bool(blanks == 0 and np.count_nonzero(np.frombuffer(blob, np.uint8) == QUOTE) == quotes)


def _matched(text: pl.Series, frame: pl.DataFrame, layout: Layout) -> bool:
    """Whether there are as many known keys, each with a value of its type, in the text as were read."""
    present = len(layout.schema) * len(frame) - sum(frame.null_count().row(0))
    return bool(text.str.count_matches(layout.keys).item() == present and text.str.count_matches(layout.typed).item() == present)


def _sound(layout: Layout, span: Span) -> pl.Expr:
    """Values that need no second look: what this lets through, the exact way lets through too."""
    checks = [span.contains(pl.col("occurred_at"))]
    for name, dtype in layout.schema.items():
        column = pl.col(name)
        if dtype == pl.String:
            # Bytes >= characters, so at most 64 bytes are at most 64 characters.
            check = column.str.len_bytes().is_between(1, 64)
        elif name == "amount":
            check = column.is_between(1, 100_000_000)
        elif name == "attempt":
            check = column.is_between(1, 1_000_000)
        else:
            check = column.is_between(0, 2**53)
        checks.append(check | column.is_null() if name in layout.optional else check & column.is_not_null())
    if layout.struct is Payment:
        checks.append(pl.col("status").is_in(["approved", "declined", "reversed"]))
    return pl.all_horizontal(checks)


def _exact(values: Sequence[bytes | None], rows: Sequence[int], layout: Layout, span: Span) -> Decoded:
    accepted: list[tuple[Any, ...]] = []
    refusals: list[Refusal] = []
    for row in rows:
        record = _one(values[row], row, layout, span)
        if isinstance(record, Refusal):
            refusals.append(record)
        else:
            accepted.append((row, *(_column_value(v) for v in msgspec.structs.astuple(record))))
    frame = pl.DataFrame(accepted, schema={"row": pl.Int64, **layout.schema}, orient="row")
    return Decoded(_normalised(frame), refusals)


def _one(value: bytes | None, row: int, layout: Layout, span: Span) -> msgspec.Struct | Refusal:
    if value is None:
        return Refusal(row, "empty", "a record without a value")
    if isinstance(value, Unreadable):
        return Refusal(row, value.reason, value.detail)
    if len(value) > layout.max_bytes:
        return Refusal(row, "too_large", f"{len(value)} bytes; at most {layout.max_bytes}")
    try:
        record = layout.decoder.decode(value)
        json.loads(value, object_pairs_hook=layout.no_key_twice)
    except msgspec.ValidationError as error:
        return Refusal(row, "invalid", str(error))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Refusal(row, "malformed", str(error) or type(error).__name__)
    return _implausible(record, row, span) or record


def _implausible(record: msgspec.Struct, row: int, span: Span) -> Refusal | None:
    """What the types cannot say: when it may have occurred, and what a text may hold."""
    occurred = getattr(record, "occurred_at", None)
    if occurred is not None and not isinstance(record, Command):
        earliest, latest = span.of(row)
        if occurred < EARLIEST_MS:
            return Refusal(row, "implausible_time", f"occurred_at {occurred} is before 2009-07-13; it takes milliseconds, not seconds")
        if occurred < earliest:
            return Refusal(row, "too_old", f"occurred_at {occurred} is before {earliest}, from where single events are kept")
        if occurred > latest:
            return Refusal(row, "in_future", f"occurred_at {occurred} is more than {FUTURE_MS // 1000} s after now")
    if any("\x00" in v for v in msgspec.structs.astuple(record) if isinstance(v, str)):
        return Refusal(row, "invalid", "a text holds the character U+0000")
    return None


def _column_value(value: Any) -> Any:  # noqa: ANN401  # a field's value, of whichever type
    return unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False)) if isinstance(value, dict) else value


def _normalised(frame: pl.DataFrame) -> pl.DataFrame:
    texts = [n for n, t in frame.schema.items() if t == pl.String and n != "payload"]
    wide = [n for n in texts if (frame[n].str.len_bytes() != frame[n].str.len_chars()).any()]
    return frame.with_columns(pl.col(n).replace(_composed(frame[n])) for n in wide) if wide else frame


def _composed(column: pl.Series) -> dict[str, str]:
    return {text: unicodedata.normalize("NFC", text) for text in column.drop_nulls().unique()}


def _is_integer(annotation: Any) -> bool:  # noqa: ANN401  # whatever a struct's field is annotated with
    return annotation is int or any(_is_integer(a) for a in get_args(annotation) if isinstance(a, type) or get_args(a))
