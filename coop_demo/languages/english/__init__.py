"""Every sentence of the page in English. Its modules are the pattern for every other language."""
