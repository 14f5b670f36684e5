"""What the Compare tab keeps in a session: settings and results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coop_demo import samples
from coop_demo.charts.report import Report
from coop_demo.comparison.base_to_new import BaseToNew
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.methods import LEARNED_METHODS, find_methods
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.shift import Shift
from coop_demo.data.dataset import Dataset
from coop_demo.errors import PromptError, UserError
from coop_demo.languages import compare as say
from coop_demo.languages import said
from coop_demo.languages import teach as teach_strings
from coop_demo.letters import printable
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import train_config_for
from coop_demo.prompts.templates import fill
from coop_demo.prompts.words import VectorWords, WordsAccuracy
from coop_demo.settings import LIMITS
from coop_demo.ui.forms import whole
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE, MAX_STEPS_PAGE, PRESETS

MAX_TEMPLATES = 8
MAX_SEEDS = 5

TAUGHT = ""  # the source that is the Teach tab's own set; others are names of sample sets


@dataclass(frozen=True)
class CompareSettings:
    """What is compared on what, checked."""

    source: str  # TAUGHT, or the name of a sample set
    methods: tuple[str, ...]
    templates: tuple[str, ...]  # the first is the one to beat
    reuse: bool  # take Teach's own prompt where it knows these classes
    shots: int = 16
    seed: int = 1
    preset: str = "fast"
    n_ctx: int = 16
    steps: int | None = None  # None: the recipe's own

    @classmethod
    def parse(
        cls,
        source: Any,
        methods: Any,
        templates: Any,
        reuse: Any,
        shots: Any,
        seed: Any,
        preset: Any,
        n_ctx: Any,
        steps: Any,
    ) -> "CompareSettings":
        """Read what the page (or anybody's raw request) sent.

        Raises:
            UserError: a value is missing, of the wrong kind or out of range.
        """
        source = str(source or TAUGHT)
        known = [sample.name for sample in samples.sample_sets() if sample.teaches]
        if source != TAUGHT and source not in known:
            raise UserError(say.no_such_source(source))
        chosen = find_methods(["hand-crafted", *(str(key) for key in methods or ())])
        lines = [printable(line).strip() for line in str(templates or "").splitlines()]
        lines = list(dict.fromkeys(line for line in lines if line))
        if len(lines) > MAX_TEMPLATES:
            raise PromptError(say.too_many_templates(len(lines), MAX_TEMPLATES))
        for line in lines:
            if len(line) > LIMITS.max_template:
                raise PromptError(teach_strings.TEMPLATE_TOO_LONG)
            fill(line, "thing")  # raises when there is no {}
        if not lines:
            raise PromptError('Write at least one prompt, for instance "a photo of a {}."')
        if preset not in PRESETS:
            raise PromptError(teach_strings.choose_one(say.PRESET_LABEL, preset, PRESETS))
        settings = cls(
            source=source,
            methods=tuple(method.key for method in chosen),
            templates=tuple(lines),
            reuse=bool(reuse),
            shots=whole(shots, say.SHOTS_LABEL, 1, MAX_SHOTS_PAGE, error=PromptError),
            seed=whole(seed, say.SEED_LABEL, 0, 2**31 - 1, error=PromptError),
            preset=preset,
            n_ctx=whole(n_ctx, say.N_CTX_LABEL, 1, 32, error=PromptError),
            steps=None
            if steps in (None, "", 0)
            else whole(steps, say.STEPS_LABEL, 1, MAX_STEPS_PAGE, error=PromptError),
        )
        config = train_config_for(preset, settings.shots, 320, steps=settings.steps)  # type: ignore[arg-type]
        if config.steps > MAX_STEPS_PAGE:
            raise PromptError(teach_strings.too_many_steps(config.steps, MAX_STEPS_PAGE))
        return settings

    @property
    def training(self) -> dict[str, Any]:
        """Keyword arguments that every training of the tab is given."""
        return {
            "preset": self.preset,
            "prompt_config": PromptConfig(n_ctx=self.n_ctx),
            "steps": self.steps,
        }


@dataclass(frozen=True)
class Words:
    """A learned prompt read as words."""

    vectors: tuple[VectorWords, ...]
    accuracy: WordsAccuracy


@dataclass(frozen=True)
class Compared:
    """Everything the tab shows of one comparison; kept in the session, one a backbone."""

    comparison: Comparison = field(repr=False)
    dataset: Dataset = field(repr=False)  # before shots were drawn and pictures held out
    settings: CompareSettings
    notes: tuple[str, ...]
    ending: str  # one sentence: how many methods, in how long, or that it was stopped
    words: Mapping[str, Words] = field(default_factory=dict, repr=False)  # by method
    cells: tuple[Cell, ...] = field(default=(), repr=False)  # of the shots curve
    curve_problems: tuple[str, ...] = ()
    curve_ending: str = ""
    base_to_new: BaseToNew | None = field(default=None, repr=False)
    shift: Shift | None = field(default=None, repr=False)

    def methods(self) -> list[tuple[str, str]]:
        """(title, key) of every method that was measured, in the order they ran."""
        return [(said(result.title), result.method) for result in self.comparison.results]

    def best_learned(self) -> str:
        """The key of the learned prompt that is looked at first, or ""."""
        there = [key for _, key in self.methods()]
        return next((key for key in LEARNED_METHODS if key in there), "")

    def report(self) -> Report:
        words = self.words.get(self.best_learned())
        return Report(
            comparison=self.comparison,
            cells=self.cells,
            base_to_new=self.base_to_new,
            shift=self.shift,
            words=words.vectors if words else (),
            words_accuracy=words.accuracy if words else None,
        )


@dataclass
class CompareState:
    """What the tab keeps. Change it under the session's lock."""

    compared: dict[str, Compared] = field(default_factory=dict)  # by backbone
    words: str = ""  # the template the box of templates was given last, following Teach
