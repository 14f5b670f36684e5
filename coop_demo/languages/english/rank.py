"""Every sentence of the Rank tab that is not an error of the core."""

from coop_demo.languages.english.page import counted
from coop_demo.ranking.order import Judgement
from coop_demo.ranking.reading import reading_sentence as reading_sentence
from coop_demo.ranking.trust import trust_sentence as trust_sentence

# --- pictures -----------------------------------------------------------------------------------
TITLE = "Choose"
LEAD = "A pile of pictures, and what to rank them by."
DROP_LABEL = "Pictures, zips and tables of labels"
DROP_HINT = (
    "Pictures, a zip of them, and if you have labels a CSV with the columns image, value and "
    "prompt: together or one after the other."
)
EMPTY = "No pictures yet. Begin with a sample, or drop your own."
START_OVER = "Start over"


def cleared(n: int) -> str:
    return f"{counted(n, 'picture')} {_were(n)} removed, with numbers and order."


INSTRUCTION = "Instruction"
INSTRUCTION_INFO = "Choose one or write your own, in English or German."
SECOND = "A second instruction"
SECOND_INFO = "Optional: the same pictures in two orders, side by side."
RANK = "Rank"
NO_FILE = "None of these files is a picture, a zip or a CSV. Choose others."


def no_such_kind(name: str) -> str:
    return f"“{name}” is neither a picture nor a zip nor a CSV."


def licence(name: str) -> str:
    return f"Licence: {name}."


def facts(n: int, labels: dict[str, dict[str, float]]) -> str:
    known = [name for name, values in labels.items() if values]
    pictures = counted(n, "picture")
    if not known:
        return f"{pictures}, without labels: an order is shown, but not how good it is."
    shown = ", ".join(f"“{name.rstrip('.')}”" if name else "any instruction" for name in known[:4])
    more = f" and {len(known) - 4} more" if len(known) > 4 else ""
    return f"{pictures}; labels for {shown}{more}."


def twice(name: str, other: str) -> str:
    same = "is there twice" if name == other else f"is the same picture as “{other}”"
    return f"“{name}” {same} and counts once."


def pile_full(n: int, most: int) -> str:
    return (
        f"The page ranks up to {most:,} pictures; {n:,} were left out. For more, use "
        "python -m coop_demo rank."
    )


def labels_elsewhere(table: str, names: list[str], n_rows: int) -> str:
    shown = ", ".join(f"“{name[:60]}”" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"“{table}” names {counted(len(names), 'picture')} that {_are(len(names))} not here "
        f"({shown}{more}); {counted(n_rows, 'row')} of it {_were(n_rows)} skipped."
    )


def labels_for_others(table: str, example: str) -> str:
    return (
        f"None of the pictures that “{table}” labels is here; its first is “{example[:60]}”. "
        "Add those pictures, or a table with the names of these."
    )


def labels_without_pictures(table: str) -> str:
    return f"“{table}” was not used: there are no pictures here yet. Add them first, or with it."


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


# --- ranker -------------------------------------------------------------------------------------
SHIPPED_TITLE = "the ranker that ships with the app"
LOAD_RANKER = "Load ranker"
SAVE_RANKER = "Save ranker"
USE_SHIPPED = "Back to the shipped one"


def in_use(title: str) -> str:
    return f"In use: {title}."


def no_ranker(backbone: str) -> str:
    return (
        f"There is no ranker for the model {backbone} yet: the antonym pair and the cosine order "
        "the pictures. Load a ranker, or teach one your order below."
    )


def loaded(name: str, n_instructions: int) -> str:
    return f"“{name}”, which learned {counted(n_instructions, 'instruction')}"


