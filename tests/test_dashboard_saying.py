"""What a person says on a page reaches the topic ``commands`` as the contract wants it, and nothing is said where it cannot be."""

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, NotEnoughReplicasAfterAppendError, TopicAuthorizationFailedError
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata
from streamlit.testing.v1 import AppTest

from dashboard import saying
from dashboard.checking import lacking
from dashboard.figures.said import said_so_far
from dashboard.settings import DashboardSettings
from dashboard.texts import texts_in
from dashboard.views import saying as views
from streams.events import Command
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.dashboard_data import EARLIER, LAUNCH, publish_launch_day, replace_table
from tests.events_data import NOON
from tests.test_dashboard_ahead import shown as shown_ahead
from tests.test_dashboard_pages import shown, words
from tests.test_ingest import KEPT_WORDS, chunk, command, write
from warehouse.commands import PayloadError, parse, record
from warehouse.ingest import Writer
from warehouse.reading import open_snapshot

CLAIM = {"source": "어느 신문", "amount": 10_000_000_000, "note": "", "incident_id": "i1"}


def said_in(bootstrap: str, prefix: str) -> list[Command]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    place = TopicPartition(f"{prefix}commands", 0)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    found: list[Command] = []
    while consumer.position(place) < end:
        found += [msgspec.json.decode(record.value, type=Command) for records in consumer.poll(1000).values() for record in records]
    consumer.close()
    return found


@pytest.fixture
def line(kafka, topics) -> DashboardSettings:
    ensure_topics(Settings.read(kafka=kafka.bootstrap, topic_prefix=topics))
    return DashboardSettings(Path("unused"), "ko", kafka.bootstrap, topics)


def test_what_is_said_is_a_command_with_who_and_when(line: DashboardSettings) -> None:
    before = datetime.now(UTC)
    command_id = saying.say(line, "분석 담당", "claim_entered", CLAIM)
    (found,) = said_in(line.kafka, line.topic_prefix)
    assert (found.command_id, found.actor, found.kind, found.payload) == (command_id, "분석 담당", "claim_entered", CLAIM)
    assert before.timestamp() * 1000 - 1 <= found.occurred_at <= datetime.now(UTC).timestamp() * 1000
    parse(found.kind, json.dumps(found.payload), datetime.now(UTC))


def test_what_would_be_refused_is_not_sent(line: DashboardSettings) -> None:
    with pytest.raises(PayloadError, match="amount"):
        saying.say(line, "분석 담당", "claim_entered", {**CLAIM, "amount": -1})
    assert said_in(line.kafka, line.topic_prefix) == []


def test_what_a_broker_did_not_confirm_may_have_been_sent(line: DashboardSettings, kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(kafka, "pid"):
        pytest.skip("a broker that somebody else runs is not frozen")
    send = KafkaProducer.send

    def frozen(producer: KafkaProducer, topic: str, **record: bytes) -> object:
        producer.partitions_for(topic)
        os.kill(kafka.pid, signal.SIGSTOP)
        return send(producer, topic, **record)

    monkeypatch.setattr(saying, "DELIVERY_MS", 3_000)
    monkeypatch.setattr(KafkaProducer, "send", frozen)
    try:
        with pytest.raises(saying.MaybeSentError, match=line.kafka):
            saying.say(line, "분석 담당", "claim_entered", CLAIM)
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    assert [found.kind for found in said_in(line.kafka, line.topic_prefix)] == ["claim_entered"]


def answering(error: Exception) -> Callable[..., object]:
    """A producer whose brokers answer with that."""

    class Producer:
        def __init__(self, **_: object) -> None: ...
        def send(self, *_: object, **__: object) -> FutureRecordMetadata:
            return FutureRecordMetadata(FutureProduceResult(None), -1, None, None, -1, -1, -1).failure(error)

        def close(self) -> None: ...

    return Producer


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (TopicAuthorizationFailedError, saying.NotSentError),
        (NotEnoughReplicasAfterAppendError, saying.MaybeSentError),
        (KafkaTimeoutError, saying.MaybeSentError),
    ],
)
def test_only_what_a_broker_refused_is_surely_not_sent(error: type[KafkaError], raised: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "KafkaProducer", answering(error()))
    with pytest.raises(raised):
        saying.say(DashboardSettings(Path("unused"), "ko", "127.0.0.1:1"), "분석 담당", "claim_entered", CLAIM)


