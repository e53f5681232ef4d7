"""A small published folder that resembles the launch day, made by hand: what the dashboard's tests read.

Thirty markets, four weeks of history up to 2025-02-14, nothing while both old services were switched off (15 to 28 February),
then 2025-03-01: sales from midnight, failures and missing sales from 10:00 on.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import polars as pl

from warehouse.connection import open_memory

SEOUL = ZoneInfo("Asia/Seoul")
LAUNCH_DAY = date(2025, 3, 1)
ONSET = datetime(2025, 3, 1, 10, 4, tzinfo=SEOUL)
LAUNCH = "20250301T0104-nation"
EARLIER = "20250212T0400-region"
_REGIONS = ("서울특별시", "부산광역시", "대구광역시", "광주광역시", "경기도", "전북특별자치도")
_NAMES = ("가람", "나래", "다온", "라온", "마루", "바다", "새벽", "아람", "푸른", "하늘")
_MINUTE_COLUMNS = (
    "minute_at",
    "market_id",
    "channel",
    "approved",
    "approved_amount",
    "declined",
    "reversed",
    "reversed_amount",
    "failed",
    "failed_amount",
)


def publish_launch_day(
    folder: Path,
    *,
    clock: datetime = datetime(2025, 3, 1, 20, 0, tzinfo=SEOUL),
    sequence: int = 1,
    published_at: datetime | None = None,
    ended_at: datetime | None = None,
    load_reports: bool = True,
    history: bool = True,
    lost: int = 0,
    claims: Sequence[dict[str, object]] = (),
    surveys: Sequence[dict[str, object]] = (),
    exclusions: Sequence[dict[str, object]] = (),
) -> Path:
    """Publish the state that a worker would have published when the scenario's clock stood at ``clock`` (aware)."""
    folder.mkdir(parents=True, exist_ok=True)
    state = f"v{sequence}"
    markets = _markets()
    files = {"market": [_write(folder, f"market-{state}", markets, "market")]}
    past = "market_minute-history.parquet"
    if not (folder / past).exists():
        (folder / past).write_bytes(_history())
    now = _utc(clock)
    today = _launch_day().filter(pl.col("minute_at") < now)
    files["market_minute"] = [*([past] if history else []), _write(folder, f"market_minute-{state}", today, "market_minute")]
    files["load_minute"] = [_write(folder, f"load_minute-{state}", _load(now), "load_minute")] if load_reports else []
    files["failed_purchase"] = [_write(folder, f"failed_purchase-{state}", _failed_purchases(markets, now), "failed_purchase")]
    files["incident"] = [_write(folder, f"incident-{state}", _incidents(now, _utc(ended_at) if ended_at else None), "incident")]
    files["maintenance"] = [_write(folder, f"maintenance-{state}", _switch_off(), "maintenance")]
    files["exclusion"] = [_write(folder, f"exclusion-{state}", pl.DataFrame(list(exclusions)), "exclusion")] if exclusions else []
    files["claim"] = [_write(folder, f"claim-{state}", pl.DataFrame(list(claims)), "claim")] if claims else []
    files["survey"] = [_write(folder, f"survey-{state}", pl.DataFrame(list(surveys)), "survey")] if surveys else []
    files["issuer_minute"] = [_write(folder, f"issuer_minute-{state}", _issuers(today), "issuer_minute")]
    files["service_minute"] = [_write(folder, f"service_minute-{state}", _errors(today), "service_minute")]
    files["merchant_day"] = [_write(folder, f"merchant_day-{state}", _merchants(today), "merchant_day")] if len(today) else []
    watermark = clock - timedelta(minutes=1)
    manifest = {
        "sequence": sequence,
        "warehouse_id": "5f9d2c6e-test",
        "published_at": (published_at or datetime.now(UTC)).isoformat(),
        "now": clock.astimezone(UTC).isoformat(),
        "watermark": watermark.astimezone(UTC).isoformat(),
        "detected_through": watermark.astimezone(UTC).isoformat(),
        "lag": 0,
        "totals": {"accepted": 1_204_331, "duplicate": 212, "late": 35, "refused": 4, "lost": lost},
        "sources": [{"topic": "payments", "partition": 0, "next_offset": 1_204_582, "lost": lost}],
        "files": files,
    }
    waiting = folder / "manifest.json.new"
    waiting.write_text(json.dumps(manifest), encoding="utf-8")
    waiting.replace(folder / "manifest.json")
    return folder


