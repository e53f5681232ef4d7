"""Counts by scope as streams of one array: the nation, its regions, channels and issuers, the services; planned minutes taken out."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from warehouse.analysis.budget import alarms_at
from warehouse.analysis.changes import EPOCH, Open, minute_of_utc, naive
from warehouse.analysis.counts import Cells
from warehouse.analysis.errors import need_columns
from warehouse.analysis.evidence import BEYOND_WEATHER, Counts
from warehouse.analysis.panel import Array, Codes, Mask

PAID = ("attempts", "failed", "approved")


@dataclass(frozen=True)
class Grid:
    """Steps of one call: step i begins at minute ``first`` + i x ``step``. ``begin`` [i] is where what is known at i begins; ``planned`` [i] is maintenance."""

    first: int
    step: int
    begin: Codes
    planned: Mask

    def index(self, minute: int) -> int:
        """The step that holds a minute."""
        return (minute - self.first) // self.step

    def minute(self, index: int) -> int:
        """The minute at which a step begins."""
        return self.first + index * self.step


class Scopes:
    """Streams made of coded rows. ``names`` [stream] is (scope, name), the nation first.

    ``paid`` has attempts by region and channel (and market), ``by_issuer`` by issuer too, ``wanted`` what is expected by region and channel,
    ``shares`` [channel, issuer] how a channel's sales are shared out, ``errors`` attempts and failures [service, step].
    """

    def __init__(
        self,
        grid: Grid,
        names: dict[str, list[str]],
        paid: Cells,
        wanted: Cells,
        by_issuer: Cells | None = None,
        shares: Array | None = None,
        services: dict[str, tuple[Array, Array]] | None = None,
    ) -> None:
        self.grid, self.axes = grid, {axis: found for axis, found in names.items() if axis not in ("issuer", "market_id")}
        self.paid, self.wanted, self.by_issuer, self.shares = paid, wanted, by_issuer, shares
        self.issuers = names.get("issuer", []) if by_issuer is not None else []
        self.services = services or {}
        self.all_names = names
        streams = [(axis, name) for axis in self.axes for name in names[axis]]
        self.names = [("nation", ""), *streams, *(("issuer", n) for n in self.issuers), *(("service", n) for n in self.services)]
        # sums of multiples of 2^-20 are exact, whatever their order
        self.wanted.figures["expected"] = np.round(self.wanted.figures["expected"] * 2.0**20) / 2.0**20
        self.alarm = alarms_at(self.names, grid.step)
        self.part = np.array([scope not in ("nation", "service") for scope, _ in self.names])
        self.beyond = np.array([[BEYOND_WEATHER if scope == "region" else 0.0] for scope, _ in self.names])
        self.ordinary = self.without([])

    def without(self, known: list[Open]) -> Counts:
        """The streams of what no known incident covers."""
        length, covered = len(self.grid.planned), {(one.scope, one.scope_name) for one in known}
        blocked = {axis: np.array([(axis, name) in covered for name in found], dtype=bool) for axis, found in self.all_names.items()}

        def free(cells: Cells) -> Mask:
            keep: Mask = ~self.grid.planned[cells.at]
            for axis, codes in cells.axes.items():
                if axis in self.axes and blocked[axis].any():
                    keep &= ~blocked[axis][codes]
            return keep

        figures = {name: self._sums(self.paid, name, free(self.paid)) for name in PAID}
        wanted = self._sums(self.wanted, "expected", free(self.wanted))
        if self.by_issuer is not None:
            open_to, count = free(self.by_issuer), len(self.issuers)
            if blocked["issuer"].any():
                gone = open_to & blocked["issuer"][self.by_issuer.axes["issuer"]]
                figures = {name: np.maximum(sums - self._sums(self.by_issuer, name, gone), 0.0) for name, sums in figures.items()}
                open_to &= ~gone
            own = {name: self.by_issuer.within("issuer", count, length, name, open_to) for name in PAID}
            of_channel = self.wanted.within("channel", len(self.axes["channel"]), length, "expected", free(self.wanted))
            shares = np.zeros((len(of_channel), count)) if self.shares is None else self.shares
            lost = of_channel.T @ (shares * blocked["issuer"]).sum(axis=1)
            wanted = wanted * (1 - np.divide(lost, wanted[0], out=np.zeros(length), where=wanted[0] > 0))
            figures = {name: np.concatenate([sums, own[name]]) for name, sums in figures.items()}
            wanted = np.concatenate([wanted, np.round((shares * ~blocked["issuer"]).T @ of_channel * 2.0**20) / 2.0**20])
        for name, (attempts, failed) in self.services.items():
            shown = (0.0 if ("service", name) in covered else 1.0) * ~self.grid.planned
            # a service that does not report its attempts is measured by the payments'
            tried = np.where(attempts > 0, np.maximum(attempts, failed), figures["attempts"][0] + failed)
            for figure, value in zip(PAID, (tried, failed, np.zeros(length)), strict=True):
                figures[figure] = np.concatenate([figures[figure], (value * shown)[None]])
            wanted = np.concatenate([wanted, np.zeros((1, length))])
        return Counts(figures["attempts"], figures["failed"], figures["approved"], wanted, self.grid.begin, self.part, self.alarm, self.grid.step, self.beyond)

    def index(self, incident: Open) -> int | None:
        """The stream of an incident, None where nothing was counted in it."""
        name = (incident.scope, incident.scope_name if incident.scope != "nation" else "")
        return self.names.index(name) if name in self.names else None

    def own(self, incident: Open) -> Counts | None:
        """The counts of an incident's own stream, None where there are none."""
        index = self.index(incident)
        if index is None:
            return None
        all_of, one = self.ordinary, slice(index, index + 1)
        return Counts(
            all_of.attempts[one], all_of.failed[one], all_of.approved[one], all_of.expected[one], all_of.begin, all_of.part[one], all_of.alarm[one], all_of.step
        )

    def _sums(self, cells: Cells, figure: str, free: Mask) -> Array:
        length = len(self.grid.planned)
        parts = [cells.within(axis, len(found), length, figure, free) for axis, found in self.axes.items()]
        return np.concatenate([cells.whole(length, figure, free), *parts])


EVERY_SERVICE = ("all", "")
"""What maintenance of everything is called, besides nothing at all."""


def touches(service: str = "payment") -> pl.Expr:
    """Whether a row of maintenance takes a service away, by its column ``service``."""
    return pl.col("service").is_null() | pl.col("service").cast(pl.String).is_in([service, *EVERY_SERVICE])


def planned_minutes(maintenance: pl.DataFrame | None, first: int, last: int, service: str = "payment") -> Mask:
    """Which of the minutes [first, last) lie in maintenance of a service that was announced before its start.

    Raises:
        FrameError: a column is missing.
    """
    planned = np.zeros(last - first, dtype=bool)
    if maintenance is None or not len(maintenance):
        return planned
    need_columns(maintenance, "maintenance", ("starts_at", "ends_at", "announced_at"))
    counts = maintenance.filter(pl.col("announced_at") < pl.col("starts_at"))
    if "service" in counts.columns:
        counts = counts.filter(touches(service))
    for start, end in counts.select("starts_at", "ends_at").iter_rows():
        low = minute_of_utc(start, "maintenance: starts_at") - first
        high = len(planned) if end is None else -((EPOCH - naive(end)) // timedelta(minutes=1)) - first
        planned[max(low, 0) : max(high, 0)] = True
    return planned
