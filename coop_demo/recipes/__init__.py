"""How each shipped checkpoint and picture was made, one command each, from public parts."""
