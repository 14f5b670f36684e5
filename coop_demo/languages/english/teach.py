"""Every sentence of the Teach tab."""

from coop_demo.languages.english.page import counted
from coop_demo.settings import LIMITS

SHOW_TITLE = "Show"


SHOW_LEAD = "Begin with a sample, or give each class a name and a few pictures."


ADD_CLASS = "Add a class"


START_OVER = "Start over"


NOT_WHILE_TRAINING = "A training is running. Stop it first."


def class_removed(name: str, n_pictures: int) -> str:
    called = f"“{name.strip()}”" if name.strip() else "A class without a name"
    return f"{called} was removed, with {counted(n_pictures, 'picture')}."


def pictures_removed(names: list[str], class_name: str) -> str:
    where = f" from “{class_name.strip()}”" if class_name.strip() else ""
    if len(names) == 1:
        return f"One picture was removed{where}."
    return f"{len(names):,} pictures were removed{where}."


def cleared(n_pictures: int, *, learned: bool) -> str:
    gone = [counted(n_pictures, "picture")] if n_pictures else []
    gone += ["what was learned from them" if gone else "what was learned"] if learned else []
    return f"Cleared: {' and '.join(gone) or 'the names'}."


def replaced(source: str) -> str:
    return f"“{source}” took the place of the classes you had."


UPLOAD_ZIP = "Open a zip"


UPLOAD_FOLDER = "Open a folder"


UPLOAD_HINT = (
    "A zip or folder with one folder per class, or with train/ and test/ that hold such folders."
)


NO_PICTURES_YET = "No pictures yet."


ROWS_FULL = (
    f"The page shows up to {LIMITS.max_classes_page} classes. Remove one first, or open a zip "
    "or a folder, which may have more."
)


NO_SUCH_ROW = "That class is not there any more. Reload the page to see what is."


YOUR_FOLDER = "your folder"


FOLDER_EMPTY = "That folder holds no pictures. Choose a folder with one folder per class."


NAME_PLACEHOLDER = "Name, for example oak"


NO_FILE = "No file came through. Choose it again."


def licence(name: str) -> str:
    return f"Licence of the pictures: {name}."


def remove_label(number: int) -> str:
    return f"Remove class {number}"


SHOW_ALL, SHOW_FEWER = "Show all", "Show fewer"


HOLD = "Hold to record"


def hold_label(number: int) -> str:
    return f"Hold to record pictures of class {number} with the webcam"


NO_CAMERA = "The browser gives no camera. Allow it for this page, or upload pictures."


HOLD_AGAIN = "The camera is ready. Hold the button to record."


def learn_and_test(n: int, n_test: int) -> str:
    return f"{n:,} to learn from · {n_test:,} to test"


def what_is_there(n_classes: int, n_train: int, n_test: int, n_held_out: int) -> str:
    """How many pictures there are, and which of them only judge."""
    classes = counted(n_classes, "class", "classes")
    if n_held_out:
        return (
            f"{classes}, {counted(n_train + n_test, 'picture')}: {n_test:,} of them, drawn from "
            f"every class, are held out to test with; {n_train:,} are there to learn from."
        )
    return (
        f"{classes}, {counted(n_train, 'picture')} to learn from; {n_test:,} others that came "
        "with the set are held out to test with."
    )


CLASSES_LABEL = "Classes"


CLASS_COLUMNS = ("Class", "To learn from", "To test")


def right_of(right: int, n: int) -> str:
    return f"{right} of {n}"


def and_more(n: int) -> str:
    """Of classes that have no bar."""
    return f"and {n} more"


def class_label(number: int) -> str:
    return f"Class {number}"


def pictures_label(number: int) -> str:
    return f"Pictures of class {number}"


def too_many_pictures(n: int) -> str:
    most = LIMITS.max_pictures_per_class_page
    return f"A class takes up to {most} pictures here; the first {most} of {n} are used."


def too_many_bytes(name: str) -> str:
    most = LIMITS.max_session_bytes // 2**20
    return (
        f'"{name}" was not taken: your pictures fill the {most} MB one person has here, '
        "removed ones included. Open the page in a private window to go on."
    )


def no_room(name: str) -> str:
    return f'"{name}" was not taken: there is no room for it on the disk of this computer.'


def twice(name: str) -> str:
    return f'"{name}" is in this class twice and counts once.'


def no_test_part(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:4])
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (
        f"{shown}{more} {'has' if len(names) == 1 else 'have'} no test pictures of "
        f"{'its' if len(names) == 1 else 'their'} own: accuracy is measured on the other classes."
    )


TRAIN_TITLE = "Train"


TRAIN_LEAD = "The model stays as it is; only the words in front of each name are learned."


TEMPLATE_LABEL = "The words to beat"


