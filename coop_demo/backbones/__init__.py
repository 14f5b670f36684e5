"""Everything that is CLIP: the models, their text tower and the built-in mini model."""