@pytest.mark.parametrize(("language", "told"), [("ko", "보냈을 수 있습니다"), ("en", "It may have been sent")])
def test_a_form_says_that_it_may_have_been_sent(language: str, told: str, line: DashboardSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path)))
    monkeypatch.setenv("ONNURI_KAFKA", line.kafka)
    monkeypatch.setattr(saying, "KafkaProducer", answering(KafkaTimeoutError()))
    app, _ = shown("incidents", language)
    form(app, "span_excluded", excluded_label="훈련")
    app.datetime_input(key="excluded_starts").set_value(datetime(2025, 3, 1, 0, 0))
    app.datetime_input(key="excluded_ends").set_value(datetime(2025, 3, 1, 1, 0))
    next(widget for widget in app.text_input if widget.autocomplete == "name").set_value("분석 담당")
    app.button[0].click().run()
    assert told in words(app)
    assert not any(said in words(app) for said in ("바뀐 것은 없습니다", "nothing was changed"))


def test_without_a_broker_nothing_is_reachable() -> None:
    assert not saying.reachable(DashboardSettings(Path(), "ko", "127.0.0.1:1,nonsense"))
    assert not saying.reachable(DashboardSettings(Path(), "ko", ""))


def form(app: AppTest, kind: str, **fields: object) -> AppTest:
    app.selectbox(key="say").set_value(kind).run()
    for key, value in fields.items():
        widget = next(widget for widget in (*app.text_input, *app.number_input, *app.text_area) if widget.key == key)
        widget.set_value(value)
    return app


def test_a_form_sends_what_it_says_and_confirms_it(line: DashboardSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path)))
    monkeypatch.setenv("ONNURI_KAFKA", line.kafka)
    monkeypatch.setenv("ONNURI_TOPIC_PREFIX", line.topic_prefix)
    app, _ = shown("incidents", "ko")
    form(app, "survey_entered", survey_label="상인 조사", survey_low=10.0, survey_substitution=30.0, survey_high=50.0)
    app.button[0].click().run()
    assert "등록자 이름이 필요합니다" in words(app)
    assert said_in(line.kafka, line.topic_prefix) == []
    next(widget for widget in app.text_input if widget.label == "등록자 이름").set_value("분석 담당")
    app.button[0].click().run()
    assert "보냈습니다" in words(app)
    (found,) = said_in(line.kafka, line.topic_prefix)
    assert found.payload == {"label": "상인 조사", "low": 0.1, "substitution": 0.3, "high": 0.5, "note": "", "incident_id": LAUNCH}
    form(app, "span_excluded", excluded_label="훈련")
    app.button[0].click().run()
    assert "받아들일 수 없습니다" in words(app)
    assert len(said_in(line.kafka, line.topic_prefix)) == 1


@pytest.mark.parametrize(("language", "told"), [("ko", "외부 주장 · 어느 신문 · 100억 원"), ("en", "Outside claim · 어느 신문 · KRW 10,000 million")])
def test_an_entry_is_chosen_among_those_of_the_incident_and_taken_back(
    language: str, told: str, line: DashboardSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"source": "어느 신문", "incident_id": LAUNCH, "amount": 10_000_000_000, "claimed_at": datetime(2025, 3, 2), "note": "1면"}
    span = {"label": "훈련", "starts_at": datetime(2025, 2, 3, 1), "ends_at": datetime(2025, 2, 3, 2), "market_id": None}
    published = publish_launch_day(tmp_path, claims=[claim, {**claim, "incident_id": EARLIER}], exclusions=[span])
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    monkeypatch.setenv("ONNURI_KAFKA", line.kafka)
    monkeypatch.setenv("ONNURI_TOPIC_PREFIX", line.topic_prefix)
    app, _ = shown("incidents", language)
    form(app, "withdrawn")
    next(widget for widget in app.text_input if widget.autocomplete == "name").set_value("분석 담당")
    app.button[0].click().run()
    assert {"ko": "비어 있는 항목: 취소할 등록", "en": "Still empty: Entry to take back"}[language] in words(app)
    entry = app.selectbox(key=f"withdrawn_{LAUNCH}")
    # That of the other incident is not among them.
    assert [option.split(" · ")[1] for option in entry.options] == ["훈련", "통합 전환을 위한 서비스 중단", "어느 신문"]
    assert entry.options[2] == told
    entry.select_index(2)
    app.button[0].click().run()
    (found,) = said_in(line.kafka, line.topic_prefix)
    words_of_it = {"source": "어느 신문", "amount": 10_000_000_000, "incident_id": LAUNCH, "note": "1면"}
    assert (found.kind, found.payload) == ("withdrawn", {"said": "claim_entered", "words": words_of_it, "note": ""})


