"""One module a kind of figure, found by its name: settings `Entry`, `needs`, `COLUMNS`, `draw`."""
