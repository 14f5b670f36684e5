"""Every sentence of the Look tab."""

PICTURE_TITLE, PICTURE_LEAD = "Picture", "Choose one or drop one, and say what to look for."
MAPS_TITLE = "Where it looked"
MAPS_LEAD = "The same picture through the eyes of both prompts, and what changed between them."
CHECK_TITLE = "Can it be believed?"
CHECK_LEAD = (
    "Take away what the map marks and the score should fall at once; put it back into a blurred "
    "picture and it should rise at once."
)

SCENES, MINE = "scenes", "mine"
SOURCES = {"Sample scenes, several things each": SCENES, "My pictures (tab Teach)": MINE}
SOURCE_LABEL = "Pictures"
DROP_LABEL = "Or a picture of your own"
WANTED_LABEL = "What to look for"
WANTED_INFO = "A class, or a sentence of your own."
METHOD_LABEL = "Method"
METHODS = {
    "What suits the model": "auto",
    "LeGrad": "legrad",
    "Attention rollout": "rollout",
    "Grad-CAM": "gradcam",
    "Occlusion": "occlusion",
}
LOOK = "Look"
OPACITY_LABEL = "Opacity"
CELLS_LABEL = "Show the map's true resolution"
WORDS, LEARNED, DIFFERENCE = "Hand-crafted prompt", "Learned prompt", "Difference"
SLIDER_LABEL = "Drag from one to the other"
STRIP_LABEL = "All classes at once"
ZIP_ONE = "All maps of this picture (zip)"
ZIP_SET = "Draw the maps of all these pictures"
GET_ZIP_SET = "All maps of these pictures (zip)"
DELETION_TITLE = "What is marked, taken away"
INSERTION_TITLE = "What is marked, put back"
AT_RANDOM, LEARNED_AT_RANDOM = "Random order", "Learned prompt, random order"
LOOKING, CHECKING = "Drawing the maps …", "Taking pixels away and putting them back …"

NO_PICTURE = "Choose a picture or drop one first."
NOTHING_WANTED = "Say what to look for: choose a class or write a sentence."
WANTED_TOO_LONG = "What to look for is longer than 300 characters. Shorten it."
NO_MINE = "There are no pictures in the tab Teach yet. Load a sample set or add some there."
NO_PROMPT = "Train or load a prompt in the tab Teach: then its map stands beside this one."
CLASS_SPECIFIC = (
    "The learned prompt has one context per class and never saw these, so only the hand-crafted "
    "prompt's map is shown."
)
FREE_TEXT = "A sentence is read as it stands; a learned prompt has a map for class names only."
BORROWED = (
    "The learned prompt never saw some of these classes; its context is applied to their names."
)
PALE = "What is paled lies outside the square that the model sees."
COLOURS = "Difference: vermilion where the learned prompt marks more, blue where it marks less."
EMPTY = (
    "Two to four things share each of these pictures. Choose one and say what to look for: the "
    "maps of both prompts, their difference and a check of whether they can be believed appear "
    "here."
)


def asked(wanted: str, method: str, seconds: float, shape: tuple[int, int]) -> str:
    names = {key: title for title, key in METHODS.items()}
    return f"“{wanted}” by {names[method]}, {shape[0]} × {shape[1]} cells, {seconds:.1f} s."


def scored(title: str, cosine: float) -> str:
    return f"{title} · {cosine:.2f}"


def drawing(done: int, total: int) -> str:
    return f"Picture {done} of {total}"


def areas(title: str, deletion: float, random: float, insertion: float, by_chance: float) -> str:
    return (
        f"{title}: area when taking away {deletion:.2f} (random {random:.2f}, lower is better), "
        f"when putting back {insertion:.2f} (random {by_chance:.2f}, higher is better)."
    )


def too_many(n: int, most: int) -> str:
    return f"The first {most} of {n} pictures were drawn."


def no_classes(name: str) -> str:
    return f"{name}: there is no class to look for; it was left out."