# --- order --------------------------------------------------------------------------------------
ORDER_TITLE = "Look at the order"
ORDER_LEAD = "The picture with most of what the instruction asks for comes first."
NOTHING_RANKED = "Choose pictures and an instruction, then press Rank. Then you will see:"
PROMISES = (
    "the pictures in order; click one to see what the ranker looked at",
    "how good the order is, if your pictures come with labels",
    "two instructions side by side, and what simpler ways make of the same pictures",
    "any two pictures, and which of them it puts ahead",
)
ONE_PICTURE = "There is one picture here; an order needs two or more. Add pictures."
NO_PICTURES = "There are no pictures to rank. Choose a sample or add some."
SAME_TWICE = "Both instructions are the same. Change one, or leave the second one empty."
GALLERY = "Pictures in order"
LOOK_PAIR = "Why is this one ahead? Look closer"
SAME_PICTURE = "That is one picture twice. Choose two to compare."
DOWNLOAD = "Download CSV"
METHOD = {"ranker": "Ranker", "antonyms": "Antonym pair", "cosine": "Cosine"}
RIVALS_TITLE = "What simpler ways make of it"
RIVALS_LEAD = (
    "Two ways that learn nothing: how much closer a picture is to one prompt than to its opposite, "
    "and how close it is to the instruction itself (the cosine)."
)
HIGH_LABEL = "Much of it"
LOW_LABEL = "Little of it"
AGAIN = "Compare again"
PILE_CHANGED = "The pictures changed while they were ranked. Rank them again."
RANK_FIRST = "Rank the pictures first."
SLOPE_TITLE = "The same pictures, two instructions"
SCORES_TITLE = "Scores of all pictures"
SCORES_LEAD = "How far apart the pictures are. Scores of two instructions have no common scale."
PAIRS_TITLE = "Any two pictures: which is ahead?"
PAIRS_LEAD = (
    "A second part of the ranker says for every pair which picture is ahead. Choose a cell or two "
    "pictures; × marks pairs where it contradicts itself when asked the other way round."
)
FIRST_PICTURE = "A picture"
OTHER_PICTURE = "and another"
NO_SUCH_PAIR = "There is no such pair. Choose two of the pictures in the matrix."
NO_PAIRS = "Pairs need a ranker."
LABELS_TITLE = "Against the labels"
AGREEMENT_LABEL = "Agreement with the labels"
AGREEMENT_COLUMNS = ("", "SRCC", "PLCC", "Kendall’s τ", "Pairs in order")
NOT_DEFINED = "not defined"


def choose_two(n: int) -> str:
    return f"Choose two of the {n} pictures in the matrix."


def places(name: str, left: int, right: int) -> str:
    return f"{name}: {left} on the left, {right} on the right"


def scored(score: float) -> str:
    return f"score {score:.3f}"


def above_the_other(logit: float, chance: float) -> str:
    return f"above the other: logit {logit:+.2f} ({chance:.0%})"


def ranked(n: int, seconds: float, n_instructions: int) -> str:
    what = "" if n_instructions == 1 else f" by {n_instructions} instructions"
    return f"Ranked {counted(n, 'picture')}{what} in {seconds:.1f} s."


def about(instruction: str, sentence: str) -> str:
    """What is said of one of two orders."""
    return f"“{instruction}” {sentence}"


def all_same(method: str) -> str:
    return (
        f"{METHOD[method]}: every picture has the same score here, so this is no order; the "
        "pictures stand as they came."
    )


def shown_of(shown: int, n: int) -> str:
    return f"The first {shown - shown // 2} and the last {shown // 2} of {n:,}; the CSV has all."


def gallery_hint(shown: int, n: int, ranker: bool) -> str:
    """What is not shown, and what a click does."""
    said = [shown_of(shown, n)] if shown < n else []
    if ranker:
        said.append("Click a picture to see what the ranker looked at.")
    return " ".join(said)


def sampled(shown: int, n: int) -> str:
    return f"{shown} of {n:,} pictures are drawn, evenly from first to last."


def slope_summary(n: int, agreement: float | None) -> str:
    if agreement is None:
        return f"{counted(n, 'picture')}; one of the two orders has equal scores only."
    how = (
        "nearly the same order"
        if agreement > 0.9
        else "similar orders"
        if agreement > 0.5
        else "largely unrelated orders"
        if agreement > -0.5
        else "nearly opposite orders"
    )
    return f"The two are {how}: rank correlation {agreement:.2f} over {counted(n, 'picture')}."


def too_few_to_judge(n: int, least: int) -> str:
    return f"{n} labels are too few to tell which way is better; it takes {least} or more."


def verdict(found: Judgement) -> str:
    figures = (
        f"SRCC {found.ranker_srcc:.2f} against {found.rival_srcc:.2f} on {found.n:,} labelled "
        f"pictures; the difference's 95 % interval is {found.low:+.2f} to {found.high:+.2f}"
    )
    name, kind = METHOD[found.rival].lower(), found.kind
    if kind == "better":
        return f"The ranker beats the {name}: {figures}."
    if kind == "worse":
        return f"The ranker loses to the {name}: {figures}."
    return f"There is no clear difference between the ranker and the {name}: {figures}."


VERDICT_UNDEFINED = (
    "The labelled values, or one way's scores, are all equal: rank correlation is not defined."
)


def few_labels(n: int) -> str:
    if n == 1:
        return "One of these pictures has a label; agreement needs two or more with different ones."
    return "No picture here has a label for this instruction: the order cannot be measured."


def asked_for(instruction: str) -> str:
    """Before what is said of one of two orders."""
    return f"“{instruction}”:"


def pair_sentence(first: str, other: str, one_way: float, other_way: float) -> str:
    """Logits of "first above other" and of "other above first"."""
    if (one_way > 0) == (other_way > 0):
        claim = "each above the other" if one_way > 0 else "neither above the other"
        return f"A contradiction: asked both ways, it puts {claim}."
    above, below = (first, other) if one_way > 0 else (other, first)
    return f"Both ways it puts “{above}” above “{below}”."


