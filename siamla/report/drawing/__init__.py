"""What all kinds of figures share: settings, jobs, data, style, and the writer of files."""
