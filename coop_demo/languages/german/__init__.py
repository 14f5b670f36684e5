"""Every sentence of the page in German."""
