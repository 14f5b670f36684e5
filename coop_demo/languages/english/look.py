"""Every sentence of the Look tab."""

from coop_demo.heatmaps.faithfulness import Faithfulness
from coop_demo.heatmaps.ranker import PairMaps
from coop_demo.settings import LIMITS

PICTURE_TITLE, PICTURE_LEAD = "Picture", "Choose one or drop one, and say what to look for."
MAPS_TITLE = "Where it looked"
MAPS_LEAD = "The same picture through the eyes of both prompts, and what changed between them."
CHECK_TITLE = "Can you trust it?"
CHECK_LEAD = (
    "If the map is right, the score drops at once when we remove what it marks, and rises at once "
    "when we put that back into a blurred picture. For comparison, the same is done with random "
    "places and with the map of a meaningless text."
)

SOURCES = {"Sample scenes, several things each": "scenes", "My pictures (tab Teach)": "mine"}
SOURCE_LABEL = "Pictures"
DROP_LABEL = "Or a picture of your own"
WANTED_LABEL = "What to look for"
WANTED_INFO = "A class, or a sentence of your own."
METHOD_LABEL = "Method"
SUITS = "What suits the model"
MAP_METHOD_TITLES = {
    SUITS: "auto",
    "LeGrad": "legrad",
    "Attention rollout": "rollout",
    "Grad-CAM": "gradcam",
    "Occlusion": "occlusion",
}
LOOK = "Look"


def no_such_method(name: str) -> str:
    return f"There is no method “{name[:40]}”. Choose one of those shown."


def one_or_two(n: int) -> str:
    return f"The ranker's maps are for one or two pictures, not {n}."


OPACITY_LABEL = "Opacity"
CELLS_LABEL = "Show the map's true resolution"
WORDS, LEARNED, DIFFERENCE = "Hand-crafted prompt", "Learned prompt", "Difference"
SLIDER_LABEL = "Drag from one to the other"
SLIDER_BOTH = "Drag: hand-crafted prompt left, learned prompt right"
SLIDER_ONE = "Drag: the picture left, its map right"
STRIP_LABEL = "All classes at once"
ZIP_ONE = "Save all maps of this picture (zip)"
ZIP_SET = "Draw the maps of all these pictures (zip)"
GET_ZIP_SET = "Save the maps of these pictures (zip)"
DELETION_TITLE = "What is marked, taken away"
INSERTION_TITLE = "What is marked, put back"
AT_RANDOM, MEANINGLESS = "Random places", "Meaningless text"
PROBABILITY_AXIS, COSINE_AXIS = "probability", "cosine"
LOOKING, CHECKING = "Drawing the maps …", "Taking pixels away and putting them back …"

NO_PICTURE = "Choose a picture or drop one first."
NOTHING_WANTED = "Say what to look for: choose a class or write a sentence."
WANTED_TOO_LONG = f"What to look for is longer than {LIMITS.max_template} characters. Shorten it."
UNKNOWN_PICTURE = "That picture is not in the list any more. Choose one that is shown."
NO_MAPS = "There are no maps to save yet. Choose a picture and look first."
NO_MINE = "There are no pictures in the tab Teach yet. Load a sample set or add some there."
NO_PROMPT = "Train or load a prompt in the Teach tab, and its map will appear next to this one."
NONE_NAMED = (
    "None of these pictures has a class name to look for. Name the classes in the tab Teach."
)
CLASS_SPECIFIC = (
    "The learned prompt has one context per class and never saw these, so only the hand-crafted "
    "prompt's map is shown."
)
FREE_TEXT = "A sentence is read as it stands; a learned prompt has a map for class names only."
BORROWED = (
    "The learned prompt never saw some of these classes; its context is applied to their names."
)
EMPTY_MAP = "The hand-crafted prompt finds nothing here that speaks for it, so nothing is marked."
PALE = "The pale part lies outside the square that the model sees."
COLOURS = "Difference: vermilion where the learned prompt marks more, blue where it marks less."
EMPTY = "Choose a picture and say what to look for. Then you will see:"
PROMISES = (
    "the maps of the hand-crafted and of the learned prompt, and what changed between them",
    "the maps of all classes at once",
    "a check of whether you can trust the maps",
    "for an order from the Rank tab: click a picture or a pair there to see what the ranker saw",
)


def check_sentence(check: Faithfulness) -> str:
    """What the check of a map found."""
    return check.sentence


def pair_sentence(pair: PairMaps, first: str, other: str) -> str:
    """Why one of two pictures is ahead."""
    return pair.sentence(f"“{first}”", f"“{other}”")


def axes(quantity: str, kind: str) -> str:
    return f"{quantity} · % of the picture {'taken away' if kind == 'deletion' else 'put back'}"


def curves_aria(title: str, quantity: str, areas: str) -> str:
    return f"{title}: {quantity} over the part of the picture. Areas: {areas}."


