"""Forecast, capacity and comparison on the command line: from the warehouse, or from anybody's files."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from streams.beside import read_beside
from streams.estimating import summed_up
from streams.output import of_seoul
from streams.settings import SettingError
from streams.tables import decimals, read_table
from warehouse.ahead import ahead, demand_ahead, headroom_ahead, notices_today
from warehouse.analysis.forecast import Forecast, forecast
from warehouse.analysis.gate import read_gate
from warehouse.analysis.load_test import capacity_by_test
from warehouse.analysis.times import BOUNDS, DAY, SEOUL, can_be_meant, minutes_of, moment_of
from warehouse.comparing import MOST_WINDOWS, compared, gate_judged, operator_spans
from warehouse.reading import Snapshot, open_snapshot

Named = tuple[str, datetime, datetime]


def forecast_from_warehouse(published: Path, days: int, by: str, what: str, step: str) -> tuple[pl.DataFrame, list[str]]:
    """``sales``, ``attempts`` or ``peaks`` (attempts in the busiest minute) by ``step`` hour or day.

    Raises:
        AnalysisError: the history does not suffice.
        SettingError: busiest minutes were asked for of parts.
    """
    with open_snapshot(published) as snapshot:
        if what == "peaks":
            if by != "nation":
                raise SettingError(f"--what peaks is of the nation, got --by {by}. Leave --by out.")
            found = ahead(snapshot, days=days)
            return _whole(found.peaks), [str(remark) for remark in found.warnings]
        frame, said = _stepped(demand_ahead(snapshot, days=days, by=by, what=what), step)
        return _whole(frame), said


def forecast_from_file(
    sales: Path, days: int, by: str, step: str, *, as_of: datetime | None, beside: Mapping[str, Path | None]
) -> tuple[pl.DataFrame, list[str]]:
    """The same of a file with ``at``, ``sales``, and for parts ``region`` and ``market_id``; by default from the day after its last row on, or from the day of that row where it breaks off.

    ``beside`` are the files that tell more: ``calendar``, ``cycles``, ``promotions``, ``feasts``.

    Raises:
        SettingError: a file cannot be read, or the first day forecast cannot be meant.
        AnalysisError: it cannot be used.
    """
    if as_of is not None and not can_be_meant(as_of):
        raise SettingError(f"--as-of is {as_of.date()}: expected a day {BOUNDS}")
    sums, said = summed_up(read_table(sales, "--sales"))
    if as_of is None:
        if "at" not in sums.columns or not len(sums) or not sums["at"].dtype.is_temporal():
            raise SettingError(f"--sales {sales}: expected a column 'at' with times, such as 2025-03-01T10:00. Columns: {', '.join(sums.columns)}.")
        last, broken_off = _last_day(sums["at"])
        if not can_be_meant(last):
            raise SettingError(f"--sales {sales}: its last row is of {last.date()}: expected times {BOUNDS}")
        as_of = last.replace(hour=0, minute=0) + timedelta(days=0 if broken_off else 1)
        if broken_off:
            said = [
                *said,
                f"{last:%Y-%m-%d} breaks off at {last:%H:%M}: it is forecast, and not learnt from. If it is whole, say --as-of {last + timedelta(days=1):%Y-%m-%d}.",
            ]
    found = forecast(sums, as_of=as_of, days=days, by=by, **read_beside(sums, beside))
    frame, warnings = _stepped(found, step)
    return _whole(frame, decimals(float(frame.select(pl.col("q50").max()).item() or 0))), [*said, *warnings]


def _last_day(at: pl.Series) -> tuple[datetime, bool]:
    """The last time, naive, in Seoul; and whether its day breaks off: more than an hour before three quarters of the others had ended."""
    minutes = minutes_of(at, "--sales: at")
    ends = pl.DataFrame({"minute": minutes}).group_by(pl.col("minute") // DAY).agg(ended=(pl.col("minute") % DAY).max()).sort("minute")["ended"]
    usual = ends[:-1].quantile(0.25, "lower")
    return moment_of(int(minutes.max())), usual is not None and usual - ends[-1] > 60


def capacity_from_warehouse(published: Path, service: str, test: Path | None, days: int) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """The capacity as a row, the headroom of each holiday ahead, and what is to be said of both. Raises as ``headroom_ahead``."""
    tested = capacity_by_test(read_table(test, "--load-test"), service) if test else None
    with open_snapshot(published) as snapshot:
        room, known = headroom_ahead(snapshot, service, tested, days=days)
        given = notices_today(snapshot, room.capacity.proven, service) if room.capacity.proven else []
    found = room.capacity
    row = pl.DataFrame(
        [
            {
                "service": service,
                "proven": found.proven,
                "knee": found.knee,
                "low": found.low,
                "high": found.high,
                "carried": found.carried,
                "method": found.method,
                "evidence": found.evidence,
            }
        ]
    )
    said, worst = [str(remark) for remark in known.warnings], room.tightest
    if worst["needed"] is None:
        said.insert(0, f"산출 불가 · What {service} needs cannot be said: it reported no load in the last weeks.")
    elif found.proven is None:
        said.insert(
            0,
            "검증된 용량 없음 · No proven capacity: neither minutes under load nor a load test. Only what is needed is told. Give a load test with --load-test FILE.",
        )
    elif worst["factor"] > 1:
        said.insert(0, f"Too small: capacity must grow by a factor of {worst['factor']:.2f} before {worst['before'] or worst['first']} ({worst['name']}).")
    if worst["probability"] is not None:
        said.append(
            "probability: that the worst single day of the row passes the capacity, not that any of its days does. expected_loss: the sum over its days."
        )
    said += [
        f"Warning of {notice.at:%Y-%m-%d %H:%M}: {notice.expected:.0f} requests a minute expected by {notice.expected_at:%H:%M}, {notice.capacity:.0f} are proven."
        for notice in given
    ]
    return row, room.table, said


def compare_in_warehouse(published: Path, first: str, second: str, gate: Path | None, *, losses: bool) -> tuple[pl.DataFrame, pl.DataFrame | None, list[str]]:
    """Two operators by name, or spans as ``2025-01-01/2025-02-01``; and the criteria of a launch from a file.

    Raises:
        SettingError: a name is not known, or a span cannot be read.
        AnalysisError: they cannot be compared.
    """
    criteria = read_gate(gate) if gate else None
    with open_snapshot(published) as snapshot:
        spans = [_span(snapshot, text, option) for text, option in ((first, "--first"), (second, "--second"))]
        found = compared(snapshot, *spans, losses=losses)
        said = [
            f"Alike in kind of day and load: {found.covered[0]:.0%} of the first's attempts, {found.covered[1]:.0%} of the second's. The rest is in no figure of failure_rate_alike.",
            "Number, minutes and times of incidents, availability and losses are of the nation's incidents; those of a region, a channel or another part are in none.",
        ]
        which = " and ".join(name for name, launched in zip(("the first", "the second"), found.on_launch, strict=True) if launched)
        if which:
            said.append(
                f"loss_per_million of {which} is in part of a launch, whose demand nobody knows: it holds only if demand went on as before, so no difference is given. Its range: onnuri estimate INCIDENT"
            )
        if any(found.left_out):
            said.append(
                f"Losses hold the {MOST_WINDOWS} longest times of incidents of each span: {found.left_out[0]} of the first and {found.left_out[1]} of the second are left out."
            )
        return found.table, gate_judged(snapshot, criteria) if criteria else None, said


def for_people(table: pl.DataFrame) -> pl.DataFrame:
    """A comparison with its intervals in brackets, so that it fits a terminal."""

    def worded(value: float | None, low: float | None, high: float | None) -> str:
        if value is None:
            return ""
        return f"{value:,.4g}" if low is None or high is None else f"{value:,.4g} ({low:,.4g} to {high:,.4g})"

    return pl.DataFrame(
        [
            {
                "measure": row["measure"],
                "first": worded(row["first"], row["first_low"], row["first_high"]),
                "second": worded(row["second"], row["second_low"], row["second_high"]),
                "difference": worded(row["difference"], row["low"], row["high"]),
                "why": row["why"],
            }
            for row in table.iter_rows(named=True)
        ]
    )


def _span(snapshot: Snapshot, text: str, option: str) -> Named:
    known = {name: (name, start, end) for name, start, end in operator_spans(snapshot)}
    if text in known:
        return known[text]
    try:
        low, high = (datetime.fromisoformat(part) for part in text.split("/"))
    except ValueError:
        names = ", ".join(known) or "none; say one with: onnuri say operator_period"
        raise SettingError(f"{option} is {text!r}: expected an operator or a span such as 2025-01-01/2025-02-01. Operators: {names}.") from None
    if not all(map(can_be_meant, (low, high))):
        raise SettingError(f"{option} is {text!r}: expected times {BOUNDS}")
    start, end = ((moment if moment.tzinfo else moment.replace(tzinfo=SEOUL)).astimezone(UTC) for moment in (low, high))
    return text, start, end


def _stepped(found: Forecast, step: str) -> tuple[pl.DataFrame, list[str]]:
    return of_seoul(found.hours) if step == "hour" else found.days, [str(remark) for remark in found.warnings]


def _whole(frame: pl.DataFrame, places: int = 0) -> pl.DataFrame:
    quantiles = pl.col("^q.*$").round(places)
    return frame.with_columns(quantiles if places else quantiles.cast(pl.Int64))