# --- teach it -----------------------------------------------------------------------------------
TEACH_TITLE = "Teach it your order"
TEACH_LEAD = "Ten to thirty pictures are enough. A third of them are held out to test with."
CLICK_LABEL = "Pictures to click in your order"
CLICK_HINT = (
    "Click the pictures in your order, starting with the first; click again to take one out. "
    "Or type numbers in the table."
)
TABLE_LABEL = "Your numbers"
TABLE_HEADERS = ["", "Picture", "Number"]
MEANING_LABEL = "Numbers are"
MEANINGS = {"places: 1 ranks first": "place", "amounts: the largest ranks first": "amount"}
ONE_MEANING = "Numbers are: choose one of the two."
FROM_LABELS = "Take the labels"
FROM_ORDER = "Take the order above"
FROM_CSV = "Open a CSV"
CLEAR_NUMBERS = "Clear numbers"
TEACH = "Teach"
BEFORE, AFTER = "Before", "After"
STEPS_LABEL = "Steps"
RATE_LABEL = "Learning rate"
SEED_LABEL = "Seed"
STEPS_INFO = "How often the ranker is changed a little. 0: from the recipe"
RATE_INFO = "How large each change is. 0: from the recipe"
SEED_INFO = "Decides which pictures are held out."
FRESH_LABEL = "Start from"
FRESH_INFO = "A ranker that can rank already needs far fewer pictures."
STARTS = {"the ranker in use": False, "nothing": True}
CURVES_TITLE = "Held-out pairs in order, %"
LEARNED = "ranker, held-out pairs"
RIVAL_LINE = "best simpler way"
TEACH_HINT = "Number some pictures; the curves are drawn here while it learns."
BAD_TABLE = "The table of numbers came back damaged. Reload the page and number them again."
NO_LABELS = "There are no labels for this instruction. Open a CSV, or type numbers."
NO_ORDER = "There is no order yet. Rank the pictures first."


def not_a_number(name: str, given: str) -> str:
    return f"“{name}”: “{given[:40]}” is not a number. Correct it, or empty the cell."


def numbered(n: int, n_pictures: int, n_shown: int) -> str:
    some = f" The first {n_shown} are listed." if n_shown < n_pictures else ""
    return f"{n} of {counted(n_pictures, 'picture')} numbered.{some}"


def finished(steps: int, seconds: float, n_learned: int, n_held_out: int) -> str:
    return (
        f"Completed all {steps:,} steps in {seconds:.1f} s, on {counted(n_learned, 'picture')}; "
        f"{n_held_out} were held out."
    )


def interrupted(step: int, total: int) -> str:
    return (
        f"This training was interrupted at step {step:,} of {total:,}. What it had learned is "
        "here and in use; teach again to go on from it."
    )


def stopped(number: int, total: int, measured_at: int) -> str:
    kept = f" The ranker of step {measured_at:,} is kept." if measured_at != number else ""
    return f"Stopped at step {number:,} of {total:,}.{kept}"


STOPPED_EARLY = "Stopped before the first step; nothing was learned."


def taught_title(instruction: str) -> str:
    return f"the ranker you taught “{instruction[:60]}”"


def taught_verdict(
    before: float | None, after: float | None, rival: str, other: float | None, n_pairs: int
) -> str:
    """What the held-out pairs say, whoever wins. Accuracies are shares."""
    if after is None:
        return "The held-out pictures all have the same number, so nothing could be measured."
    few = "" if n_pairs >= 30 else f" {counted(n_pairs, 'pair')} can only give a hint."
    if before is None or after > before:
        own = "" if before is None else f"It went up from {before:.0%} to {after:.0%}."
    elif after == before:
        own = f"It is as good as before: {after:.0%}."
    else:
        own = f"It got worse: {before:.0%} before, {after:.0%} now."
    if other is None:
        return f"{own}{few}".strip()
    name = METHOD[rival].lower()
    if after > other:
        against = f"It is ahead of the {name} ({other:.0%})."
    else:
        against = f"It is no better than the {name}, which learns nothing ({other:.0%})."
    return f"{own} {against}{few}".strip()


def measured_on(n_pairs: int, n_held_out: int, instruction: str) -> str:
    return (
        f"“{instruction[:60]}”: {counted(n_pairs, 'pair')} of the {n_held_out} held-out pictures, "
        "share in the right order."
    )


OFFERED_LABEL = "Rankers on this computer"
OFFERED_INFO = "From the folder in COOP_DEMO_RANKERS. Each belongs to one model, chosen at the top."


def offered(title: str, name: str) -> str:
    return f"“{title}” ({name})"


def no_such_offer(name: str) -> str:
    return f"There is no ranker “{name[:80]}” in the folder any more. Choose another one."


def offer_needs(title: str, model: str) -> str:
    return f"“{title}” was made for the model {model}. Choose that model at the top first."
