"""Where the model looked, and whether that can be believed."""
