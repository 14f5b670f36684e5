"""Counts and lists inside sentences, and rows of tables in Markdown."""

from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], at_most: int = 6) -> str:
    """The first names in quotation marks, and how many more there are."""
    shown = ", ".join(f'"{name}"' for name in names[:at_most])
    return shown + (f" and {len(names) - at_most} more" if len(names) > at_most else "")


def unread_words(words: Sequence[str]) -> str:
    """What to say of words whose script a model's tokenizer does not know."""
    return (
        f"This model does not know the script of {listed(words)}: it "
        "reads single bytes there, which mean nothing to it. Write English words."
    )


def counted(number: int, noun: str) -> str:
    """The number with its noun in the right form: 1 class, 2 classes."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}es" if noun.endswith("s") else f"{number} {noun}s"


def table_row(cells: Iterable[object]) -> str:
    """A line of a table in Markdown."""
    return "| " + " | ".join(map(str, cells)) + " |"


def table_head(cells: Sequence[object]) -> list[str]:
    """The two lines that such a table begins with."""
    return [table_row(cells), "|" + "---|" * len(cells)]
