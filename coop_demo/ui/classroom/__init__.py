"""Tab "Class": who is there and what they train, for a teacher with a projector."""
