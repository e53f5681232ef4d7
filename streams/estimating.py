"""Losses on the command line: of an incident or a span in the warehouse by every method, or the gross shortfall in anybody's sales file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from streams.beside import read_beside
from streams.settings import SettingError
from streams.tables import decimals, read_table
from warehouse.analysis import LossEstimate, estimate_loss
from warehouse.analysis.times import BOUNDS, SEOUL, can_be_meant
from warehouse.losses import LossAccount, account_between, estimated_window, incident_account
from warehouse.reading import open_snapshot
from warehouse.side_by_side import side_by_side
from warehouse.taking_back import TakenBack

Result = tuple[pl.DataFrame, list[str]]

SHARES = ("level", "taken_back_share", "taken_back_usual")
"""Columns of an estimate that are shares of 1."""

_WON = frozenset(("launch_low", "launch_high", "expected", "observed", "lost", "value", "low", "high", "taken_back"))
"""Columns of its tables that are amounts."""


def estimate_from_warehouse(published: Path, incident: str | None, start: str | None, end: str | None, level: float, factors: tuple[float, float]) -> Result:
    """The estimate of an incident by its id, or of a span of the published data.

    Raises:
        SettingError: neither an incident nor both ends of a span are given, or both.
        NotKnownError: there is no such incident.
    """
    if incident and (start or end):
        given = " ".join(f"{option} {text}" for option, text in (("--from", start), ("--to", end)) if text)
        raise SettingError(f"The incident {incident!r} and {given} are given. Give an incident's id, or --from and --to, not both.")
    with open_snapshot(published) as snapshot:
        if incident:
            return _account(incident_account(snapshot, incident, factors=factors, level=level))
        return _account(account_between(snapshot, _moment(start, "--from"), _moment(end, "--to"), factors=factors, level=level))


def estimate_from_file(
    sales: Path,
    start: str | None,
    end: str | None,
    level: float,
    markets: list[str] | None,
    beside: Mapping[str, Path | None],
    complete_until: str | None = None,
) -> Result:
    """The estimate of a span of a file with the columns at, market_id, sales, and optionally region and channel.

    ``markets`` are the ones hit (None: all); ``complete_until`` is when the file ends, where its last row is earlier; ``beside`` are the files that tell more: ``calendar``, ``cycles``, ``promotions``, ``exclusions``.

    Raises:
        SettingError: an end of the span is missing, or a file cannot be read.
        AnalysisError: what is in one cannot be used.
    """
    window = (_moment(start, "--from"), _moment(end, "--to"))
    sums, said = summed_up(read_table(sales, "--sales"))
    complete = None if complete_until is None else _moment(complete_until, "--complete-until")
    estimate = estimate_loss(sums, *window, markets=markets or None, level=level, complete_until=complete, **read_beside(sums, beside))
    row, warnings = _result(estimate, decimals(max(estimate.expected, estimate.observed)))
    return row, [*said, *warnings]


def summed_up(sales: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Raw payments as sums by minute, market and channel, with a sentence that says so; a file of sums stays as it is.

    A file whose rows all come the same number of times, each with the same sales, was read twice: it stays as it is too, and is refused later.
    """
    keys = [name for name in ("at", "market_id", "region", "channel") if name in sales.columns]
    if not {"at", "market_id", "sales"} <= set(sales.columns) or not sales["sales"].dtype.is_numeric() or not isinstance(sales["at"].dtype, pl.Datetime):
        return sales, []
    copies = sales.group_by([*keys, "sales"]).len()["len"]
    if len(copies) and copies.min() == copies.max() != 1:
        return sales, []
    by_minute = sales.with_columns(pl.col("at").dt.truncate("1m"))
    if not by_minute.select(keys).is_duplicated().any():
        return sales, []
    if sales["sales"].null_count() or (sales["sales"] < 0).any():
        return sales, []
    sums = by_minute.group_by(keys, maintain_order=True).agg(pl.col("sales").sum())
    return sums, [
        f"{len(sales):,} rows were summed up to {len(sums):,} by minute, market and channel. If they are not single payments, check whether some come twice."
    ]


