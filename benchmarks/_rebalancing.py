"""Workers of one consumer group on one lake, simulated: who writes what, who is refused, and whether each record is counted once.

A world of its own, without Kafka, DuckDB or a clock: events in a heap, seeded chance. Modelled are

- the group: a member that is silent for longer than its session is put out, partitions are dealt anew, and each member hears of it some time later. Until then it goes on
  with what it had, and nobody waits for it, which is harder than Kafka is;
- a batch: read, then a transaction on a snapshot of the catalog: compare the offsets, write files, commit;
- the commit as DuckLake makes it (https://ducklake.select, "Conflict Resolution"): take the number after one's own snapshot; where another has it, wait, look whether that one
  changed the same, take the next, and give up after so many tries. Who has written a number but not committed it is waited for by all, also where it is frozen;
- faults: kill -9, freezes at any point, catalogs that are away. Where one hits a commit, chance says whether it came through, and the worker does not know.

Time is in seconds, rates are records a second. ``Guard`` takes the protocol apart, so that what each part is there for can be shown.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from random import Random


class Guard(Enum):
    """What keeps a worker that has lost its partitions from writing."""

    COMPARE_AND_SET = auto()
    """The offset is compared in the transaction, and two that set it from one snapshot conflict."""
    COMPARE = auto()
    """It is compared, but setting it never conflicts: progress as appended rows."""
    CONFLICT = auto()
    """Two that set it conflict, but nobody compares it with what was read."""
    NONE = auto()


@dataclass(frozen=True)
class Plan:
    """What is simulated. Kills and freezes are mean numbers for each worker, outages for the catalog, over ``span``."""

    workers: int = 20
    partitions: int = 100
    records: int = 100_000
    """In each partition, there from the start."""
    batch: int = 20_000
    rate: float = 100_000
    """What one worker reads, decodes and writes, besides its commits."""
    commit_read: float = 0.02
    commit_write: float = 0.03
    retries: int = 10
    retry_wait: float = 0.1
    retry_growth: float = 1.5
    """DuckLake's defaults."""
    session: float = 10
    notice: float = 3
    """Within this a member hears of a new assignment, and one that wakes of having been put out."""
    restart: float = 5
    idle_limit: float = 5
    """After this the catalog ends the transaction of a silent client."""
    kills: float = 0
    freezes: float = 0
    freeze: tuple[float, float] = (1, 40)
    outages: float = 0
    outage: tuple[float, float] = (1, 15)
    span: float = 60
    guard: Guard = Guard.COMPARE_AND_SET
    limit: float = 36_000


@dataclass
class Outcome:
    """What came of it, over all partitions."""

    expected: int
    seconds: float = 0.0
    doubled: int = 0
    missed: int = 0
    held: float = 0.0
    """Seconds in which the catalog's next number was written and not committed."""
    events: Counter[str] = field(default_factory=Counter)
    """Of batches: commit, stale (refused by the comparison), conflict, exhausted (no try left), broken (the connection ended); besides retry, rebalance, kill, freeze, outage."""

    @property
    def conserved(self) -> bool:
        """Whether every record was counted once."""
        return not self.doubled and not self.missed

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.expected / self.seconds


Ranges = dict[int, tuple[int, int]]
"""Offsets from, to by partition."""


class Catalog:
    """Snapshots, one a commit; each partition's offset and the snapshot that set it; and what was counted."""

    def __init__(self, partitions: int) -> None:
        self.snapshot, self.up = 0, True
        self.offsets, self.set_in = [0] * partitions, [0] * partitions
        self.counted: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
        self.writing: tuple[Worker, Ranges, float] | None = None
        """Who has written the next snapshot's number and not committed it, and since when."""

    def commit(self, ranges: Ranges) -> None:
        """Rows and offsets at once."""
        self.snapshot += 1
        for partition, (low, high) in ranges.items():
            self.counted[partition].append((low, high))
            self.offsets[partition], self.set_in[partition] = high, self.snapshot


