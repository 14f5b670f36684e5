"""CoOp Studio: learn a CLIP prompt from a handful of pictures and see whether it beats words."""

from coop_demo.threads import let_threads_sleep

__version__ = "0.1.0"

let_threads_sleep()  # whoever imports coop_demo has not loaded torch yet, or has chosen for us
