"""A Kafka with TLS, passwords and client certificates: whoever may gets in with every client, and whoever may not is told why and at once."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka.errors import InvalidReplicationFactorError, KafkaTimeoutError, NotControllerError

from dashboard import saying
from dashboard.settings import DashboardSettings
from streams import standby
from streams.admission import refusal
from streams.demo import environment
from streams.doctor import findings
from streams.ports import free_port
from streams.settings import SettingError, Settings
from streams.simulator import load_scenario, play
from streams.simulator.sending import send
from streams.topics import ensure_topics
from tests.events_data import encoded, ms, payment
from tests.line_process import ROOT, WorkerProcess, just_now, producer, records_of
from tests.secured_broker import PASSWORDS, SecuredKafka, secured_kafka
from warehouse.access import Access, AccessError, BrokerRefusedError

QUICK = "it waited as if nobody were there"


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        yield kafka


def settings_of(folder: Path, said: dict[str, object], topics: str = "", **more: object) -> Settings:
    quick = {"publish_seconds": 0.2, "batch_seconds": 0.1, "lateness_seconds": 2, "partitions": 1, "web_port": free_port()}
    return Settings(**{"warehouse": folder / "w.duckdb", "topic_prefix": topics, **quick, **said, **more})


def ways(secured: SecuredKafka) -> dict[str, dict[str, object]]:
    locked = secured.ours.sign("locked", password=b"of the key")
    return {
        "wrong password": secured.with_password(kafka_password="guessed"),
        "unknown user": secured.with_password(kafka_user="nobody"),
        "mechanism that the broker does not take": secured.with_password(kafka_mechanism="PLAIN"),
        "untrusted authority": secured.with_password(kafka_ca=secured.others.file),
        "system's authorities": secured.with_password(kafka_ca=None),
        "no client certificate": secured.with_certificate(kafka_certificate=None),
        "certificate of another authority": secured.with_certificate(kafka_certificate=secured.others.sign("foreign")),
        "locked key without its password": secured.with_certificate(kafka_certificate=locked),
    }


SPAN = {"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}
REFUSED = {
    "wrong password": r"refuses the user 'onnuri': user or password is wrong",
    "unknown user": r"refuses the user 'nobody'",
    "mechanism that the broker does not take": r"does not take ONNURI_KAFKA_MECHANISM=PLAIN",
    "untrusted authority": r"shows a certificate that .*others\.pem does not vouch for.*ONNURI_KAFKA_CA",
    "system's authorities": r"shows a certificate that the system's list of authorities does not vouch for",
    "no client certificate": r"asks for a client certificate.*ONNURI_KAFKA_CERTIFICATE",
    "certificate of another authority": r"refuses the certificate .*foreign\.pem",
    "locked key without its password": r"ONNURI_KAFKA_CERTIFICATE is .*locked\.pem.*ONNURI_KAFKA_KEY_PASSWORD_FILE",
}


@pytest.mark.parametrize("way", REFUSED)
def test_who_may_not_get_in_is_told_why_and_a_worker_does_not_wait(secured, tmp_path, way):
    settings = settings_of(tmp_path, ways(secured)[way])
    with pytest.raises((BrokerRefusedError, AccessError), match=REFUSED[way]):
        standby.until_answered(settings, lambda: ensure_topics(settings))
    (said,) = [found for found in findings(settings, datetime.now(UTC)) if found.check == "broker"]
    assert not said.ok and re.search(REFUSED[way], said.finding)


def test_what_a_worker_may_not_do_is_told(secured, tmp_path):
    settings = settings_of(tmp_path, secured.with_password("stranger"))
    with pytest.raises(BrokerRefusedError, match=r"does not allow it: .*docs/security\.md"):
        standby.until_answered(settings, lambda: ensure_topics(settings))


def test_a_worker_ends_with_the_words_of_a_broker_that_cannot_do_it(line):
    settings = line.model_copy(update={"topic_prefix": "x" * 245 + "."})
    with pytest.raises(BrokerRefusedError, match=r"is there and refuses: .*InvalidTopic.*ONNURI_TOPIC_PREFIX is 'xxx"):
        standby.until_answered(settings, lambda: ensure_topics(settings))


@pytest.mark.parametrize("error", [InvalidReplicationFactorError("1 of 3 brokers"), NotControllerError("not yet"), KafkaTimeoutError("nobody")])
def test_what_passes_is_waited_for_and_the_log_repeats_what_was_said(monkeypatch, caplog, tmp_path, error):
    monkeypatch.setattr(standby, "refusal", lambda *_: None)
    answers = iter([error])

    def work():
        for waiting in answers:
            raise waiting
        return "done"

    assert standby.until_answered(settings_of(tmp_path, {"kafka": "127.0.0.1:9"}), work, pause=0) == "done"
    assert str(error) in caplog.text


@pytest.mark.parametrize(("security", "tls"), [("PLAINTEXT", True), ("SSL", True), ("SSL", False)])
def test_a_broker_that_hangs_up_may_come_round_and_is_asked_again(secured, security, tls):
    # Without TLS, without the password, with TLS where there is none: it says nothing and closes, as one does that is being stopped.
    told = refusal(secured.sasl if tls else secured.broker.bootstrap, Access(security=security, ca=secured.ours.file))
    assert told is not None and not told.final
    assert f"hangs up: does it ask for something else than ONNURI_KAFKA_SECURITY={security}" in told.reason


def test_nobody_there_is_no_refusal(secured):
    assert refusal(f"127.0.0.1:{free_port()}", Access(security="SSL", ca=secured.ours.file)) is None


@pytest.mark.parametrize("way", ["password", "certificate"])
def test_a_worker_and_all_who_send_to_it_get_in(secured, topics, tmp_path, way):
    said = secured.with_password() if way == "password" else secured.with_certificate()
    settings = settings_of(tmp_path, said, topics, log_format="json")
    ensure_topics(settings)
    with WorkerProcess(settings) as worker:
        with producer(settings) as made:
            made.send(settings.topic("payments"), encoded(payment(1, occurred_at=ms(just_now()))))
            # Refused, so the worker sends a dead letter.
            made.send(settings.topic("payments"), b"?")
        environment_of_pages = environment(settings)
        command = saying.say(
            DashboardSettings.read(environment_of_pages),
            "test",
            "span_excluded",
            SPAN,
        )
        worker.wait(lambda: (m := worker.manifest()) and m["totals"]["accepted"] == 2 and m["totals"]["refused"] == 1 and m["lag"] == 0)
        with worker.snapshot() as snapshot:
            assert snapshot.sql("SELECT sum(approved) FROM market_minute").item() == 1
        assert command in [key.decode() for key, _, _ in records_of(secured.broker.bootstrap, settings.topic("commands"))]
        assert len(records_of(secured.broker.bootstrap, settings.topic("dead-letters"))) == 1
        good = {found.check: found for found in findings(settings, datetime.now(UTC))}
        assert good["broker"].ok and f"over {said['kafka_security']}" in good["broker"].finding
        assert good["clock"].ok
        assert worker.kill(how=15) == 0
    log = worker.log.read_text()
    assert PASSWORDS["onnuri"] not in log
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(json.loads(line)) for line in log.split("\n") if line))


def test_a_worker_needs_no_more_rights_than_the_documents_say(secured, topics, tmp_path):
    ensure_topics(settings_of(tmp_path, secured.with_password(), topics))
    said = (ROOT / "docs" / "security.md").read_text()
    for operation, names in re.findall(r"^- (READ|WRITE) on the topics (.+)$", said, re.MULTILINE):
        for name in re.findall(r"`([\w-]+)`", names):
            secured.allow("worker", operation, "TOPIC", topics + name)
    (prefix,) = re.findall(r"^- READ on the groups with the prefix `(.+)`$", said, re.MULTILINE)
    secured.allow("worker", "READ", "GROUP", prefix, "PREFIXED")
    sending = settings_of(tmp_path, secured.with_password(), topics)
    with WorkerProcess(settings_of(tmp_path, secured.with_password("worker"), topics)) as worker:
        with producer(sending) as made:
            made.send(sending.topic("payments"), encoded(payment(1, occurred_at=ms(just_now()))))
            made.send(sending.topic("errors"), b"?")
        worker.wait(lambda: (m := worker.manifest()) and m["totals"]["accepted"] == m["totals"]["refused"] == 1 and m["lag"] == 0)
        assert "AuthorizationFailed" not in worker.log.read_text()


def test_the_simulator_gets_in(secured, topics, tmp_path):
    settings = settings_of(tmp_path, secured.with_password(), topics, clock="replay")
    ensure_topics(settings)
    slices = play(load_scenario("smoke", scale=0.01))
    sent = send((one for one, _ in zip(slices, range(3), strict=False)), settings.kafka, settings.topic, access=settings.access)
    assert sum(sent.records.values()) == sum(len(records_of(secured.broker.bootstrap, settings.topic(topic))) for topic in sent.records)


def test_a_form_of_the_dashboard_that_cannot_get_in_says_so(secured, tmp_path):
    pages = DashboardSettings.read(environment(settings_of(tmp_path, ways(secured)["locked key without its password"])))
    with pytest.raises(saying.NotSentError, match="ONNURI_KAFKA_KEY_PASSWORD_FILE"):
        saying.say(pages, "test", "span_excluded", SPAN)


def test_a_command_says_at_once_that_it_is_refused(secured, tmp_path):
    file = tmp_path / "password"
    file.write_text("guessed\n")
    given = {key: value for key, value in secured.with_password().items() if key != "kafka_password"}
    told = {f"ONNURI_{name.upper()}": str(value) for name, value in {**given, "kafka_password_file": file}.items()}
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "streams.cli", "say", "span_excluded", "{}", "--actor", "test"],
        env={**os.environ, **told},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "refuses the user 'onnuri'" in run.stderr and "Traceback" not in run.stderr and "guessed" not in run.stderr
    # kafka-python by itself gives up after thirty seconds.
    assert time.monotonic() - began < 20, QUICK


def test_a_record_from_a_clock_that_is_ahead_is_found(secured, topics, tmp_path):
    settings = settings_of(tmp_path, secured.with_password(), topics)
    ensure_topics(settings)
    with producer(settings) as made:
        made.send(settings.topic("payments"), b"?", timestamp_ms=int(time.time() * 1000) + 3_600_000)
    (said,) = [found for found in findings(settings, datetime.now(UTC)) if found.check == "clock"]
    assert not said.ok and "payments is 3," in said.finding


# Settings, without a broker


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"kafka_security": "SASL_SSL"}, "needs ONNURI_KAFKA_USER and ONNURI_KAFKA_PASSWORD_FILE"),
        ({"kafka_security": "SASL_PLAINTEXT"}, "ONNURI_KAFKA_SECURITY is 'SASL_PLAINTEXT'"),
        (
            {"kafka_password": "hidden", "kafka_user": "onnuri"},
            "is PLAINTEXT, where ONNURI_KAFKA_USER, ONNURI_KAFKA_PASSWORD would do nothing. Set it to SASL_SSL",
        ),
        ({"kafka_ca": "ca.pem"}, "is PLAINTEXT, where ONNURI_KAFKA_CA would do nothing. Set it to SSL or SASL_SSL"),
        ({"kafka_security": "SSL", "kafka_key": "key.pem"}, "a key needs its certificate"),
        ({"kafka_password_file": "/nowhere/password"}, "ONNURI_KAFKA_PASSWORD_FILE is /nowhere/password: No such file"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(said, reason):
    with pytest.raises(SettingError) as refused:
        Settings.read(**said)
    assert reason in str(refused.value) and "hidden" not in str(refused.value)


SECRETS = {
    "KAFKA_PASSWORD": "kafka_password",
    "KAFKA_KEY_PASSWORD": "kafka_key_password",
    "USER_KEY": "user_key",
    "ALERT_SECRET": "alert_secret",
    "API_TOKEN": "api_token",
}


@pytest.mark.parametrize(("name", "field"), SECRETS.items())
def test_a_secret_may_be_in_a_file(tmp_path, monkeypatch, name, field):
    for variable, value in {"KAFKA_SECURITY": "SASL_SSL", "KAFKA_USER": "onnuri", "KAFKA_PASSWORD": "0123456789abcdef 열쇠"}.items():
        monkeypatch.setenv(f"ONNURI_{variable}", value)
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef 열쇠\n")
    monkeypatch.setenv(f"ONNURI_{name}_FILE", str(file))
    assert getattr(Settings.read(), field).get_secret_value() == "0123456789abcdef 열쇠"
    pages = DashboardSettings.read()
    assert {"KAFKA_PASSWORD": pages.access.password, "KAFKA_KEY_PASSWORD": pages.access.key_password, "API_TOKEN": pages.api_token}.get(
        name, "0123456789abcdef 열쇠"
    ) == "0123456789abcdef 열쇠"
    monkeypatch.setenv(f"ONNURI_{name}", "another one, of sixteen or more")
    with pytest.raises(SettingError, match=f"ONNURI_{name} is set, and .*secret says something else") as refused:
        Settings.read()
    assert "0123" not in str(refused.value) and "another" not in str(refused.value)
    file.write_text("\n")
    with pytest.raises(SettingError, match=f"ONNURI_{name}_FILE is .*secret, which is empty"):
        Settings.read()


def test_pages_and_worker_read_the_same_way_in(monkeypatch, tmp_path):
    for name in ("certificate", "key", "ca"):
        monkeypatch.setenv(f"ONNURI_KAFKA_{name.upper()}", str(tmp_path / name))
    for name, value in {"SECURITY": "SASL_SSL", "MECHANISM": "SCRAM-SHA-256", "USER": "u", "PASSWORD": "hidden-1", "KEY_PASSWORD": "hidden-2"}.items():
        monkeypatch.setenv(f"ONNURI_KAFKA_{name}", value)
    assert DashboardSettings.read().access == Settings.read().access
    assert "hidden" not in repr(Settings.read()) + repr(DashboardSettings.read())
