"""How the sample sets were made."""