def replace_table(folder: Path, table: str, frame: pl.DataFrame) -> None:
    """Publish ``frame``, with some or all of the table's columns, in place of what there was of a table."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][table] = [_write(folder, f"{table}-replaced", frame, table)]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def count_until(folder: Path, watermark: datetime) -> Path:
    """Let a backlog wait: what is published is complete up to ``watermark`` (aware) only."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["watermark"] = watermark.astimezone(UTC).isoformat()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def publish_incident(folder: Path, onset_at: datetime, ended_at: datetime | None, **told: object) -> Path:
    """Publish the launch day with one incident alone, detected three minutes after its onset (times aware); ``told`` are columns that differ."""
    onset, ended = _utc(onset_at), _utc(ended_at) if ended_at else None
    times = {"onset_at": onset, "detected_at": onset + timedelta(minutes=3), "last_seen_at": ended or onset, "ended_at": ended}
    row = {"incident_id": "i", "kind": "failure_rate", "scope": "nation", "scope_name": "", "peak_failure_rate": 0.5, "evidence": "{}", "version": 1}
    publish_launch_day(folder, published_at=datetime(2025, 3, 1, 20, 0, 1, tzinfo=SEOUL))
    replace_table(folder, "incident", pl.DataFrame([{**row, **times, **told}], schema_overrides=dict.fromkeys(times, pl.Datetime("us"))))
    return folder


def _markets() -> pl.DataFrame:
    rows = [
        (
            f"M{number:03d}",
            f"{_NAMES[number % 10]}{number // 10 + 1}시장",
            _REGIONS[number % 6],
            f"{number % 4 + 1}구",
            35.5 + number / 15,
            127.0 + number % 6 / 5,
            "2,7" if number == 3 else None,
            40 + 7 * number,
        )
        for number in range(30)
    ]
    return pl.DataFrame(rows, orient="row", schema=["market_id", "name", "region", "district", "latitude", "longitude", "cycle", "merchants"])


@cache
def _history() -> bytes:
    """The file of four weeks, made once for all tests of a process."""
    days = pl.concat([_market_minutes(_markets(), LAUNCH_DAY - timedelta(days=back)) for back in range(42, 14, -1)])
    with TemporaryDirectory() as folder:
        return (Path(folder) / _write(Path(folder), "history", days, "market_minute")).read_bytes()


@cache
def _tables() -> duckdb.DuckDBPyConnection:
    """A database with every table of the warehouse, empty, for all tests of a process."""
    return open_memory()


@cache
def _launch_day() -> pl.DataFrame:
    return _market_minutes(_markets(), LAUNCH_DAY)


