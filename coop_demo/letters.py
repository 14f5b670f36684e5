"""Text from strangers -> text that can be shown: what cannot be seen does not come along.

Control characters break lines and terminals, bidirectional overrides make "gpj.exe" read as
"exe.jpg", and zero-width characters make two names look the same.
"""

import unicodedata

_JOINERS = "\u200c\u200d"  # needed inside words of Persian and Hindi, and inside emoji
_HEAD, _TAIL = 1_500, 500  # letters of a long sentence: a name in it may be as long as a file
_BREAKS = "\u0085\u2028\u2029"


def printable(text: str, *, lines: bool = False) -> str:
    """The text without what cannot be seen; breaks and controls become spaces, other spaces stay.

    Args:
        lines: line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    seen: list[str] = []
    for one in text:
        if one.isprintable() or (lines and one in "\n\t"):
            seen.append(one)
        elif one in _JOINERS:
            if seen and not (seen[-1].isascii() or seen[-1] in _JOINERS):
                seen.append(one)
        elif unicodedata.category(one) == "Zs":  # macOS has such spaces in its files' names
            seen.append(one)
        elif one in _BREAKS or unicodedata.category(one) == "Cc":
            seen.append(" ")
        elif unicodedata.category(one) != "Cf":  # half a character, or none that is known here
            seen.append("\ufffd")
    while seen and seen[-1] in _JOINERS:
        seen.pop()
    return "".join(seen)


def shown(sentence: str) -> str:
    """A sentence with names from strangers in it: printable, and cut where it is pages long."""
    sentence = printable(sentence)
    if len(sentence) <= _HEAD + _TAIL:
        return sentence
    return f"{sentence[:_HEAD]}…{sentence[-_TAIL:]}"
