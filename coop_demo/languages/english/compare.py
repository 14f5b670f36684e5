"""Every sentence of the Compare tab that is not an error of the core."""

from coop_demo.comparison.verdict import SIGNIFICANT, Outcome
from coop_demo.languages.english.comparison import p_value as p_value_text
from coop_demo.languages.english.page import counted, left

# --- what to compare ------------------------------------------------------------------------------
SET_TITLE = "Choose"
SET_LEAD = "All methods see the same shots and are judged on the same held-out pictures."
SOURCE_LABEL = "Pictures"
FROM_TEACH = "The set of the Teach tab"
METHODS_LABEL = "Methods"
TEMPLATES_LABEL = "Hand-crafted prompts"
TEMPLATES_INFO = "One a line; {} stands for the class name. The first is the one to beat."
OFFER_LABEL = "Add a prompt"
OFFER_INFO = "Those of the CoOp paper, each for its own data set."
REUSE_LABEL = "Use the prompt learned in Teach instead of training it again"
SHOTS_LABEL = "Pictures a class"
SEED_LABEL = "Seed"
PRESET_LABEL = "Recipe"
N_CTX_LABEL = "Context length"
STEPS_LABEL = "Steps"
FROM_RECIPE = "from the recipe"
SETTINGS = "Settings"
COMPARE = "Compare"

# --- running --------------------------------------------------------------------------------------
RESULT_TITLE = "Side by side"
RESULT_LEAD = "Who won, and could it be chance?"
TABLE_LEAD = (
    "Best first. The line through each bar is the 95 % interval of its accuracy. “+5 −2” means: "
    "right on 5 pictures the words get wrong, wrong on 2 they get right."
)
NOTHING_YET = "Choose pictures and press Compare. Then you will see:"
PROMISES = (
    "which method is right most often, how sure that is, and whether it could be chance",
    "how much more pictures would help, and where each method goes wrong, picture by picture",
    "what was learned, put into words; what was forgotten; and how well it works on another set",
    "whether you can trust its confidence",
)
STOPPED_EMPTY = "Stopped before anything was measured."
COMPARE_FIRST = "Compare first: this looks closer at a comparison."
READING_WORDS = "Reading the context vectors as words…"
REUSED = "The learned prompt is the one from the Teach tab, with its shots and seed."


def fitting(title: str) -> str:
    return f"Fitting: {title}…"


def learning(title: str, step: int, total: int, seconds_left: float) -> str:
    return f"{title}: step {step:,} of {total:,} · {left(seconds_left)}"


def compared(n_methods: int, n_test: int, seconds: float) -> str:
    return (
        f"{counted(n_methods, 'method')} on {counted(n_test, 'held-out picture')} in "
        f"{seconds:.1f} s."
    )


def stopped(n_methods: int) -> str:
    return f"Stopped. {counted(n_methods, 'method')} had been measured; the rest was not."


def other_prompt(names: str) -> str:
    return (
        f"The prompt learned in Teach knows other classes ({names}), so the learned prompt is "
        "trained here."
    )


def no_such_source(name: str) -> str:
    return f"There is no picture set “{name[:80]}”. Choose one of those shown."


def too_many_templates(n: int, most: int) -> str:
    return f"There are {n} hand-crafted prompts; up to {most} are compared at once."


# --- the table ------------------------------------------------------------------------------------
TABLE_LABEL = "Methods and their accuracy"
COLUMN_METHOD = "Method"
COLUMN_ACCURACY = "Held-out accuracy"
COLUMN_INTERVAL = "95 % interval"
COLUMN_PAIRED = "Against the words"
COLUMN_SECONDS = "Fitted in"
THE_LINE = "the one to beat"


def paired(better: int, worse: int, p_value: float) -> str:
    if better == worse:
        return f"+{better} −{worse}: a draw"
    said = "unlikely to be chance" if p_value < SIGNIFICANT else "could be chance"
    return f"+{better} −{worse}: {said} ({p_value_text(p_value)})"


def headline(title: str, found: Outcome, *, learned: bool) -> str:
    """A method against the hand-crafted prompt. `learned`: it is the learned prompt."""
    title = f"The {title[:1].lower()}{title[1:]}" if learned else title
    words = "the hand-crafted prompt"
    return {
        Outcome.SAME: f"A draw: {title} and {words} are right on exactly the same pictures.",
        Outcome.EQUAL: f"A draw: {title} and {words} are right equally often.",
        Outcome.BETTER: f"{title} beats {words}, and that is very unlikely to be chance.",
        Outcome.AHEAD: f"{title} is ahead of {words}, but it could be chance.",
        Outcome.BEHIND: f"{title} is behind {words}, but it could be chance.",
        Outcome.WORSE: f"{title} loses to {words}, and that is very unlikely to be chance.",
    }[found]


