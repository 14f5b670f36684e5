"""The ranking-aware adapter: order pictures by an instruction."""