def _account(found: LossAccount) -> Result:
    """The gross shortfall's row with net, merchants' loss and attempts, and ``methods``: every figure beside the others. Amounts are in ``currency``; every interval covers ``level``, those of ``methods`` but where they are ``ranged``; the ``source`` of a claim is who made it.

    ``taken_back`` is what was approved and taken back in the window, ``taken_back_share`` of what was approved, ``taken_back_usual`` that share in the weeks before.
    On a launch ``launch_low`` and ``launch_high`` lead, for a demand of ``demand_low`` to ``demand_high`` times an ordinary day's; ``expected`` to ``high`` hold if demand went on as before.
    """
    row, warnings = _result(found.gross)
    told, launch = side_by_side(found), found.launch
    ends = {"launch_low": launch.low, "launch_high": launch.high} if launch else dict.fromkeys(("launch_low", "launch_high"))
    demand = [
        pl.Series(name, [factor], dtype=pl.Float64)
        for name, factor in (("demand_low", launch.factor_low if launch else None), ("demand_high", launch.factor_high if launch else None))
    ]
    parts = {
        f"{figure.method}{end_of}": value
        for figure in told.figures
        if figure.method in {"net", "merchants_loss", "attempts"}
        for end_of, value in zip(("", "_low", "_high"), (figure.value, *figure.ends), strict=True)
    }
    leading, following = ([_won(name, value) for name, value in more.items()] for more in (ends, parts))
    following += _taken_back(found.taken_back)
    curve = pl.Series("launch", [launch.factors.to_dicts() if launch else None])
    sources = pl.Series("source", [figure.meaning.values.get("source") for figure in told.figures], dtype=pl.String)
    methods = pl.Series("methods", [told.table.with_columns(sources).to_dicts()])
    disagreements = pl.Series("disagreements", [[str(remark) for remark in told.disagreements]], dtype=pl.List(pl.String))
    said = [remark for figure in told.figures for remark in figure.remarks]
    every = dict.fromkeys([*(launch.warnings if launch else []), *warnings, *said, *told.disagreements])
    return row.select("from", "to", *leading, *demand, pl.exclude("from", "to")).with_columns(
        pl.lit("KRW").alias("currency"), *following, methods, disagreements, curve
    ), list(every)


def tables_for_people(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """An estimate's row as tables that fit a terminal, with the coverage that is claimed (ranges claim none); amounts of the warehouse are said to be in KRW, those of a file are in its own unit."""
    if "methods" not in frame.columns:
        return [frame]
    launch = frame["launch"].to_list()[0]
    leading = ("launch_low", "launch_high", "demand_low", "demand_high") if launch else ("expected", "observed", "lost", "low", "high")
    level = pl.when(~pl.col("ranged") & pl.col("low").is_not_null()).then(frame["level"].item()).alias("level")
    told = pl.DataFrame(frame["methods"].to_list()[0], infer_schema_length=None)
    # Of several claims the figure alone does not say whose it is.
    who = ["source"] if told["source"].count() else []
    methods = told.select("method", *who, pl.col("value", "low", "high").round().cast(pl.Int64), level)
    found = [
        frame.select("from", "to", *leading, "level"),
        methods,
        frame.select("taken_back", *SHARES[1:]),
    ]
    if launch:
        found.append(pl.DataFrame(launch).gather_every(4).with_columns(pl.col("expected", "lost", "low", "high").round().cast(pl.Int64)))
    return [table.rename({name: f"{name} (KRW)" for name in table.columns if name in _WON}) for table in found]


def _taken_back(found: TakenBack) -> list[pl.Series]:
    shares = (pl.Series(f"taken_back_{name}", [share], dtype=pl.Float64) for name, share in (("share", found.share), ("usual", found.usual)))
    return [_won("taken_back", found.amount), *shares]


def _won(name: str, amount: float | None) -> pl.Series:
    return pl.Series(name, [None if amount is None else round(amount)], dtype=pl.Int64)


def _result(estimate: LossEstimate, places: int = 0) -> Result:
    """Amounts with so many decimal ``places``; 0: whole ones, as won are."""
    start, end = (moment.astimezone(SEOUL) for moment in estimated_window(estimate))
    row = {
        "from": start.isoformat(timespec="minutes"),
        "to": end.isoformat(timespec="minutes"),
        **{name: round(getattr(estimate, name), places or None) for name in ("expected", "observed", "lost", "low", "high")},
        "level": estimate.level,
        "method": estimate.method,
        "warnings": " ".join(warning.code for warning in estimate.warnings),
    }
    return pl.DataFrame([row]), list(estimate.warnings)


def _moment(text: str | None, option: str) -> datetime:
    if text is None:
        raise SettingError(f"{option} is missing. Give an incident's id, or both --from and --to. Example: --from 2025-03-01T10:00 --to 2025-03-01T20:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"{option} is {text!r}: not a time. Example: 2025-03-01T10:00") from None
    if not can_be_meant(moment):
        raise SettingError(f"{option} is {text!r}: expected a time {BOUNDS}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=SEOUL)).astimezone(UTC)
