"""CoOp: prompts whose context vectors are learned while CLIP stays frozen."""
