"""What the Look tab keeps in a session."""

from dataclasses import dataclass, field

from PIL import Image
from torch import Tensor

from coop_demo.data.dataset import Picture
from coop_demo.heatmaps.attribution import Explanation
from coop_demo.heatmaps.faithfulness import Faithfulness
from coop_demo.heatmaps.ranker import OrderMaps
from coop_demo.languages import look as say
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.ranking.ranker import Ranker


@dataclass(frozen=True)
class Prompts:
    """What another tab judged a picture by."""

    model: str  # they mean nothing with another one
    template: str
    prompt: LearnedPrompt | None = field(repr=False)


SCENES, MINE = "scenes", "mine"  # where pictures to look at come from
# what a map or a curve of the check belongs to
WORDS, LEARNED, AT_RANDOM, MEANINGLESS = "words", "learned", "random", "meaningless"


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture to look at and the class names it is told apart by."""

    picture: Picture
    class_names: tuple[str, ...]
    own: str = ""  # the class it is known to show
    prompts: Prompts | None = None  # the session's own when None

    @property
    def first_wanted(self) -> str:
        """What is looked for until a person says otherwise; "" where nothing is known."""
        return self.own or next(iter(self.class_names), "")


@dataclass(frozen=True, eq=False)
class Looked:
    """The maps of one picture.

    `words` and `learned` hold a map for each of `texts`; `index` is the one asked for. A free
    text stands first, before the class names. `learned` is None where a learned prompt has
    nothing to say, and `remark` says why.
    """

    image: Image.Image = field(repr=False)
    name: str
    box: tuple[float, float, float, float]
    texts: tuple[str, ...]
    index: int
    words: Explanation
    learned: Explanation | None
    difference: Tensor | None  # (T, h, w)
    remark: str
    seconds: float
    checks: tuple[tuple[str, Faithfulness], ...] = ()  # (WORDS or LEARNED, check)

    @property
    def wanted(self) -> str:
        return self.texts[self.index]


@dataclass
class LookState:
    """What the tab keeps of prompts' maps. Change it under the session's lock."""

    offered: list[Subject] = field(default_factory=list)  # the pictures shown to choose from
    subject: Subject | None = None
    looked: Looked | None = None
    fresh: bool = False  # the subject was chosen and not looked at yet
    number: int = 0  # of the last look: what an older one finds is of no interest any more


@dataclass(frozen=True, eq=False)
class Drawn:
    """The maps asked for as pictures; the learned ones None where there are none."""

    words: Image.Image
    learned: Image.Image | None
    difference: Image.Image | None


@dataclass(frozen=True, eq=False)
class RankedSubject:
    """One picture of an order, or two to compare, with what they were ranked by."""

    pictures: tuple[Picture, ...]
    instruction: str
    order: tuple[Picture, ...]  # all pictures, the first one first
    model: str
    ranker: Ranker


@dataclass(frozen=True, eq=False)
class RankedLook:
    """The ranker's maps of one or two pictures; tuples hold one entry a picture."""

    instruction: str
    names: tuple[str, ...]
    images: tuple[Image.Image, ...] = field(repr=False)
    boxes: tuple[tuple[float, float, float, float], ...]
    maps: OrderMaps
    seconds: float

    @property
    def answer(self) -> str:
        """Why this one is ahead, or what its score is, as sentences."""
        pair, scores = self.maps.pair, [one.score for one in self.maps.scores]
        if pair is None:
            return say.score_is(self.names[0], scores[0])
        first, other = scores
        ahead = say.pair_sentence(pair, *self.names[:2])
        if first == other:
            return f"{ahead} {say.scores_are_equal(first)}"
        agrees = (first > other) == (pair.probability > 0.5)
        return f"{ahead} {say.scores_are(first, other, agrees)}"


@dataclass
class OrderLookState:
    """What the tab keeps of a ranker's maps. Change it under the session's lock."""

    subject: RankedSubject | None = None
    looked: RankedLook | None = None
    fresh: bool = False  # the subject was chosen and not looked at yet