def test_another_entry_is_never_taken_back_for_one_that_has_gone_meanwhile(sent: list[tuple[str, dict[str, object]]], tmp_path: Path) -> None:
    claims = [{"source": name, "incident_id": LAUNCH, "amount": 10, "claimed_at": datetime(2025, 3, 2), "note": ""} for name in ("가", "나", "다")]
    replace_table(tmp_path, "claim", pl.DataFrame(claims))
    app, _ = shown("incidents", "ko")
    form(app, "withdrawn")
    app.selectbox(key=f"withdrawn_{LAUNCH}").select_index(2)
    press(app)
    # Somebody else has taken the first one back: what was chosen stays what it is.
    replace_table(tmp_path, "claim", pl.DataFrame(claims[1:]))
    assert "방금 같은 내용을 보냈습니다" in press(app)
    replace_table(tmp_path, "claim", pl.DataFrame(claims[2:]))
    assert "비어 있는 항목: 취소할 등록" in press(app)
    assert [payload["words"]["source"] for _, payload in sent] == ["나"]


def test_of_an_incident_that_others_are_part_of_their_entries_can_be_taken_back_too(sent: list[tuple[str, dict[str, object]]], tmp_path: Path) -> None:
    incidents = known_incidents_of(tmp_path).with_columns(merged_into=pl.when(pl.col("incident_id") == EARLIER).then(pl.lit(LAUNCH)))
    replace_table(tmp_path, "incident", incidents)
    replace_table(tmp_path, "claim", pl.DataFrame([{"source": "가", "incident_id": EARLIER, "amount": 10, "claimed_at": datetime(2025, 3, 2), "note": ""}]))
    app, _ = shown("incidents", "ko", incident=LAUNCH)
    form(app, "withdrawn")
    app.selectbox(key=f"withdrawn_{LAUNCH}").select_index(1)
    press(app)
    assert [payload["words"]["incident_id"] for _, payload in sent] == [EARLIER]


def known_incidents_of(folder: Path) -> pl.DataFrame:
    with open_snapshot(folder) as snapshot:
        return snapshot.sql("SELECT * FROM incident")


def test_an_end_before_the_onset_that_stands_is_refused_where_it_is_given(sent: list[tuple[str, dict[str, object]]]) -> None:
    app, _ = shown("incidents", "ko", incident=LAUNCH)
    form(app, "incident_corrected")
    app.datetime_input(key=f"corrected_ended_{LAUNCH}").set_value(datetime(2025, 3, 1, 9, 0))
    assert "끝이 시작보다 뒤여야 합니다" in press(app)
    assert sent == []


def test_whatever_was_said_can_be_taken_back_as_the_tables_have_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.connection.execute("INSERT INTO incident (incident_id) VALUES ('i')")
    tables: Any = SimpleNamespace(sql=lambda text: writer.connection.sql(text).pl())
    write(writer, chunk("commands", [command(*one, number) for number, one in enumerate(KEPT_WORDS.items())]))
    said = said_so_far(tables)
    assert {one.kind for one in said} == KEPT_WORDS.keys()
    back = [command("withdrawn", {"said": one.kind, "words": one.words}, 100 + number) for number, one in enumerate(said)]
    write(writer, chunk("commands", back, first_offset=len(KEPT_WORDS)))
    assert said_so_far(tables) == []
    writer.close()


