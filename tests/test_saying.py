"""What is said from a shell names only what is known, or says that it was not looked at."""

from pathlib import Path
from typing import Any

import pytest

from streams.saying import refuse_unknown
from tests.dashboard_data import LAUNCH, publish_launch_day
from warehouse.commands import PayloadError
from warehouse.names import known_names
from warehouse.reading import open_snapshot


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        ("incident_declared", {"scope": "region", "scope_name": "서울"}, r"there is no region '서울'\. .*Known: .*To send it all the same: --unchecked"),
        ("incident_corrected", {"incident_id": LAUNCH, "scope": "issuer", "scope_name": "은행"}, "there is no issuer '은행'"),
        ("span_excluded", {"label": "화재", "market_id": "nowhere"}, "there is no market 'nowhere'"),
        ("maintenance_announced", {"label": "점검", "service": "pay"}, r"there is no service 'pay'\. Did you mean payment\?"),
        ("claim_entered", {"incident_id": "nope", "amount": 1}, r"incident_id is 'nope': there is no such incident\. Their ids: onnuri incidents\."),
        ("incident_merged", {"incident_id": LAUNCH, "into": "nope"}, "into is 'nope'"),
    ],
)
def test_a_place_or_an_incident_that_is_not_known_is_refused_with_what_is(published: Path, kind: str, payload: dict[str, Any], words: str) -> None:
    with pytest.raises(PayloadError, match=words):
        refuse_unknown(published, kind, payload)


def test_what_is_known_and_what_names_nothing_is_let_through(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        region = next(iter(known_names(snapshot, "region")))
    for payload in ({"scope": "region", "scope_name": region}, {"scope": "nation"}, {"incident_id": LAUNCH}, {"label": "훈련"}, {"scope": 1, "service": None}):
        refuse_unknown(published, "incident_declared", payload)


def test_where_nothing_is_published_nothing_is_looked_at(tmp_path: Path) -> None:
    refuse_unknown(tmp_path, "claim_entered", {"incident_id": "nope"})