class Worker:
    """One process of the group. Its life yields the seconds to its next step, or None: until the catalog's next number is free."""

    def __init__(self, world: "World", slot: int) -> None:
        self.world, self.slot = world, slot
        self.heard, self.assigned = 0, list[int]()
        self.alive = self.connected = True
        self.wakes = 0.0
        self.steps = self._live()

    def _live(self) -> Generator[float | None, None, None]:
        plan, catalog = self.world.plan, self.world.catalog
        generation, positions = 0, dict[int, int]()
        while True:
            if generation != self.heard or not positions:
                yield from self._connect()
                generation, positions = self.heard, {p: catalog.offsets[p] for p in self.assigned}
            share = max(plan.batch // max(len(positions), 1), 1)
            wanted = {p: (low, min(low + share, plan.records)) for p, low in positions.items() if low < plan.records}
            if not wanted:
                positions = {}
                yield plan.notice / 2
                continue
            yield sum(high - low for low, high in wanted.values()) / plan.rate
            written = yield from self._write(wanted)
            positions = positions | {p: high for p, (_, high) in wanted.items()} if written else {}

    def _connect(self) -> Generator[float | None, None, None]:
        while not self.world.catalog.up:
            yield 1.0
        self.connected = True

    def _write(self, wanted: Ranges) -> Generator[float | None, None, bool]:
        """A batch; False where reading has to go on from the catalog's offsets."""
        catalog, events, compares = self.world.catalog, self.world.outcome.events, self.world.plan.guard in (Guard.COMPARE_AND_SET, Guard.COMPARE)
        while True:
            yield from self._connect()
            snapshot = catalog.snapshot
            if compares and any(catalog.offsets[p] != low for p, (low, _) in wanted.items()):
                events["stale"] += 1
                return False
            yield self.world.chance.uniform(0.05, 0.2)  # the files, which nobody sees before the commit
            came_to = yield from self._commit(wanted, snapshot)
            events[came_to] += 1
            if came_to == "commit":
                return True
            if compares or came_to == "conflict":
                return False
            # Who compares nothing knows no better than to write the same once more.

    def _commit(self, wanted: Ranges, snapshot: int) -> Generator[float | None, None, str]:
        plan, catalog, events = self.world.plan, self.world.catalog, self.world.outcome.events
        conflicts, newest, wait = plan.guard in (Guard.COMPARE_AND_SET, Guard.CONFLICT), snapshot, plan.retry_wait
        for attempt in range(plan.retries + 1):
            if attempt:
                events["retry"] += 1
                yield wait * self.world.chance.uniform(0.5, 1)
                wait *= plan.retry_growth
                newest = catalog.snapshot
                if conflicts and any(catalog.set_in[p] > snapshot for p in wanted):
                    return "conflict"
                yield plan.commit_read
            if not self.connected:
                return "broken"
            if catalog.writing:
                yield None
                continue
            if catalog.snapshot != newest:
                continue
            catalog.writing = self, wanted, self.world.now
            yield plan.commit_write
            if not self.connected:
                return "broken"
            catalog.commit(wanted)
            self.world.free()
            return "commit"
        return "exhausted"


class World:
    """Runs a plan. The same seed gives the same outcome."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan, self.chance = plan, Random(seed)  # noqa: S311  # chance that can be repeated
        self.catalog, self.outcome = Catalog(plan.partitions), Outcome(plan.partitions * plan.records)
        self.now, self.generation = 0.0, 0
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.number = count()
        self.waiting: list[Worker] = []
        self.members: list[Worker] = []
        self.slots: dict[int, Worker] = {}
        for slot in range(plan.workers):
            self._start(slot)
            for often, fault in ((plan.kills, self._kill), (plan.freezes, self._freeze)):
                for at in self._moments(often):
                    self._at(at, lambda fault=fault, slot=slot: fault(slot))  # type: ignore[misc]
        for at in self._moments(plan.outages):
            self._at(at, self._outage)

    def run(self) -> Outcome:
        """Until everything is read, every frozen worker has woken, and what it then does is done."""
        settled = self.plan.span
        while self.heap and self.now < min(settled + self.plan.freeze[1] + self.plan.session, self.plan.limit):
            self.now, _, action = heapq.heappop(self.heap)
            action()
            if min(self.catalog.offsets) < self.plan.records:
                settled, self.outcome.seconds = max(self.now, self.plan.span), self.now
        for ranges in self.catalog.counted:
            reached = covered = 0
            for low, high in sorted(ranges):
                covered += max(high - max(low, reached), 0)
                self.outcome.doubled += min(high, reached) - low if low < reached else 0
                reached = max(reached, high)
            self.outcome.missed += self.plan.records - covered
        return self.outcome

    def free(self) -> None:
        """The catalog's next number can be written; all who waited have lost theirs and try again."""
        if self.catalog.writing:
            self.outcome.held += self.now - self.catalog.writing[2]
        self.catalog.writing = None
        waiting, self.waiting = self.waiting, []
        for worker in waiting:
            self._after(0, worker)

    def _moments(self, often: float) -> list[float]:
        return [self.chance.uniform(0, self.plan.span) for _ in range(int(often) + (self.chance.random() < often % 1))]

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (max(moment, self.now), next(self.number), action))

    def _after(self, seconds: float, worker: Worker) -> None:
        self._at(self.now + seconds, lambda: self._step(worker))

    def _step(self, worker: Worker) -> None:
        if not worker.alive:
            return
        if self.now < worker.wakes:
            self._at(worker.wakes, lambda: self._step(worker))
            return
        seconds = next(worker.steps)
        if seconds is None and self.catalog.writing:
            self.waiting.append(worker)
        else:
            self._after(seconds or 0, worker)

    def _start(self, slot: int) -> None:
        worker = self.slots[slot] = Worker(self, slot)
        self._after(0, worker)
        self._join(worker)

    def _join(self, worker: Worker) -> None:
        if worker.alive and worker not in self.members:
            self.members.append(worker)
            self._deal()

    def _deal(self) -> None:
        """Partitions dealt anew among the members."""
        self.generation += 1
        self.outcome.events["rebalance"] += 1
        for number, worker in enumerate(self.members):
            self._tell(worker, self.generation, list(range(number, self.plan.partitions, len(self.members))))

    def _tell(self, worker: Worker, generation: int, assigned: list[int]) -> None:
        def hear() -> None:
            if worker.wakes > self.now:
                self._tell(worker, generation, assigned)
            elif worker in self.members and generation > worker.heard:
                worker.heard, worker.assigned = generation, assigned

        self._at(max(self.now, worker.wakes) + self.chance.uniform(0, self.plan.notice), hear)

    def _silent(self, worker: Worker) -> None:
        """What becomes of one that says nothing more: put out of the group, and later in the catalog."""

        def put_out() -> None:
            if worker in self.members and (not worker.alive or worker.wakes > self.now):
                self.members.remove(worker)
                self._deal()

        self._at(self.now + self.plan.session, put_out)

    def _kill(self, slot: int) -> None:
        worker = self.slots[slot]
        if worker.alive:
            self.outcome.events["kill"] += 1
            worker.alive = False
            self._break(worker)
            self._silent(worker)
            self._at(self.now + self.plan.restart, lambda: self._start(slot))

    def _freeze(self, slot: int) -> None:
        worker = self.slots[slot]
        if worker.alive and worker.wakes <= self.now:
            self.outcome.events["freeze"] += 1
            worker.wakes = self.now + self.chance.uniform(*self.plan.freeze)
            self._silent(worker)
            if self.catalog.writing and self.catalog.writing[0] is worker:
                self._at(self.now + self.plan.idle_limit, lambda: self._break(worker) if worker.wakes > self.now else None)
            self._at(worker.wakes + self.chance.uniform(0, self.plan.notice), lambda: self._join(worker))

    def _outage(self) -> None:
        self.outcome.events["outage"] += 1
        self.catalog.up = False
        for worker in self.slots.values():
            self._break(worker)
        self._at(self.now + self.chance.uniform(*self.plan.outage), self._back)

    def _back(self) -> None:
        self.catalog.up = True

    def _break(self, worker: Worker) -> None:
        """The connection ends; of a commit under way nobody but the catalog knows what came of it."""
        worker.connected = False
        if self.catalog.writing and self.catalog.writing[0] is worker:
            if self.chance.random() < 0.5:
                self.catalog.commit(self.catalog.writing[1])
            self.free()


def simulate(plan: Plan, seed: int) -> Outcome:
    """One run."""
    return World(plan, seed).run()