def correcting() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - Streamlit runs this function's text as a script
    from pathlib import Path  # noqa: PLC0415

    import streamlit as st  # noqa: PLC0415

    from dashboard.figures.incidents import Incident  # noqa: PLC0415
    from dashboard.settings import DashboardSettings  # noqa: PLC0415
    from dashboard.texts import texts_in  # noqa: PLC0415
    from dashboard.views.saying import Around, _corrected  # noqa: PLC0415

    found = Incident("i", "failure_rate", "nation", "", datetime(2025, 3, 1, 1, 4, 30, tzinfo=UTC), None, None, datetime(2025, 3, 1, 10, tzinfo=UTC), 0.8, None)
    st.json(_corrected(Around(DashboardSettings(Path(), "ko", ""), texts_in("ko"), incident=found)))


def test_a_correction_says_only_the_times_that_were_changed() -> None:
    app = AppTest.from_function(correcting).run()
    assert json.loads(app.json[0].value) == {"incident_id": "i", "onset_at": None, "ended_at": None}
    app.datetime_input(key="corrected_ended_i").set_value(datetime(2025, 3, 1, 18, 30)).run()
    assert json.loads(app.json[0].value) == {"incident_id": "i", "onset_at": None, "ended_at": "2025-03-01T18:30:00+09:00"}


def test_who_ran_the_platform_is_said_on_the_page_that_compares(line: DashboardSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path)))
    monkeypatch.setenv("ONNURI_KAFKA", line.kafka)
    monkeypatch.setenv("ONNURI_TOPIC_PREFIX", line.topic_prefix)
    app, _ = shown_ahead("compare", "ko")
    form(app, "operator_period", operator_name="새누리 운영")
    next(widget for widget in app.text_input if widget.label == "등록자 이름").set_value("분석 담당")
    app.button[0].click().run()
    assert "받아들일 수 없습니다" in words(app)
    app.datetime_input(key="operator_starts").set_value(datetime(2025, 3, 1, 0, 0))
    app.button[0].click().run()
    assert "보냈습니다" in words(app)
    (found,) = said_in(line.kafka, line.topic_prefix)
    assert (found.actor, found.kind, found.payload) == ("분석 담당", "operator_period", {"name": "새누리 운영", "starts_at": "2025-03-01T00:00:00+09:00"})


def test_before_anything_is_published_it_can_be_said_who_ran_the_platform(line: DashboardSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(tmp_path))
    monkeypatch.setenv("ONNURI_KAFKA", line.kafka)
    app, _ = shown_ahead("compare", "en")
    assert app.selectbox(key="say").options == ["Say who ran the platform", "Take an entry back"]


