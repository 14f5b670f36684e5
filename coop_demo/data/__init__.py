"""Images in, data sets out."""
