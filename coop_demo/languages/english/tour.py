"""Every sentence of the guided lesson."""

INVITATION = "New here? A guided lesson leads through everything in about ten minutes."
BEGIN = "Begin the lesson"
THERE = "Take me there"
NEXT = "Next step"
SKIP = "Skip"
LEAVE = "Leave"
CLOSE = "Close"
DONE = "Done."
DONE_MARK, HERE, OPEN = "done", "you are here", "still to come"

#: title and task of each step
STEPS = {
    "words": (
        "Words fail",
        "Open the sample “Biscuit quality control”. Then click one of the held-out pictures under "
        "“Try”: what do the words alone make of it?",
    ),
    "show": (
        "Show a few pictures",
        "Let the model learn from four pictures of each class: open Settings, set Shots to 4 and "
        "press Train.",
    ),
    "learn": (
        "Watch it learn",
        "Now give it all it has: set Shots to 16, press Train again and watch the curves.",
    ),
    "rival": (
        "Does it beat a rival?",
        "Press Compare. Other ways to use the same pictures are measured beside the learned "
        "prompt.",
    ),
    "forget": (
        "Does it forget?",
        "Below the table, open Forgetting and press “Hold out and learn”: half of the classes stay "
        "hidden while it learns the others.",
    ),
    "order": (
        "Order pictures",
        "Open the sample “Bright and sharp?” and press Rank: an instruction puts the pictures in "
        "order.",
    ),
    "look": (
        "Where did it look?",
        "Click one of the scenes. A map shows which places spoke for the word, and a check says "
        "whether to believe it.",
    ),
}

WORDS_SEEN = (
    "Look at the bars: names like A and B say nothing about a biscuit, so words alone have to "
    "guess. Pictures can say what words cannot."
)


def show_seen(learned: int, words: int, n: int) -> str:
    return (
        f"From four pictures of each class it names {learned} of {n} held-out pictures correctly; "
        f"the words name {words}. The model itself did not change: only the words in front of the "
        "class name did."
    )


def learn_seen(learned: int, words: int, n: int) -> str:
    return (
        f"Now it is right on {learned} of {n}. The loss falls while it learns; but only pictures "
        "that it never learned from can tell whether it understood."
    )


def rival_seen(title: str, rival: int, learned: int, n: int) -> str:
    return (
        f"The best other way, “{title}”, is right on {rival} of {n}, the learned prompt on "
        f"{learned}. A simple way can do as well, and a small difference can be chance: that is "
        "why one compares."
    )


def forget_seen(base: float, new: float, words: float) -> str:
    lesson = (
        "It lost what the words could do there: that is forgetting."
        if new < words
        else "Nothing was lost there; other classes may tell another story, so measure it."
    )
    return (
        f"On the classes it learned it is right on {base:.0%}, on those it never saw on {new:.0%} "
        f"(the words: {words:.0%}). {lesson}"
    )


def order_seen(instruction: str) -> str:
    return (
        f"The pictures stand in the order of “{instruction.rstrip('.')}”. Read what it says about "
        "its own order: how far to trust it depends on what the ranker learned."
    )


LOOK_SEEN = (
    "Warm places spoke for the word. Believe the map only if the check below shows that taking "
    "them away lowers the score more than taking away random places."
)


def end(n_done: int) -> str:
    how = "You did all seven steps" if n_done == 7 else f"You did {n_done} of the seven steps"
    return (
        f"{how}. Now show it pictures of your own: two classes with ten pictures each are enough "
        "to begin with."
    )
