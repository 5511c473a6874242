"""One module a kind of figure, found by its name: its settings `Entry`, `needs`, `draw`."""
