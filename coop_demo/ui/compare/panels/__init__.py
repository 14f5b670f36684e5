"""Looking closer at a comparison: one panel a question, each a tab below the table of methods."""

from typing import Any, Protocol

from coop_demo.ui.compare.panels.base_to_new import BaseToNewPanel
from coop_demo.ui.compare.panels.calibration import CalibrationPanel
from coop_demo.ui.compare.panels.differ import DifferPanel
from coop_demo.ui.compare.panels.export import ExportPanel
from coop_demo.ui.compare.panels.learned import LearnedPanel
from coop_demo.ui.compare.panels.mistakes import MistakesPanel
from coop_demo.ui.compare.panels.shift import ShiftPanel
from coop_demo.ui.compare.panels.shots import ShotsPanel
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Panel(Protocol):
    """A panel: `view(session, compared)` returns updates for all of `outputs`."""

    outputs: list[Any]

    def view(self, session: Session, compared: Compared | None) -> Updates: ...

    def wire(self, shell: Shell) -> None: ...


PANELS: tuple[type, ...] = (
    ShotsPanel,
    MistakesPanel,
    DifferPanel,
    LearnedPanel,
    BaseToNewPanel,
    ShiftPanel,
    CalibrationPanel,
    ExportPanel,
)
