"""From a published state to files: PDF, HTML and XLSX of one document, and their hashes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dashboard.report.author import AuthorFiles
from dashboard.report.composing import compose
from dashboard.report.gathering import Report, Stage, gather
from dashboard.report.html import write_html
from dashboard.report.pdf import write_pdf
from dashboard.report.xlsx import write_xlsx
from warehouse.reading import open_snapshot

WRITERS = {"pdf": write_pdf, "html": write_html, "xlsx": write_xlsx}


@dataclass(frozen=True)
class Written:
    """A report in every form, by ending."""

    report: Report
    language: str
    files: dict[str, bytes]

    @property
    def name(self) -> str:
        """The files' name without ending."""
        return f"loss-report-{self.report.figures.incident.incident_id}-{self.report.stage}-{self.language}"

    @property
    def document(self) -> str:
        """SHA-256 of the PDF."""
        return hashlib.sha256(self.files["pdf"]).hexdigest()


def write_report(published: Path, incident_id: str, author: AuthorFiles, language: str, *, stage: Stage = "draft", snapshot: int | None = None) -> Written:
    """The report on an incident from the newest published state, or from a lake's ``snapshot`` of that number.

    Raises:
        NothingPublishedError: there is none.
        NotKnownError: there is no such incident, or no such snapshot.
        UnfinishedError: a final edition was asked for, and the figures are provisional.
    """
    with open_snapshot(published, snapshot) as opened:
        report = gather(opened, published, incident_id, author, stage=stage)
    document = compose(report, language)
    return Written(report, language, {ending: write(document) for ending, write in WRITERS.items()})


def issued(written: Written, note: str = "") -> dict[str, object]:
    """The payload of the command ``report_issued`` for what was written; on a launch the range alone, as the report has it."""
    of, found = written.report.figures, written.report.provenance
    lost = of.shortfall
    window = {"window_start": of.start.isoformat(), "window_end": of.end.isoformat()} if of.start < of.end else {}
    figures = {} if lost is None else {"lost": lost.value, "low": lost.low, "high": lost.high}
    return {
        "incident_id": of.incident.incident_id,
        "stage": written.report.stage,
        "manifest_sequence": found.manifest.sequence,
        "inputs": found.inputs,
        "document": written.document,
        **{name: round(figure) for name, figure in figures.items() if figure is not None},
        "note": note,
        **window,
    }
