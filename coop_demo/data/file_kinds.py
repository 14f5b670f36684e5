"""What a file is by its first bytes, for those that were given in place of something else."""

from __future__ import annotations

#: (first bytes, what the file is, what to do about it where a picture was wanted)
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer: a few lines of text that stand for the file, not the file itself",
        'Fetch the file with "git lfs pull" or download it from the repository\'s page.',
    ),
    (
        b"/annex/objects/",
        "a git-annex pointer: a line of text that stands for the file, not the file itself",
        'Fetch the file with "git annex get".',
    ),
    (b"%PDF", "a PDF document", "Save the page as JPEG or PNG and add that."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Add the pictures or the table inside it."),
    (b"Rar!", "a RAR archive", "Unpack it, zip the folder and add that."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it, zip the folder and add that."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it, zip the folder and add that."),
)


def known_kind(head: bytes) -> tuple[str, str] | None:
    """What the file is ("a RAR archive") and what to do about it; None where nothing is known.

    `head` is its first bytes, 300 or more where there are as many.
    """
    for start, kind, advice in _KINDS:
        if head.startswith(start):
            return kind, advice
    if head[257:262] == b"ustar":
        return "a tar archive", "Unpack it, zip the folder and add that."
    lowered = head.lower()
    if b"<html" in lowered or b"<!doctype html" in lowered:
        return "a web page", "Download the file itself and add that."
    return None
