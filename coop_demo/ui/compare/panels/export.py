"""The comparison to take away."""

import zipfile
from typing import Any

import gradio as gr

from coop_demo.charts.report import csv_files, html_report
from coop_demo.languages import ENGLISH, speaking
from coop_demo.languages import compare as say
from coop_demo.ui import html as page_html
from coop_demo.ui.compare.actions import report_folder
from coop_demo.ui.compare.kept import need_compared
from coop_demo.ui.compare.panels.parts import HIDDEN, compare_first, lead
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import LOOKS, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class ExportPanel:
    """One self-contained report and all tables."""

    def __init__(self) -> None:
        with gr.Tab(say.TAKE_TAB, id="take"):
            lead(say.TAKE_LEAD)
            self.pictures = gr.Checkbox(True, label=say.WITH_PICTURES, elem_id="report-pictures")
            self.write = gr.Button(say.WRITE, variant="primary", elem_id="write-report")
            self.status = gr.HTML(compare_first(), padding=False, elem_id="report-status")
            with gr.Row(elem_classes="cs-files"):
                self.html = gr.DownloadButton(say.GET_HTML, visible=False, elem_id="get-report")
                self.csv = gr.DownloadButton(say.GET_CSV, visible=False, elem_id="get-tables")
        self.outputs: list[Any] = [self.status, self.html, self.csv]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        hint = compare_first() if compared is None else ""
        return {self.status: hint, self.html: HIDDEN, self.csv: HIDDEN}

    def wire(self, shell: Shell) -> None:
        def write(session: Session, pictures: Any) -> Updates:
            report = need_compared(session).report()
            folder = report_folder(session)
            page, tables = folder / "report.html", folder / "tables.zip"
            with speaking(ENGLISH):  # what is exported
                page.write_text(html_report(report, pictures=bool(pictures)), encoding="utf-8")
                files = csv_files(report)
            with zipfile.ZipFile(tables, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            return {
                self.status: page_html.hint(say.written(len(files))),
                self.html: gr.update(value=str(page), visible=True),
                self.csv: gr.update(value=str(tables), visible=True),
            }

        shell.on(
            self.write.click,
            write,
            [self.pictures],
            self.outputs,
            show_progress_on=[self.status],
            **LOOKS,
        )
