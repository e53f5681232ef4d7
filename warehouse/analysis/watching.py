"""The walk over the steps of one call: a state machine that jumps from change to change.

Between two changes every step is tested at once. The state is the open incidents and nothing else.
"""

import json
from typing import Any

import numpy as np

from warehouse.analysis.budget import Drift
from warehouse.analysis.changes import Open
from warehouse.analysis.evidence import Counts, evidence, ordinary
from warehouse.analysis.lasting import closing, seen
from warehouse.analysis.markets import BIN, MarketAlarm, Markets, market_alarms
from warehouse.analysis.opening import identity, opened
from warehouse.analysis.panel import Array
from warehouse.analysis.scopes import Scopes

BLOCK = 720
"""Steps that are looked at together while an incident is open."""

TOGETHER_MINUTES = 30
"""An incident of a part whose onset is so near to the nation's is the nation's."""

Row = dict[str, Any]


class Watch:
    """One call: ``scopes`` and the markets in it, if they are looked at."""

    def __init__(self, scopes: Scopes, drift: Drift, markets: Markets | None = None) -> None:
        self.scopes, self.grid, self.drift, self.markets = scopes, scopes.grid, drift, markets
        self.whole = ordinary(scopes.ordinary, drift)
        self.alarms: list[MarketAlarm] = []

    def run(self, known: list[Open], now: int, end: int) -> tuple[list[Row], list[Open]]:
        """Walk the steps [now, end): the rows of what opened, closed and merged, and what is open then."""
        rows: list[Row] = []
        if self.markets and end // BIN > now // BIN:
            self.alarms = market_alarms(self.markets, self.grid, self._regions())
        while now < end:
            stop = min(now + BLOCK, end) if known else end
            owns = {one.incident_id: self._own(one) for one in known}
            over = {one.incident_id: closing(self.grid, owns[one.incident_id], self.drift, one, now, stop) for one in known}
            stop = min([stop, *(found[0] for found in over.values() if found)])
            reached, new = self._next(known, now, stop)
            known = [seen(self.grid, owns[one.incident_id], self.drift, one, now, reached + 1 if new else stop) for one in known]
            if new:
                rows.append(new.row("opened"))
                rows += [one.row("merged", ended=new.detected + self.grid.step, merged_into=new.incident_id) for one in known if _same_cause(one, new)]
                known = [*(one for one in known if not _same_cause(one, new)), new]
                now = reached
                continue
            for one in known:
                found = over[one.incident_id]
                if found and found[0] == stop:
                    rows.append(one.row("closed", ended=found[1]))
                    known = [other for other in known if other is not one]
            now = stop
        return rows, known

    def _next(self, known: list[Open], now: int, stop: int) -> tuple[int, Open | None]:
        """The first step in [now, stop) in which what no known incident covers alarms, and the incident that it opens."""
        if any(one.scope == "nation" for one in known) or now >= stop:
            return stop, None
        counts = self.scopes.without(known) if known else self.scopes.ordinary
        found = evidence(counts, self.drift, ordinary(counts, self.drift) if known else self.whole, now, stop)
        alarms = found.alarm & ~self.grid.planned[now:stop]
        at = now + int(np.argmax(alarms.any(axis=0))) if alarms.any() else stop
        market = next((alarm for alarm in self.alarms if now <= alarm.at < min(at, stop) and not self._covered(alarm, known)), None)
        if market:
            return market.at, self._of_market(market)
        if at == stop:
            return stop, None
        return at, opened(counts, found, self.drift, at, self.grid.minute(at), self.grid.step, self.scopes.names)

    def _own(self, incident: Open) -> Counts | None:
        if incident.scope != "market":
            return self.scopes.own(incident)
        if not self.markets or incident.scope_name not in self.markets.names:
            return None
        figures = self.markets.own(self.markets.names.index(incident.scope_name), self._regions()["expected"])
        attempts, failed, approved, expected = (figure[None] * ~self.grid.planned for figure in figures)
        return Counts(attempts, failed, approved, expected, self.grid.begin, np.ones(1, dtype=bool), np.ones(1))

    def _regions(self) -> dict[str, Array]:
        counts, count = self.scopes.ordinary, len(self.scopes.axes["region"])
        figures = {"attempts": counts.attempts, "failed": counts.failed, "approved": counts.approved, "expected": counts.expected}
        return {name: figure[1 : 1 + count] for name, figure in figures.items()}

    def _covered(self, alarm: MarketAlarm, known: list[Open]) -> bool:
        assert self.markets is not None
        name, region = self.markets.names[alarm.market], self.scopes.axes["region"][self.markets.region[alarm.market]]
        return any((one.scope, one.scope_name) in (("market", name), ("region", region)) or one.scope == "channel" for one in known)

    def _of_market(self, alarm: MarketAlarm) -> Open:
        assert self.markets is not None
        name, minute, figures = self.markets.names[alarm.market], self.grid.minute(alarm.at), alarm.figures
        rate = figures["failed"] / max(figures["attempts"], 1.0)
        left = figures["observed"] / figures["expected"] if figures["expected"] > 0 else 1 - rate
        said = json.dumps({**figures, "rate": round(rate, 4), "level": 1.0, "left": round(min(left, 1.0), 4)})
        kind = "failure_rate" if alarm.failing else "missing_sales"
        onset = self.grid.minute(alarm.onset)
        return Open(identity(minute, "market", name), kind, "market", name, onset, minute, minute, rate, said, 1.0, min(left, 1.0))


def _same_cause(part: Open, nation: Open) -> bool:
    return nation.scope == "nation" and part.scope != "nation" and abs(part.onset - nation.onset) <= TOGETHER_MINUTES
