"""The tab Archive: an index of very many pictures, browsed by words and by a prompt."""
