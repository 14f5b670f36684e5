"""The Rank tab."""