def curve_point(name: str, fraction: float, score: float) -> str:
    return f"{name}: {score:.2f} at {fraction:.0%} of the picture"


def its_own(title: str) -> str:
    return f"{title} (what suits the model)"


def asked(wanted: str, method: str, seconds: float, shape: tuple[int, int]) -> str:
    names = {key: title for title, key in MAP_METHOD_TITLES.items()}
    return f"“{wanted}” by {names[method]}, {shape[0]} × {shape[1]} cells, {seconds:.1f} s."


def scored(title: str, cosine: float) -> str:
    return f"{title} · {cosine:.2f}"


def strip_hint(learned: bool, shown: int, n: int) -> str:
    whose = "learned" if learned else "hand-crafted"
    some = f" The first {shown} of {n}." if shown < n else ""
    return f"{STRIP_LABEL}, by the {whose} prompt, with the cosine.{some} Click one to look for it."


def shuffled_hint(correlation: float) -> str:
    return (
        "The same map for a text without meaning (its vector's numbers shuffled). "
        f"Rank correlation with the real map: {correlation:.2f}."
    )


def offered(shown: int, n: int) -> str:
    return f"The first {shown} of {n} are shown." if shown < n else ""


def drawing(done: int, total: int) -> str:
    return f"Picture {done} of {total}"


def areas(
    quantity: str,
    whole: float,
    deletion: float,
    random_deletion: float,
    meaningless_deletion: float,
    insertion: float,
    random_insertion: float,
    meaningless_insertion: float,
) -> str:
    return (
        f"The whole picture has the {quantity} {whole:.2f}. "
        f"Area when taking away {deletion:.2f} (random {random_deletion:.2f}, meaningless text "
        f"{meaningless_deletion:.2f}; lower is better), when putting back {insertion:.2f} (random "
        f"{random_insertion:.2f}, meaningless text {meaningless_insertion:.2f}; higher is better)."
    )


def drawn_set(n: int, n_all: int, left_out: int, most: int) -> str:
    """What the zip of a set lacks; empty when it lacks nothing."""
    said = []
    if left_out == 1:
        said.append("One picture has no class to look for and was left out.")
    elif left_out:
        said.append(f"{left_out} pictures have no class to look for and were left out.")
    if n < n_all - left_out:
        said.append(f"The first {most} of {n_all - left_out} pictures were drawn.")
    return " ".join(said)


# --- what the ranker looked at --------------------------------------------------------------------
RANKED_TITLE = "What the ranker looked at"
RANKED_LEAD = "Pictures of the order in the tab Rank, one or two at a time."
RANKED_FIRST, RANKED_OTHER = "Picture", "Against"
ALONE = "no other: this one alone"
BACK = "Back to the maps of prompts"
PAIR_HEAD = "Why is this one ahead?"
PAIR_LEAD = (
    "Top: where the comparison looked, above an even spread over both pictures. Bottom: vermilion "
    "pushes the first picture ahead, blue holds it back. Where it looks is not always what counts "
    "in favour, so read both."
)
SCORE_HEAD = "What makes the score"
SCORE_LEAD = "Vermilion raises the picture’s score, blue lowers it (to first order)."
WORDS_HEAD = "Where each word is read"
ZIP_RANKED = "Save these maps (zip)"
NO_RANKER = (
    "There is no ranker for this model, so there is nothing to look into. Teach or load one."
)
NOTHING_RANKED = "Click a picture or a pair in the tab Rank first."


def words_lead(elsewhere: float) -> str:
    return (
        "Cross-attention from the picture’s patches to each word, where it is above its average "
        "over the picture; the share is that average. "
        f"{elsewhere:.0%} of the reading goes to no word: learned tokens, start, end and padding."
    )


def ranked_by(instruction: str, shape: tuple[int, int], seconds: float) -> str:
    return f"“{instruction}”, {shape[0]} × {shape[1]} cells, {seconds:.1f} s."


SAME_PICTURE = "That is one picture twice. Choose two to compare."


def score_is(name: str, score: float) -> str:
    return f"“{name}” has the score {score:.3f}."


def scores_are(first: float, other: float, agrees: bool) -> str:
    also = "say the same" if agrees else "say the opposite: its two ways to judge disagree"
    return f"The scores, {first:.3f} and {other:.3f}, {also}."


def scores_are_equal(score: float) -> str:
    return f"The scores are equal, {score:.3f}: neither is ahead."


def attention_on(name: str, share: float) -> str:
    return f"{name} · {share:.0%} of the attention"


def pull_on(name: str, share: float) -> str:
    return f"{name} · ahead or held back"


def scored_as(name: str, score: float) -> str:
    return f"{name} · score {score:.3f}"


def word_read(word: str, share: float, name: str) -> str:
    where = f" · {name}" if name else ""
    return f"{word} · {share:.1%}{where}"