def choose(app: AppTest, key: str, value: str) -> None:
    next(widget for widget in app.selectbox if widget.key == key).set_value(value).run()


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What forms of the launch day's pages say, with nobody there to take it."""
    said: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path)))
    monkeypatch.setenv("ONNURI_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr(views, "kafka_is_there", lambda _: True)

    def keep(_: DashboardSettings, actor: str, kind: str, payload: dict[str, object]) -> str:
        record(kind, payload, actor, datetime.now(UTC))
        said.append((kind, payload))
        return "c1"

    monkeypatch.setattr(views, "say", keep)
    return said


def press(app: AppTest) -> str:
    next(widget for widget in app.text_input if widget.autocomplete == "name").set_value("분석 담당")
    app.button[0].click().run()
    assert not app.exception
    return words(app)


@pytest.mark.parametrize(
    ("scope", "name", "offered"),
    [
        ("region", "서울특별시", "부산광역시"),
        ("channel", "card", "모바일"),
        ("market", "M003", "라온1시장 · 광주광역시 4구 · M003"),
        ("issuer", "나래은행", "가람카드"),
        ("service", "login", "결제"),
    ],
)
def test_where_an_incident_was_is_chosen_among_the_names_that_are_known(scope: str, name: str, offered: str, sent: list[tuple[str, dict[str, object]]]) -> None:
    app, _ = shown("incidents", "ko")
    form(app, "incident_declared")
    assert not [widget for widget in app.selectbox if (widget.key or "").startswith("declared_name")]
    choose(app, "declared_scope", scope)
    assert offered in next(widget for widget in app.selectbox if widget.key == f"declared_name_{scope}").options
    choose(app, f"declared_name_{scope}", name)
    app.datetime_input(key="declared_onset").set_value(datetime(2025, 3, 1, 10, 0))
    press(app)
    ((_, said),) = sent
    assert (said["scope"], said["scope_name"]) == (scope, name)


def test_only_names_of_which_there_is_no_list_can_be_typed(sent: list[tuple[str, dict[str, object]]], tmp_path: Path) -> None:
    app, _ = shown("incidents", "ko")
    form(app, "incident_declared")

    def typed(scope: str) -> bool:
        choose(app, "declared_scope", scope)
        return next(widget for widget in app.selectbox if widget.key == f"declared_name_{scope}").proto.accept_new_options

    assert [typed(scope) for scope in ("region", "market", "channel", "issuer", "service")] == [False, False, False, True, True]
    replace_table(tmp_path, "market", pl.DataFrame(schema={"market_id": pl.String}))
    assert [typed(scope) for scope in ("region", "market")] == [True, True]
    assert sent == []


def test_a_span_of_one_market_is_excluded_by_choosing_the_market(sent: list[tuple[str, dict[str, object]]]) -> None:
    app, _ = shown("incidents", "ko")
    form(app, "span_excluded", excluded_label="훈련")
    app.datetime_input(key="excluded_starts").set_value(datetime(2025, 3, 1, 0, 0))
    app.datetime_input(key="excluded_ends").set_value(datetime(2025, 3, 1, 1, 0))
    next(widget for widget in app.selectbox if widget.key == "excluded_market").set_value("M003")
    press(app)
    ((_, said),) = sent
    assert said["market_id"] == "M003"


@pytest.mark.parametrize(
    ("kind", "korean", "english"),
    [
        ("claim_entered", "비어 있는 항목: 출처, 금액(원)", "Still empty: Source, Amount (KRW)"),
        ("survey_entered", "비어 있는 항목: 이름, 하한(%), 대체 비율(%), 상한(%)", "Still empty: Label"),
        ("incident_declared", "비어 있는 항목: 시작", "Still empty: Onset"),
        ("span_excluded", "비어 있는 항목: 이름, 시작 시각, 끝 시각", "Still empty: Label"),
        ("maintenance_announced", "비어 있는 항목: 이름, 시작 시각, 끝 시각", "Still empty: Label"),
        ("incident_corrected", "바뀐 시각이 없습니다", "No time was changed"),
    ],
)
def test_a_form_tells_its_empty_fields_by_their_labels_in_the_reader_s_language(
    kind: str, korean: str, english: str, sent: list[tuple[str, dict[str, object]]]
) -> None:
    for language, told in (("ko", korean), ("en", english)):
        app, _ = shown("incidents", language)
        said = press(form(app, kind))
        assert told in said
        assert "Object missing" not in said
    assert sent == []


@pytest.mark.parametrize(
    ("kind", "payload", "key"),
    [
        ("incident_declared", {"scope": "region", "scope_name": "", "onset_at": "2025-03-01T10:00+09:00"}, "say.missing"),
        ("incident_declared", {"scope": "nation", "scope_name": "", "onset_at": "2025-03-01T10:00+09:00"}, ""),
        ("incident_declared", {"scope": "nation", "scope_name": "", "onset_at": "2025-03-01T21:00+09:00"}, "say.to_come"),
        ("incident_corrected", {"incident_id": "i", "ended_at": "2025-03-01T21:00+09:00"}, "say.to_come"),
        ("maintenance_announced", {"label": "점검", "starts_at": "2025-03-02T21:00+09:00", "ends_at": "2025-03-02T23:00+09:00"}, ""),
        ("span_excluded", {"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T10:00+09:00"}, "say.not_after"),
        ("survey_entered", {"label": "조사", "low": 0.3, "substitution": 0.2, "high": 0.5}, "say.not_between"),
        ("claim_entered", {"source": "신문", "amount": 0, "incident_id": "i"}, ""),
    ],
)
def test_what_the_command_s_door_would_refuse_is_told_before_in_words_of_the_page(kind: str, payload: dict[str, object], key: str) -> None:
    now, texts = datetime(2025, 3, 1, 11, 0, tzinfo=UTC), texts_in("ko")
    said = lacking(kind, payload, now, texts)
    if key:
        assert said.startswith(texts(key, fields="") if key == "say.missing" else texts(key))
        with pytest.raises(PayloadError):
            parse(kind, json.dumps(payload), now)
    else:
        assert said == ""
        parse(kind, json.dumps(payload), now)
