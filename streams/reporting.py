"""The loss report on the command line. The dashboard's room writes it, from its charts and texts, as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from streams.ports import check_answering
from streams.saying import say_commands
from streams.settings import Settings


class ReportError(Exception):
    """The report could not be written; the message says why."""


def write_report(
    settings: Settings,
    incident: str,
    out: Path,
    *,
    language: str,
    stage: str,
    author: Path | None,
    note: str = "",
    issued_by: str | None = None,
    snapshot: int | None = None,
) -> list[str]:
    """Write the report as PDF, HTML and XLSX into ``out`` and return the files; with ``issued_by`` the edition goes into the revision log.

    Raises:
        ReportError: there is no such incident, nothing is published, or a file of the author is wrong.
        BrokerAwayError: it is to be issued, and no broker is there; nothing is written.
        KafkaError: the edition could not be sent; the files are there.
    """
    if issued_by is not None:
        check_answering(settings.kafka)
    files = author or settings.report_files
    options = {"out": out, "lang": language, "stage": stage, "note": note, "author": files, "snapshot": snapshot}
    # In one piece with its name, so that a note that begins with a hyphen is a note; what stands behind -- is no option either.
    arguments = [*(f"--{name}={value}" for name, value in options.items() if value is not None), "--", incident]
    environment = {**os.environ, "ONNURI_PUBLISHED": str(settings.published_folder)}
    run = subprocess.run([sys.executable, "-m", "dashboard.report", *arguments], env=environment, capture_output=True, text=True, check=False, encoding="utf-8")
    if run.returncode:
        raise ReportError(_reason(run.stderr.strip()) or f"python -m dashboard.report ended with exit code {run.returncode}.")
    found = json.loads(run.stdout)
    if issued_by is not None:
        say_commands(settings, issued_by, [("report_issued", found["edition"])])
    written: list[str] = found["files"]
    return written


def _reason(said: str) -> str:
    """The last line of what the process said, before which there may be warnings; of a bug all, which shows where."""
    return said if "Traceback" in said else said[said.rfind("\n") + 1 :]