TEMPLATE_INFO = "The prompt you would write; {} stands for the class name."


TRAIN = "Train"


GO_ON = "Go on"


NOTHING_TO_GO_ON = "There is no interrupted training here. Press Train to begin one."


def interrupted(step: int, total: int) -> str:
    return (
        f"This training was interrupted at step {step:,} of {total:,}. What it had learned is "
        "here and can be used; press Go on to finish it."
    )


SETTINGS = "Settings"


CURVES_HINT = "While it learns, curves of loss and accuracy are drawn here."


STOPPED_BEFORE_TRAINING = "Stopped before the first step; nothing was learned."


ACCURACY_TITLE = "Accuracy on held-out pictures, %"


LEARNED = "Learned prompt"


WORDS = "Your words"


FLAT_LINE = "your words"


LEARNED_HELD_OUT = "learned"


LEARNED_TRAINING = "learned, training"


def finished(steps: int, seconds: float) -> str:
    return f"Completed all {steps:,} steps in {seconds:.1f} s."


def stopped(number: int, total: int, measured_at: int) -> str:
    kept = "" if measured_at == number else f", last measured at step {measured_at:,}"
    return f"Stopped at step {number:,} of {total:,}. The best prompt so far is kept{kept}."


N_CTX_LABEL = "Context length"


N_CTX_INFO = "How many vectors are learned in place of words."


KIND_LABEL = "Context"


KINDS = ("one for all classes", "one per class")  # as in teach.state


POSITION_LABEL = "Class name stands"


POSITIONS = {"at the end": "end", "in the middle": "middle", "at the front": "front"}


INIT_LABEL = "Initial words"


INIT_INFO = "Where learning starts, for example “a photo of a”; random if empty."


SHOTS_LABEL = "Shots"


SHOTS_INFO = "Pictures of each class to learn from."


PRESET_LABEL = "Recipe"


PRESETS = ("fast", "paper")  # as in teach.state


PRESET_INFO = "fast: all pictures in every step. paper: as in the CoOp paper, slower."


STEPS_LABEL = "Steps"


RATE_LABEL = "Learning rate"


FROM_RECIPE = "0: as in the recipe."


PULL_LABEL = "Pull towards the words"


PULL_INFO = "KgCoOp's λ: 0 is off; with 8, as in its paper, it forgets less about new classes."


SEED_LABEL = "Seed"


SEED_INFO = "Decides which pictures are shots, which are held out, and where learning starts."


TEMPLATE_TOO_LONG = (
    f"The words to beat are longer than {LIMITS.max_template} characters. Shorten them."
)


def choose_one(label: str, given: object, choices: object) -> str:
    return f"{label}: “{str(given)[:40]}” is not among {', '.join(map(str, choices))}."  # type: ignore[call-overload]


def too_many_steps(steps: int, most: int) -> str:
    return (
        f"That would be {steps:,} steps; the page takes up to {most:,}. Choose fewer, or train "
        "with python -m coop_demo train."
    )


TRY_TITLE = "Try"


TRY_LEAD = "A picture the model has not seen: what does each prompt make of it?"


TRY_LABEL = "A picture to try"


MANY_TITLE = "Many pictures at once"


MANY_LABEL = "Pictures, or a zip of them"


TABLE_HEADERS = ("Picture", "Learned prompt", "%", "Your words", "% ")


RESULTS_LABEL = "What each prompt says"


DOWNLOAD_CSV = "Download CSV"


SAVE_PROMPT = "Save prompt"


LOAD_PROMPT = "Load prompt"


TRY_EMPTY = "Drop a picture, paste one, or use the webcam."


EXAMPLES = "Held-out pictures to try"


EXAMPLES_HINT = "Or click one of these, which are held out:"


EXAMPLE_GONE = "That picture is not there any more. Choose another one."


SURPRISE = "Surprise me"


NO_OTHER_SET = "There is no other sample set to take a picture from."


def truth(name: str, elsewhere: str) -> str:
    if elsewhere:
        return f"From another set, “{elsewhere}”: {name}."
    return f"Held out; its true class is “{name}”."


TRY_NOTHING_TO_TELL = "Name two classes or load a prompt first. Then you can try a picture."


TRAIN_FIRST = "Train first, and its answer will appear here."


NO_TRY_PICTURES = "There is no picture among those files. Add JPEG or PNG pictures."


def prompt_in_use(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"A prompt for {shown}."


def loaded(name: str, n_classes: int, model: str) -> str:
    return f"Loaded “{name}”: {counted(n_classes, 'class', 'classes')}, made with {model}."


def too_many_to_try(n: int, most: int) -> str:
    return f"Up to {most:,} pictures are tried at once; the first {most:,} of {n:,} were."