def against_rival(rival: str, found: Outcome) -> str:
    """The same method against the best of the others."""
    return {
        Outcome.SAME: f"{rival} does equally well.",
        Outcome.EQUAL: f"{rival} does equally well.",
        Outcome.BETTER: f"It beats {rival}.",
        Outcome.AHEAD: f"It is ahead of {rival}, but that could be chance.",
        Outcome.BEHIND: f"{rival} is ahead of it, but that could be chance.",
        Outcome.WORSE: f"{rival} beats it.",
    }[found]


def column(name: str) -> str:
    """The head of a column of a table whose own head is this."""
    return name


def right_of(right: int, n: int, low: float, high: float) -> str:
    return f"{right} of {n}, likely {100 * low:.0f} to {100 * high:.0f} %"


# --- panels ---------------------------------------------------------------------------------------
SHOTS_TAB = "Shots"
SHOTS_LEAD = (
    "How much do more pictures help? Every point is trained from scratch with each seed; the line "
    "through it is one standard deviation over the seeds. Methods that see no pictures are flat."
)
SHOTS_METHODS_LABEL = "Methods of the curve"
SEEDS_LABEL = "Seeds"
DRAW_CURVE = "Draw the curve"


def grid(done: int, total: int, title: str, shots: int, seed: int, seconds_left) -> str:
    where = f"{title}, {counted(shots, 'shot')}, seed {seed}" if shots else title
    rest = "" if seconds_left is None else f" · {left(seconds_left)}"
    return f"{done} of {total} points: {where}{rest}"


def curve_done(n: int, seconds: float) -> str:
    return f"All {counted(n, 'point')} of the curve in {seconds:.0f} s."


def curve_stopped(n: int) -> str:
    return f"Stopped after {counted(n, 'point')}. Draw again to go on from here."


MISTAKES_TAB = "Mistakes"
MISTAKES_LEAD = (
    "Rows are the true class, columns the answer. Click a cell, or choose both, to see its "
    "pictures; click a picture to see where the model looked."
)
METHOD_LABEL = "Method"
TRUE_LABEL = "True class"
ANSWER_LABEL = "Answer"


def cell(n: int, true: str, answer: str) -> str:
    if not n:
        return f"No held-out picture of “{true}” is taken for “{answer}”."
    if true == answer:
        return f"{counted(n, 'picture')} of “{true}” named correctly."
    return f"{counted(n, 'picture')} of “{true}” taken for “{answer}”."


DIFFER_TAB = "Disagreements"
DIFFER_LEAD = (
    "Pictures on which two methods disagree, the most confident answers first. Click one to see "
    "where the model looked."
)
FIRST_LABEL = "One method"
SECOND_LABEL = "The other"
WHICH_LABEL = "Show"
SAME_METHOD = "Choose two different methods to see where they disagree."


def only(title: str, n: int) -> str:
    return f"only “{title}” is right: {n}"


def neither(n: int) -> str:
    return f"both are wrong, differently: {n}"


NONE_OF_THESE = "There is no such picture."
LOOK_AT = "Where did it look? Open in the tab Look"


def gone(name: str) -> str:
    return f"“{name}” is no longer there. Compare again."


def more_pictures(shown: int, n: int) -> str:
    return f"The first {shown} of {n:,}; the report's tables name all of them."


LEARNED_TAB = "What was learned"
LEARNED_LEAD = (
    "The vocabulary words closest to each context vector, next to those of a random vector of the "
    "same length. Words no closer than random ones mean nothing. The accuracy with the words in "
    "place of the vectors shows how much of the prompt they capture."
)
NO_LEARNED = "No learned prompt was part of this comparison."
MAP_LEAD = (
    "Pictures are dots, class vectors large marks, in the plane in which the pictures differ most. "
    "Click a dot, or move the slider, to see its picture."
)
PICTURE_LABEL = "Picture"
WORDS_TABLE_LABEL = "Nearest words of every context vector"
WORDS_ACCURACY_LABEL = "Accuracy with words in place of the vectors"


def more_vectors(shown: int, n: int) -> str:
    return f"The first {shown} of {n:,} vectors; the report has all of them."


