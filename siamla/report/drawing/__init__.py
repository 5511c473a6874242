"""What all kinds of figures share: their settings, jobs, data and style, and the writer of files."""
