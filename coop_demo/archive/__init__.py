"""Very many pictures: listed, encoded into an index of Parquet files, and asked from there."""
