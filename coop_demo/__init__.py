"""CoOp Studio: learn a CLIP prompt from a handful of pictures and see whether it beats words.

From Python, see `coop_demo.library`; its functions can be imported from here.
"""

from typing import TYPE_CHECKING, Any

from coop_demo.threads import let_threads_sleep

if TYPE_CHECKING:
    from coop_demo.library import (
        explain,
        load_backbone,
        load_dataset,
        load_prompt,
        load_ranker,
        predict,
        rank,
        save_prompt,
        train_prompt,
    )

__version__ = "0.1.0"
__all__ = [
    "explain",
    "load_backbone",
    "load_dataset",
    "load_prompt",
    "load_ranker",
    "predict",
    "rank",
    "save_prompt",
    "train_prompt",
]

let_threads_sleep()  # whoever imports coop_demo has not loaded torch yet, or has chosen for us


def __getattr__(name: str) -> Any:
    """The functions of `library`, which loads torch, when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from coop_demo import library

    return getattr(library, name)
