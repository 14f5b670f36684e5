"""CoOp Studio: learn a CLIP prompt from a handful of pictures and see whether it beats words."""

__version__ = "0.1.0"