def _market_minutes(markets: pl.DataFrame, day: date) -> pl.DataFrame:
    """One row every five minutes, market and channel with anything in it, on ``day`` (Seoul)."""
    random = np.random.default_rng(day.toordinal())
    start = _utc(datetime(day.year, day.month, day.day, tzinfo=SEOUL))
    minutes = pl.Series([start + timedelta(minutes=5 * step) for step in range(288)], dtype=pl.Datetime("us"))
    hour = np.arange(288) / 12
    rhythm = np.exp(-0.5 * ((hour - 11.5) / 2.6) ** 2) + 0.8 * np.exp(-0.5 * ((hour - 16.5) / 2.4) ** 2) + 0.01
    weekday = (1.0, 0.95, 0.97, 1.0, 1.1, 1.3, 1.15)[day.weekday()] * random.normal(1.0, 0.04)
    after_onset = (hour >= 10 + 1 / 12) if day == LAUNCH_DAY else np.zeros(288, dtype=bool)
    frames = []
    for number, market_id in enumerate(markets["market_id"]):
        for channel, share in (("card", 0.6), ("mobile", 0.4)):
            wanted = random.poisson(rhythm * weekday * share * (5 + 0.6 * number) * (1.3 if day == LAUNCH_DAY else 1.0))
            lost_share = np.where(after_onset, 0.55 + 0.03 * (number % 10), 0.004)
            failed = random.binomial(wanted * np.where(after_onset, 2, 1), lost_share)
            approved = random.binomial(wanted, 1 - lost_share)
            declined = random.binomial(approved, 0.025)
            reversed_count = random.binomial(approved, 0.004)
            frames.append(
                pl.DataFrame(
                    {
                        "minute_at": minutes,
                        "market_id": [market_id] * 288,
                        "channel": [channel] * 288,
                        "approved": approved,
                        "approved_amount": approved * random.integers(24_000, 42_000, 288),
                        "declined": declined,
                        "reversed": reversed_count,
                        "reversed_amount": reversed_count * 31_000,
                        "failed": failed,
                        "failed_amount": failed * 33_000,
                    }
                ).filter(pl.col("approved") + pl.col("failed") + pl.col("declined") > 0)
            )
    return pl.concat(frames).select(_MINUTE_COLUMNS)


def _load(now: datetime) -> pl.DataFrame:
    start = _utc(datetime(2025, 3, 1, tzinfo=SEOUL))
    minutes = [start + timedelta(minutes=step) for step in range(1440) if start + timedelta(minutes=step) < now]
    waiting = np.array([min(40_000, max(0, (step - 598) * 260)) for step in range(len(minutes))])
    zero = np.zeros(len(minutes), dtype=np.int64)
    queue = {
        "minute_at": minutes,
        "attempts": waiting // 4 + 900,
        "succeeded": np.full(len(minutes), 850),
        "failed": zero,
        "abandoned": waiting // 20,
        "queue_length": waiting,
        "wait_ms_p50": waiting * 18,
        "wait_ms_p95": waiting * 40,
    }
    reports = [pl.DataFrame(queue, schema_overrides={"minute_at": pl.Datetime("us")}).with_columns(service=pl.lit("queue"))]
    for service, attempts, succeeded in (("login", 850, 700), ("payment", 700, 420), ("registration", 60, 33)):
        counts = {
            "attempts": attempts,
            "succeeded": succeeded,
            "failed": attempts - succeeded,
            "abandoned": 0,
            "queue_length": 0,
            "wait_ms_p50": 0,
            "wait_ms_p95": 0,
        }
        reports.append(reports[0].with_columns(service=pl.lit(service), **{name: pl.lit(number, pl.Int64) for name, number in counts.items()}))
    return pl.concat(reports)


def _issuers(today: pl.DataFrame) -> pl.DataFrame:
    """The day's attempts, three quarters of them with one issuer, whose failures are all timeouts."""
    parts = []
    for issuer, share in (("가람카드", 0.75), ("나래은행", 0.25)):
        for outcome, column, code in (
            ("approved", "approved", "00"),
            ("declined", "declined", "51"),
            ("failed", "failed", "timeout" if share > 0.5 else "network"),
        ):
            counts = (pl.col(column) * share).round().cast(pl.Int64)
            whole = counts if share > 0.5 else pl.col(column) - (pl.col(column) * 0.75).round().cast(pl.Int64)
            parts.append(
                today.group_by("minute_at", "channel", maintain_order=True)
                .agg(count=whole.sum())
                .filter(pl.col("count") > 0)
                .with_columns(issuer=pl.lit(issuer), region=pl.lit("서울특별시"), outcome=pl.lit(outcome), code=pl.lit(code))
            )
    return pl.concat(parts)


def _errors(today: pl.DataFrame) -> pl.DataFrame:
    failed = today.group_by("minute_at", maintain_order=True).agg(errors=pl.col("failed").sum()).filter(pl.col("errors") > 0)
    return pl.concat(
        [failed.with_columns(service=pl.lit(service), code=pl.lit(code)) for service, code in (("payment", "timeout"), ("registration", "internal"))]
    )


