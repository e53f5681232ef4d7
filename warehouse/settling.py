"""What workers appended to a lake is added up, so that the views over it stay short: by the leading worker, of the part that is not open.

First the open part is changed. Only transactions that began before may still append to the other one, so this conflicts with each worker once at the most,
however many there are.
"""

from dataclasses import dataclass
from typing import Protocol

import duckdb

from warehouse.merging import AGGREGATES
from warehouse.transaction import Transaction


@dataclass(frozen=True)
class Summed:
    """A table that a view adds up: rows of the same ``keys`` are one. ``unit`` of the ``time`` is what is written anew where something in it has changed."""

    keys: tuple[str, ...]
    sums: tuple[str, ...]
    time: str | None = None
    unit: str = "hour"
    least: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()

    @property
    def added(self) -> str:
        """One row for each key, and none where every sum is zero: what is selected, and how it is grouped."""
        columns = [*self.keys, *(f"min({c}) AS {c}" for c in self.least), *(f"max({c}) AS {c}" for c in self.greatest)]
        columns += [f'sum("{c}")::BIGINT AS "{c}"' for c in self.sums]
        changed = " OR ".join(f'sum("{c}") <> 0' for c in self.sums)
        return f"SELECT {', '.join(columns)} FROM {{rows}} GROUP BY ALL HAVING {changed}"


PURCHASE = (
    "purchase_id",
    "user_key",
    "market_id",
    "channel",
    "first_failure_at",
    "last_failure_at",
    "failures",
    "amount",
    "recovered_at",
    "recovered_amount",
)
SUMMED = {
    **{table: Summed(spec.keys, spec.measures, spec.time, "day" if spec.time == "day" else "hour") for table, spec in AGGREGATES.items()},
    "failed_purchase": Summed(PURCHASE, ("copies",), "first_failure_at", "day"),
    "hour_version": Summed(("hour_at",), ("version",), "hour_at", "month"),
    "table_version": Summed(("name",), ("version",)),
    "unknown_name": Summed(("kind", "name"), ("events",), least=("first_at",), greatest=("last_at",)),
}


class Leader(Protocol):
    """Who adds up: a connection to the lake, and transactions on it that are refused where another worker leads."""

    connection: duckdb.DuckDBPyConnection

    def leading(self) -> Transaction:
        """One such transaction."""


def turn(writer: Leader) -> int:
    """Have workers append to the other part from now on; returns the one that was open.

    Raises:
        NotLeadingError: another worker leads.
    """
    with writer.leading():
        (part,) = writer.connection.execute("SELECT open_part FROM leader").fetchall()[0]
        writer.connection.execute("UPDATE leader SET open_part = 1 - open_part")
    return int(part)


def settle(writer: Leader, part: int) -> int:
    """Add up what was appended to a part that is no longer open; returns how many rows that were. What is interrupted is done again later.

    Whoever does it, it is right: two at once are refused. So it leaves the leader's row alone, and does not get in the way of closing minutes.

    Raises:
        duckdb.TransactionException: a worker was still appending to it. To be tried again.
    """
    return sum(_settle(writer, table, spec, f"fresh_{part}.{table}") for table, spec in SUMMED.items())


def _settle(writer: Leader, table: str, spec: Summed, fresh: str) -> int:
    run = writer.connection.execute
    (rows,) = run(f"SELECT count(*) FROM {fresh}").fetchall()[0]
    if not rows:
        return 0
    with Transaction(writer.connection):
        where, given = "true", None
        if spec.time:
            run(f"CREATE OR REPLACE TEMP TABLE touched_span AS SELECT DISTINCT date_trunc('{spec.unit}', {spec.time}) AS span FROM {fresh}")
            low, high = run(f"SELECT min({spec.time}), max({spec.time}) FROM {fresh}").fetchall()[0]
            # The bounds are what files are passed over by.
            where = f"{spec.time} >= date_trunc('{spec.unit}', $low) AND {spec.time} < date_trunc('{spec.unit}', $high) + INTERVAL 1 {spec.unit}"
            where += f" AND date_trunc('{spec.unit}', {spec.time}) IN (SELECT span FROM touched_span)"
            given = {"low": low, "high": high}
        # No order is asked for where there is no time to order by.
        order = f" ORDER BY {spec.time}" if spec.time else ""
        run(f"CREATE OR REPLACE TEMP TABLE settling AS {spec.added.format(rows=f'(FROM settled.{table} WHERE {where} UNION ALL FROM {fresh})')}{order}", given)
        run(f"DELETE FROM settled.{table} WHERE {where}", given)
        run(f"INSERT INTO settled.{table} BY NAME FROM settling")
        run(f"DELETE FROM {fresh}")
    return int(rows)