def words_verdict(learned: float, best: float, hand: float | None) -> str:
    lost = learned - best
    beside = "" if hand is None else f" (the hand-crafted prompt: {100 * hand:.1f} %)"
    if lost <= 0.005:
        return (
            f"With words in place of its vectors the prompt is right on {100 * best:.1f} %, no "
            f"worse than learned{beside}: here the words capture it."
        )
    return (
        f"With words in place of its vectors the prompt falls from {100 * learned:.1f} % to "
        f"{100 * best:.1f} %{beside}: the words do not say what was learned."
    )


FORGET_TAB = "Forgetting"
FORGET_LEAD = (
    "The prompt is learned on some classes only and then applied to the names of the others, whose "
    "pictures it never saw. KgCoOp's pull towards the words is meant to keep those."
)
HELD_LABEL = "Class names it must not see"
HELD_INFO = (
    "Choose classes to hold out, or type any other names: having no pictures, they are more "
    "wrong answers to choose from. If empty: the second half of the classes."
)
PULL_LABEL = "Pull of KgCoOp"
PULL_RANGE = "Pull of KgCoOp: choose a number above 0, up to 100."
FORGET_RUN = "Hold out and learn"


def forgetting_verdict(base: float, new: float, hand_base: float, hand_new: float) -> str:
    return (
        f"On the classes it learned the prompt {_moved(base - hand_base)} against the words; on "
        f"the classes it never saw it {_moved(new - hand_new)}."
    )


def more_names_verdict(alone: float, together: float, hand: float, hand_together: float) -> str:
    return (
        f"With the new names to choose from as well, the learned prompt "
        f"{_moved(together - alone)}, the words {_moved(hand_together - hand, plural=True)}."
    )


def pull_verdict(new: float, pulled: float) -> str:
    return f"With the pull it {_moved(pulled - new)} on the new classes against the one without."


def _moved(difference: float, *, plural: bool = False) -> str:
    points = abs(100 * difference)
    if points < 0.05:
        return "stay where they are" if plural else "stays where it is"
    verb = "gain" if difference > 0 else "lose"
    return f"{verb if plural else verb + 's'} {points:.1f} points"


SHIFT_TAB = "Another set"
SHIFT_LEAD = (
    "Learned here, tested there: a second set with the same class names, in another style or taken "
    "with another camera."
)
SECOND_SET_LABEL = "Second set"
SECOND_ZIP = "Open a zip"
SHIFT_RUN = "Test there"
NO_SECOND = "Choose a second set or open a zip with the same class names."
CHOOSE_SECOND = "Choose a set"


def shift_verdict(words_fall: float, learned_fall: float) -> str:
    gap = learned_fall - words_fall
    both = (
        f"The words fall by {100 * words_fall:.1f} points, the learned prompt by "
        f"{100 * learned_fall:.1f}"
    )
    if abs(gap) < 0.0005:
        return f"{both}: the same."
    return f"{both}: {'the learned prompt' if gap > 0 else 'the words'} lost more."


TRUST_TAB = "Confidence"
TRUST_LEAD = (
    "Of the pictures a method is 80 % sure about, is it right on 80 %? On the dotted line it is. A "
    "temperature above 1 makes every answer less sure, but changes none of them."
)
TEMPERATURE_LABEL = "Temperature"
FIT = "Fit it"
AS_IS = "As it is"
CALIBRATION_LABEL = "Calibration of every method"


def trust(ece: float, temperature: float, confidence: float, accuracy: float) -> str:
    side = "too sure of itself" if confidence > accuracy else "less sure than it could be"
    if abs(confidence - accuracy) < 0.01:
        side = "about as sure as it is right, on average"
    return (
        f"At temperature {temperature:.2f} it says {100 * confidence:.1f} % and is right on "
        f"{100 * accuracy:.1f} %: {side}. Expected calibration error {100 * ece:.1f} %."
    )


FITTED_ON = (
    "This temperature was chosen on the pictures shown here, so it looks better than it is. The "
    "table's last column is fairer: it chooses on one half and measures on the other."
)

TAKE_TAB = "Take home"
TAKE_LEAD = (
    "Everything that was measured above, with settings, seeds and versions: one HTML page that "
    "needs no network, and all tables as CSV."
)
WITH_PICTURES = "With small copies of the pictures the methods disagree on"
WRITE = "Write the report"
GET_HTML = "Report (HTML)"
GET_CSV = "All tables (zip of CSV)"


def written(n_tables: int) -> str:
    return f"Ready: a report and {counted(n_tables, 'table')}."