def _merchants(today: pl.DataFrame) -> pl.DataFrame:
    sums = today.group_by("market_id", maintain_order=True).agg(
        approved=pl.col("approved").sum(), amount=pl.col("approved_amount").sum(), failed=pl.col("failed").sum(), failed_amount=pl.col("failed_amount").sum()
    )
    return sums.with_columns(day=pl.lit(LAUNCH_DAY), merchant_id=pl.format("{}-0001", "market_id"))


def _failed_purchases(markets: pl.DataFrame, now: datetime) -> pl.DataFrame:
    random = np.random.default_rng(31)
    onset = _utc(ONSET)
    rows = []
    for number in range(4_000):
        first = onset + timedelta(minutes=int(random.integers(0, 596)))
        last = first + timedelta(minutes=int(random.integers(0, 30)))
        amount = int(random.integers(5, 90)) * 1_000
        recovered = random.random() < 0.3
        back = last + timedelta(minutes=int(random.integers(5, 240))) if recovered else None
        known = back is not None and back < now
        if first < now:
            market_id = markets["market_id"][number % 30]
            rows.append(
                (
                    None if number % 10 == 0 else str(uuid.UUID(int=number % 3000 + 1)),
                    market_id,
                    "card" if number % 5 < 3 else "mobile",
                    first,
                    last,
                    int(random.integers(1, 6)),
                    amount,
                    back if known else None,
                    amount if known else None,
                )
            )
    names = ["user_key", "market_id", "channel", "first_failure_at", "last_failure_at", "failures", "amount", "recovered_at", "recovered_amount"]
    times = {name: pl.Datetime("us") for name in ("first_failure_at", "last_failure_at", "recovered_at")}
    return pl.DataFrame(rows, orient="row", schema=names, schema_overrides={**times, "recovered_amount": pl.Int64})


def _incidents(now: datetime, ended_at: datetime | None) -> pl.DataFrame:
    names = ["incident_id", "kind", "scope", "scope_name", "onset_at", "detected_at", "last_seen_at", "ended_at", "peak_failure_rate", "evidence", "version"]
    noon = datetime(2025, 2, 12, 4, 0)
    rows: list[tuple[object, ...]] = [
        (
            EARLIER,
            "missing_sales",
            "region",
            "부산광역시",
            noon,
            noon + timedelta(minutes=9),
            noon + timedelta(minutes=40),
            noon + timedelta(minutes=41),
            0.02,
            "{}",
            3,
        )
    ]
    onset = _utc(ONSET)
    if now > onset:
        seen = min(now - timedelta(minutes=1), ended_at or now)
        rows.append((LAUNCH, "failure_rate", "nation", "", onset, onset + timedelta(minutes=4), seen, ended_at, 0.83, "{}", 600))
    times = {name: pl.Datetime("us") for name in ("onset_at", "detected_at", "last_seen_at", "ended_at")}
    return pl.DataFrame(rows, orient="row", schema=names, schema_overrides=times)


def _switch_off() -> pl.DataFrame:
    row = ("통합 전환을 위한 서비스 중단", "payment", datetime(2025, 2, 14, 15), datetime(2025, 2, 28, 15), datetime(2025, 2, 1))
    return pl.DataFrame([row], orient="row", schema=["label", "service", "starts_at", "ends_at", "announced_at"])


def _write(folder: Path, name: str, frame: pl.DataFrame, table: str) -> str:
    """Write ``frame`` with exactly the columns of the warehouse's ``table``; returns the file's name."""
    file = f"{name}.parquet"
    connection = _tables()
    columns = ", ".join(f'"{column}"' for column in frame.columns)
    path = str(folder / file).replace("'", "''")
    connection.begin()
    try:
        connection.register("given", frame)
        connection.execute(f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM given')
        connection.execute(f"COPY \"{table}\" TO '{path}' (FORMAT parquet)")
    finally:
        connection.rollback()
    return file


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)
