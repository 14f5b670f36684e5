"""What the Teach tab's handlers take and keep: settings, a try."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from coop_demo.data.dataset import Picture
from coop_demo.errors import PromptError
from coop_demo.languages import teach as say
from coop_demo.letters import printable
from coop_demo.prompts.learner import POSITIONS, PromptConfig
from coop_demo.prompts.teach import train_config_for
from coop_demo.prompts.templates import fill
from coop_demo.prompts.training import Preset, TrainConfig
from coop_demo.settings import LIMITS
from coop_demo.ui.forms import number, whole

MAX_STEPS_PAGE = 5_000  # about ten minutes of mini on two cores; the command line has no limit


MAX_SHOTS_PAGE = 64

# values of two settings; `strings` have their names
KINDS = ("one for all classes", "one per class")
PRESETS = ("fast", "paper")


@dataclass(frozen=True)
class TeachSettings:
    """The settings of the Train column, checked."""

    template: str
    prompt: PromptConfig
    shots: int
    preset: Preset
    seed: int
    steps: int | None  # None: the preset's own; the page shows that as 0
    learning_rate: float | None
    kgcoop_weight: float

    @classmethod
    def parse(
        cls,
        template: Any,
        n_ctx: Any,
        kind: Any,
        position: Any,
        init: Any,
        shots: Any,
        preset: Any,
        steps: Any,
        learning_rate: Any,
        kgcoop_weight: Any,
        seed: Any,
    ) -> "TeachSettings":
        """Read what the page (or anybody's raw request) sent.

        Raises:
            PromptError: a value is missing, of the wrong kind or out of range.
        """
        if kind not in KINDS:
            raise PromptError(say.choose_one(say.KIND_LABEL, kind, KINDS))
        if position not in POSITIONS:
            raise PromptError(say.choose_one(say.POSITION_LABEL, position, POSITIONS))
        if preset not in PRESETS:
            raise PromptError(say.choose_one(say.PRESET_LABEL, preset, PRESETS))
        settings = cls(
            template=printable(str(template or "")).strip(),
            prompt=PromptConfig(
                n_ctx=whole(n_ctx, say.N_CTX_LABEL, 1, 32, error=PromptError),
                class_specific=kind == KINDS[1],
                position=position,
                init=printable(str(init or "")).strip()[:500],
            ),
            shots=whole(shots, say.SHOTS_LABEL, 1, MAX_SHOTS_PAGE, error=PromptError),
            preset=preset,
            seed=whole(seed, say.SEED_LABEL, 0, 2**31 - 1, error=PromptError),
            steps=None
            if steps in (None, "", 0)
            else whole(steps, say.STEPS_LABEL, 1, 10**9, error=PromptError),
            learning_rate=None
            if learning_rate in (None, "", 0)
            else number(learning_rate, say.RATE_LABEL, error=PromptError),
            kgcoop_weight=number(kgcoop_weight or 0, say.PULL_LABEL, error=PromptError),
        )
        fill(settings.template, "thing")  # raises when there is no {}
        if len(settings.template) > LIMITS.max_template:
            raise PromptError(say.TEMPLATE_TOO_LONG)
        if settings.steps is not None and settings.steps > MAX_STEPS_PAGE:
            raise PromptError(say.too_many_steps(settings.steps, MAX_STEPS_PAGE))
        settings.train_config(1)  # raises when a number is out of range
        return settings

    @property
    def shown(self) -> tuple[Any, ...]:
        """What the page shows of the settings after the template, in the order of `parse`."""
        prompt = self.prompt
        return (
            prompt.n_ctx,
            KINDS[prompt.class_specific],
            prompt.position,
            prompt.init,
            self.shots,
            self.preset,
            self.steps or 0,
            self.learning_rate or 0,
            self.kgcoop_weight,
            self.seed,
        )

    def train_config(self, n_train: int) -> TrainConfig:
        return train_config_for(self.preset, self.shots, n_train, seed=self.seed, **self.overrides)

    @property
    def overrides(self) -> dict[str, Any]:
        return {
            "template": self.template,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "kgcoop_weight": self.kgcoop_weight,
        }


@dataclass(frozen=True)
class AtHand:
    """A picture that the page offers to try, and what it shows."""

    picture: Picture
    truth: str  # the name of its class
    elsewhere: str = ""  # the title of the other set it comes from


@dataclass(frozen=True)
class Tried:
    """What both prompts say about pictures.

    Shape: learned and words (K, C) probabilities; learned is None while nothing was learned.
    """

    class_names: tuple[str, ...]
    pictures: tuple[str, ...]  # names, K
    learned: Tensor | None
    words: Tensor
    problems: tuple[str, ...] = ()
    unlike: tuple[bool, ...] = ()  # whether each may be none of the classes; () if not known
