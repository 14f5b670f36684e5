"""How far somebody is in the guided lesson."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tour:
    """Kept with the session, so that a lesson goes on after a reload."""

    at: int = 0  # the step's place in `steps.STEPS`; their number when all of them are behind
    done: tuple[str, ...] = ()  # keys of the steps that were done, and not skipped
