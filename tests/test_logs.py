"""The log as JSON: a line is a record, whatever a message holds."""

import io
import json
import logging
import logging.config
from datetime import datetime

import pytest

from streams.logs import JsonLines


@pytest.fixture
def written():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("onnuri.test")
    logger.addHandler(handler)
    yield logger, lambda: [json.loads(line) for line in stream.getvalue().rstrip("\n").split("\n")]
    logger.removeHandler(handler)


def test_a_message_cannot_feign_a_second_line(written):
    logger, lines = written
    logger.warning("refused %s", 'x"\n{"level": "INFO", "message": "all is well"}\r시장')
    (said,) = lines()
    assert said["level"] == "WARNING" and said["logger"] == "onnuri.test" and said["message"].endswith("시장") and "\n" in said["message"]
    assert datetime.fromisoformat(said["time"]).utcoffset().total_seconds() == 0


def test_an_exception_stays_in_its_line(written):
    logger, lines = written
    try:
        int("a\nb")
    except ValueError:
        logger.exception("failed")
    (said,) = lines()
    assert said["exception"] == "ValueError" and "Traceback" in said["traceback"]
