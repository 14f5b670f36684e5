"""The errors whose message is written for the person at the page.

UserError
├── PictureError      one picture cannot be used
├── DatasetError      a folder, zip or table of pictures cannot be used
├── BackboneError     a CLIP model is unknown, unreachable or does not fit
├── PromptError       a prompt cannot be built, trained or loaded
├── RankingError      a ranker, an instruction or labels cannot be used
├── HeatmapError      a map cannot be drawn
└── ArchiveError      a large folder, a list of pictures or an index of one cannot be used

Every message says what is wrong, with which thing, and what to do. Anything that is not a
UserError is a bug of ours and must not be shown as if it were the person's mistake.
"""

from coop_demo.letters import shown


class UserError(Exception):
    """Something the person can put right; `str(error)` is safe and meant to be shown.

    Names in it come from files of strangers: what cannot be seen is left out. HTML in it is text,
    which whoever shows it escapes.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


class PictureError(UserError):
    """One picture cannot be used; the message names it."""


class DatasetError(UserError):
    """A folder, zip or table of pictures cannot be used."""


class BackboneError(UserError):
    """A CLIP model is unknown, cannot be fetched or does not fit what it is asked to do."""


class PromptError(UserError):
    """A prompt cannot be built, trained, saved or loaded."""


class RankingError(UserError):
    """A ranker, an instruction or a set of labels cannot be used."""


class HeatmapError(UserError):
    """A map of where the model looked cannot be drawn."""


class ArchiveError(UserError):
    """A source of very many pictures, or the index made of one, cannot be used."""
