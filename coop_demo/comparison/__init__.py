"""Is the learned prompt better?"""
