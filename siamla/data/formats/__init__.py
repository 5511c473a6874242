"""One module per official folder layout: read it, check it, write it."""
