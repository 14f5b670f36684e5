"""Technical words of the page and what each of them means, in one sentence without jargon.

`MEANINGS` has, by a key that all languages share, a pattern for the word's forms and the sentence.
`ui.html.explained` marks them where they stand.
"""

MEANING_OF = "What does this mean?"

MEANINGS: dict[str, tuple[str, str]] = {
    "held-out": (
        r"[Hh]eld[ -]out|[Hh]old out",
        "Pictures that are kept back while it learns, so that they can test it fairly.",
    ),
    "accuracy": (r"[Aa]ccuracy", "The share of pictures that are given the right name."),
    "loss": (r"\bloss\b|\bLoss\b", "How wrong it is while it learns; smaller is better."),
    "prompt": (
        r"(?<!value and )\b[Pp]rompts?\b",  # not the column of a table
        "The sentence around a class name that the model reads, such as “a photo of a dog.”",
    ),
    "context": (
        r"\b[Cc]ontext( vectors?)?\b",
        "The part of a prompt that is learned: rows of numbers that stand where words would.",
    ),
    "vector": (
        r"\b[Vv]ectors?\b",
        "A row of numbers by which the model describes a picture or a word.",
    ),
    "shots": (r"\b[Ss]hots?\b", "The pictures of each class that it learns from."),
    "seed": (
        r"\b[Ss]eeds?\b",
        "A number that fixes everything left to chance: the same seed gives the same result again.",
    ),
    "interval": (
        r"95 % interval",
        "A range for the true value: with other pictures of the same kind, a range made this way "
        "would hold it 95 times in 100.",
    ),
    "chance": (
        r"\bp (?:=|<) [0-9.e-]+|\bp value\b",
        "How often chance alone would make a difference this large: 0.05 means one time in twenty.",
    ),
    "mcnemar": (
        r"McNemar",
        "A test that looks only at pictures on which exactly one of two methods is right.",
    ),
    "deviation": (
        r"standard deviation",
        "How far results typically lie from their mean.",
    ),
    "calibration": (
        r"[Cc]alibration( error)?",
        "Whether it is as often right as it says it is sure; the error is the mean gap between the "
        "two.",
    ),
    "temperature": (
        r"\b[Tt]emperature\b",
        "A number that makes all answers more or less sure, without changing which comes first.",
    ),
    "kgcoop": (
        r"KgCoOp",
        "A way of learning that keeps the prompt close to the words, so that it forgets less.",
    ),
    "harmonic": (
        r"harmonic mean",
        "A mean of two numbers that is high only where both are high.",
    ),
    "ranker": (
        r"\b[Rr]ankers?\b",
        "A small network on top of the model that has learned to order pictures by an instruction.",
    ),
    "antonyms": (
        r"[Aa]ntonym pair",
        "Two opposite prompts, such as “a bright photo” and “a dark photo”: what is nearer to the "
        "first comes first.",
    ),
    "cosine": (
        r"\b[Cc]osine\b",
        "How alike two rows of numbers are: 1 for the same direction, 0 for nothing in common.",
    ),
    "srcc": (
        r"\bSRCC\b|[Rr]ank correlation",
        "How well two orders agree: 1 is the same order, 0 is no connection, −1 is the reverse.",
    ),
    "plcc": (
        r"\bPLCC\b",
        "How well scores and labels lie on one straight line: 1 is perfectly, 0 not at all.",
    ),
    "kendall": (
        r"Kendall’s τ",
        "Pairs in the right order minus pairs in the wrong order, as a share: 1 is perfect.",
    ),
    "pairs": (
        r"Pairs in order|pairs in order",
        "The share of all pairs of pictures that stand the right way round.",
    ),
    "logit": (
        r"\blogit\b",
        "A number behind a decision: above 0 means yes, and the larger, the surer.",
    ),
    "attention": (
        r"[Cc]ross-[Aa]ttention|\b[Aa]ttention\b",
        "Which parts the network gives weight to while it computes.",
    ),
    "probability": (r"\b[Pp]robability\b", "How sure it is of an answer, from 0 to 1."),
    "area": (
        r"\bArea\b",
        "The mean height of the curve below: it sums up in one number how fast the score falls or "
        "rises.",
    ),
    "patches": (r"\bpatches\b", "The small squares into which a picture is cut for the model."),
    "backbone": (
        r"\b[Bb]ackbone\b|ImageNet features",
        "The large network that turns pictures and words into comparable numbers; it stays as it "
        "is.",
    ),
}
