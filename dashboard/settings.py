"""What the dashboard is told by the environment, read once at the door."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.access import PLAIN, Access, AccessError, secret

YES, NO = ("1", "true", "yes", "on", "t", "y"), ("", "0", "false", "no", "off", "f", "n")
"""What a switch may say, as the line reads it."""


@dataclass(frozen=True)
class DashboardSettings:
    """Where the published states are, the language that a page starts in, and the Kafka that takes what people say.

    ``api_hosts`` are the names by which programs reach the API besides localhost and the address that it listens on.
    Without ``kafka`` pages only show. Where people sign in, those in ``analysts`` may say something and those in
    ``viewers`` only see; nobody else sees anything. ``audit_log``: the file that keeps who saw what.
    """

    published: Path
    language: str
    kafka: str = ""
    topic_prefix: str = ""
    analysts: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()
    audit_log: Path | None = None
    report_files: Path | None = None
    api_token: str = ""
    api_hosts: frozenset[str] = frozenset()
    public_status: bool = False
    """Whether the page and the feed of downtimes are for everybody, signed in or not."""
    access: Access = PLAIN
    """How one gets in to that Kafka."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "DashboardSettings":
        """Read ``ONNURI_PUBLISHED``, else the folder ``published`` beside ``ONNURI_WAREHOUSE``; and the settings of the pages themselves.

        Raises:
            AccessError: a secret's file cannot be read, or a setting holds none of the words that it takes.
        """
        warehouse = Path(environment.get("ONNURI_WAREHOUSE") or "data/onnuri.duckdb")
        published = Path(environment.get("ONNURI_PUBLISHED") or warehouse.parent / "published")
        return cls(
            published=published,
            language=_one_of(environment, "ONNURI_LANGUAGE", ("ko", "en")),
            report_files=Path(environment["ONNURI_REPORT_FILES"]) if environment.get("ONNURI_REPORT_FILES") else None,
            api_hosts=_listed(environment.get("ONNURI_API_HOSTS", "")),
            api_token=secret(environment, "ONNURI_API_TOKEN"),
            kafka=environment.get("ONNURI_KAFKA", ""),
            public_status=_one_of(environment, "ONNURI_PUBLIC_STATUS", (*NO, *YES)) in YES,
            topic_prefix=environment.get("ONNURI_TOPIC_PREFIX", ""),
            analysts=_listed(environment.get("ONNURI_ANALYSTS", "")),
            viewers=_listed(environment.get("ONNURI_VIEWERS", "")),
            access=Access.read(environment),
            audit_log=Path(environment["ONNURI_AUDIT_LOG"]) if environment.get("ONNURI_AUDIT_LOG") else None,
        )


def _one_of(environment: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """What a setting says, the first of the words where it says nothing."""
    said = environment.get(name, "").strip().lower() or words[0]
    if said not in words:
        raise AccessError(f"{name}: expected one of {', '.join(filter(None, words))}; got {environment[name]!r}.")
    return said


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, (entry.strip().lower() for entry in text.split(","))))
