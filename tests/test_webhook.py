"""Alerts reach a real HTTP server: signed, tried again, kept through a crash, and never in the way of reading."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.letters import Letters
from streams.line import Line
from streams.settings import SettingError, Settings
from streams.webhook import Webhook, asked_pause
from tests.events_data import NOON, failure, ms, payment
from tests.line_process import WorkerProcess, just_now, send_events
from warehouse import alerts
from warehouse.ingest import Writer
from warehouse.telling import forget, note, noted

SECRET = "a secret of enough length"


class Receiver(ThreadingHTTPServer):
    """Answers with ``status`` and keeps what came; ``held`` makes it wait."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.answer = 204, dict[str, str]()
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.held, self.reached = threading.Event(), threading.Event()
        self.held.set()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.server.reached.set()
        self.server.held.wait(30)
        self.send_response(self.server.status)
        for name, value in self.server.answer.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.held.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    """A time that a test moves on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def started(tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., tuple[Webhook, Clock]]]:
    held: list[Line] = []

    def start(**more: object) -> tuple[Webhook, Clock]:
        while held:
            old = held.pop()
            old.close()
        url = f"http://127.0.0.1:{receiver.server_address[1]}/alerts"
        settings = Settings(warehouse=tmp_path / "w.duckdb", alert_url=url, alert_secret=SECRET, **more)
        writer = Writer(settings.warehouse, NOON)
        line = Line(settings, writer, Letters(settings))
        held.append(line)
        clock = Clock()
        return Webhook(settings, writer, line, clock), clock

    yield start
    while held:
        held.pop().close()


def happen(writer: Writer, action: str, number: int = 1, ended: datetime | None = None) -> None:
    """An incident that changed, noted as the worker notes it, and told to a Kafka that took it."""
    onset = NOON.replace(tzinfo=None) - timedelta(minutes=12)
    run = writer.connection.execute
    run("DELETE FROM incident WHERE incident_id = ?", [f"i{number}"])
    run(
        "INSERT INTO incident VALUES (?, 'failure_rate', 'nation', '', $2, $2, $3, $4, 0.5, '{\"rate\": 0.5}', NULL, NULL, 1)".replace("?", "$1"),
        [f"i{number}", onset, NOON.replace(tzinfo=None), ended],
    )
    note(writer.connection, f"i{number}", action)
    through, changes = noted(writer.connection)
    forget(writer.connection, through, lambda: alerts.queue(writer.connection, changes, NOON, 50_000))


def waiting(webhook: Webhook) -> int:
    return alerts.waiting(webhook.writer.connection)


def once(webhook: Webhook) -> bool:
    return asyncio.run(webhook.once())


def test_an_alert_is_json_that_says_what_happened_and_what_the_rules_make_of_it(started, receiver: Receiver) -> None:
    webhook, _ = started()
    happen(webhook.writer, "opened")
    assert once(webhook)
    ((headers, body),) = receiver.came
    told = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert (told["type"], told["data"]["scope"], told["data"]["evidence"]) == ("incident.opened", "nation", {"rate": 0.5})
    assert told["data"]["onset_at"] == (NOON - timedelta(minutes=12)).astimezone(UTC).isoformat()
    assert (told["data"]["reporting"]["reportable"], told["data"]["reporting"]["threshold_minutes"]) == (True, 10)
    assert waiting(webhook) == 0
    assert not once(webhook)


def test_the_signature_is_that_of_standard_webhooks_and_covers_id_time_and_body(started, receiver: Receiver) -> None:
    webhook, clock = started()
    happen(webhook.writer, "opened")
    once(webhook)
    ((headers, body),) = receiver.came
    signed = f"{headers['webhook-id']}.{int(clock.now.timestamp())}.".encode() + body
    wanted = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert headers["webhook-timestamp"] == str(int(clock.now.timestamp()))


def test_a_receiver_that_fails_is_tried_again_later_and_later_and_gets_the_same_alert_when_it_is_back(started, receiver: Receiver) -> None:
    webhook, clock = started()
    happen(webhook.writer, "opened")
    receiver.status = 503
    pauses = []
    for _ in range(5):
        assert once(webhook)
        assert not once(webhook), "not before the pause is over"
        (until,) = webhook.writer.connection.sql("SELECT next_at FROM alert").fetchall()[0]
        pauses.append(until.replace(tzinfo=UTC) - clock.now)
        clock.now = until.replace(tzinfo=UTC)
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[-1] >= 4 * pauses[0]
    receiver.status = 200
    assert once(webhook)
    assert waiting(webhook) == 0
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert len({body for _, body in receiver.came}) == 1


def test_a_receiver_that_is_not_there_loses_nothing(started, receiver: Receiver) -> None:
    webhook, clock = started()
    happen(webhook.writer, "opened")
    there, webhook.url = webhook.url, "http://127.0.0.1:9/"
    assert once(webhook)
    assert waiting(webhook) == 1
    webhook.url, clock.now = there, clock.now + timedelta(hours=1)
    assert once(webhook)
    assert len(receiver.came) == 1


def test_a_receiver_may_say_how_long_it_wants_to_be_left_alone(started, receiver: Receiver) -> None:
    webhook, clock = started()
    happen(webhook.writer, "opened")
    receiver.status, receiver.answer = 429, {"Retry-After": "600"}
    once(webhook)
    clock.now += timedelta(minutes=9)
    assert not once(webhook)
    clock.now += timedelta(minutes=2)
    assert once(webhook)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("600", 600),
        ("9" * 4_400, 3_600),
        (format_datetime(NOON + timedelta(minutes=10), usegmt=True), 600),
        (f"{NOON + timedelta(minutes=10):%a %b %d %H:%M:%S %Y}", 600),
        (format_datetime(NOON + timedelta(days=10), usegmt=True), 3_600),
        (format_datetime(NOON - timedelta(days=10), usegmt=True), 0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
    ],
)
def test_seconds_and_dates_are_heeded_up_to_an_hour_and_what_is_neither_is_not(said: str, seconds: int) -> None:
    assert asked_pause(said, NOON.astimezone(UTC)) == timedelta(seconds=seconds)


def test_whatever_a_receiver_answers_is_no_reason_to_end(started, receiver: Receiver) -> None:
    webhook, clock = started()
    happen(webhook.writer, "opened")
    receiver.status, receiver.answer = 503, {"Retry-After": "9" * 4_400}
    assert once(webhook)
    clock.now += timedelta(minutes=59)
    assert not once(webhook)
    clock.now += timedelta(minutes=2)
    assert once(webhook)


def test_an_address_that_cannot_be_asked_for_is_an_alert_not_accepted(started) -> None:
    webhook, _ = started()
    happen(webhook.writer, "opened")
    webhook.url = "https://ops..example.org/x"
    assert once(webhook)
    ((failure, tries),) = webhook.writer.connection.sql("SELECT failure, tries FROM alert").fetchall()
    assert (tries, "label" in failure) == (1, True)


def test_alerts_survive_a_crash_before_and_after_they_were_tried(started, receiver: Receiver) -> None:
    webhook, _ = started()
    happen(webhook.writer, "opened")
    receiver.status = 500
    once(webhook)
    happen(webhook.writer, "closed", 2, NOON.replace(tzinfo=None))
    webhook, clock = started()
    receiver.status, clock.now = 200, NOON + timedelta(hours=2)
    assert once(webhook) and once(webhook)
    assert [json.loads(body)["type"] for _, body in receiver.came] == ["incident.opened", "incident.opened", "incident.closed"]


def test_an_alert_is_queued_once_although_kafka_took_its_message_twice(started) -> None:
    webhook, _ = started()
    connection = webhook.writer.connection

    def power_cut() -> None:
        raise KeyboardInterrupt

    connection.execute(
        "INSERT INTO incident BY NAME SELECT 'i1' AS incident_id, 'nation' AS scope, now()::TIMESTAMP AS onset_at, now()::TIMESTAMP AS detected_at, now()::TIMESTAMP AS last_seen_at, 1 AS version"
    )
    note(connection, "i1", "opened")
    with pytest.raises(KeyboardInterrupt):
        forget(connection, noted(connection)[0], power_cut)
    assert waiting(webhook) == 0
    through, changes = noted(connection)
    forget(connection, through, lambda: alerts.queue(connection, changes, NOON, 1))
    assert waiting(webhook) == 1


def test_tries_are_limited_by_the_minute(started, receiver: Receiver) -> None:
    webhook, clock = started(alert_per_minute=3)
    for number in range(5):
        happen(webhook.writer, "opened", number)
    assert [once(webhook) for _ in range(5)] == [True, True, True, False, False]
    clock.now += timedelta(minutes=1)
    assert [once(webhook) for _ in range(3)] == [True, True, False]
    assert len(receiver.came) == 5


def test_what_merely_goes_on_alerts_nobody(started) -> None:
    webhook, _ = started()
    happen(webhook.writer, "updated")
    assert waiting(webhook) == 0


def test_a_slow_receiver_holds_up_neither_the_event_loop_nor_the_warehouse(started, receiver: Receiver) -> None:
    webhook, _ = started()
    happen(webhook.writer, "opened")
    receiver.held.clear()

    async def scenario() -> int:
        sending = asyncio.create_task(webhook.once())
        await asyncio.to_thread(receiver.reached.wait, 30)
        done = 0
        for _ in range(20):
            done += await webhook.line.on_database(lambda: len(webhook.writer.connection.sql("SELECT 1").fetchall()))
        assert not sending.done()
        receiver.held.set()
        await sending
        return done

    assert asyncio.run(scenario()) == 20


def test_a_receiver_that_never_answers_is_given_up_for_this_time(started, receiver: Receiver) -> None:
    webhook, _ = started(alert_timeout_seconds=0.2)
    happen(webhook.writer, "opened")
    receiver.held.clear()
    assert once(webhook)
    receiver.held.set()
    ((failure, tries),) = webhook.writer.connection.sql("SELECT failure, tries FROM alert").fetchall()
    assert tries == 1
    assert "Timeout" in failure


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alert_url": "ops.example.org", "alert_secret": SECRET}, "ONNURI_ALERT_URL is 'ops.example.org'"),
        ({"alert_url": "https://ops..example.org/x", "alert_secret": SECRET}, "ONNURI_ALERT_URL is 'https://ops..example.org/x'"),
        ({"alert_url": f"https://{'a' * 64}.example.org/", "alert_secret": SECRET}, "each part"),
        ({"alert_url": "http://ops.example.org:99999/", "alert_secret": SECRET}, "Port"),
        ({"alert_url": "http://ops.example.org"}, "ONNURI_ALERT_SECRET is not"),
        ({"alert_url": "http://ops.example.org", "alert_secret": "short"}, "16 characters"),
        ({"alert_url": "http://ops.example.org", "alert_secret": "whsec_***"}, "base64"),
        ({"alert_per_minute": 0}, "ONNURI_ALERT_PER_MINUTE is 0"),
    ],
)
def test_settings_of_alerts_that_cannot_be_used_are_refused_in_words_and_without_the_secret(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.read(**given)
    assert said in str(refused.value)
    assert "short" not in str(refused.value)


@pytest.mark.long
def test_a_running_worker_posts_an_incident_that_the_receiver_refused_before_the_worker_was_killed(line: Settings, receiver: Receiver) -> None:
    """On real Kafka: failures of one minute open an incident; its alert outlives a receiver that fails and a worker that is killed."""
    receiver.status = 503
    at = ms(just_now())
    url = f"http://127.0.0.1:{receiver.server_address[1]}/alerts"
    worker = WorkerProcess(line, alert_url=url, alert_secret=SecretStr(SECRET))
    with worker:
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(1, 61)])
        send_events(line, "errors", [failure(n, occurred_at=at) for n in range(101, 161)])
        worker.wait(receiver.reached.is_set)
        worker.kill()
    refused = receiver.came[-1]
    receiver.came.clear()
    receiver.reached.clear()
    receiver.status = 204
    with worker:
        worker.wait(receiver.reached.is_set)
        with worker.snapshot() as snapshot:
            (incident,) = snapshot.query("incidents_newest_first").rows(named=True)
    headers, body = receiver.came[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
    assert (headers["webhook-id"], body) == (refused[0]["webhook-id"], refused[1])
    told = json.loads(body)
    assert (told["type"], told["data"]["incident_id"], told["data"]["kind"]) == ("incident.opened", incident["incident_id"], "failure_rate")
