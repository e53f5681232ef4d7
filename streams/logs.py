"""The worker's log as JSON, an object a line, for programs that gather logs."""

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """Time (ISO 8601, UTC), level, logger and message; of an exception its type and where it came from."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: line ends in a message are escaped, so that no message can feign a second one."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            told |= {"exception": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        return json.dumps(told, ensure_ascii=False)


def json_lines(level: str) -> dict[str, Any]:
    """The configuration of logging, for ``logging.config`` and for Faust, which would otherwise put its own in the place of what was there."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "streams.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": level, "handlers": ["stderr"]},
    }
