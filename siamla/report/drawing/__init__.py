"""What all kinds of figures share: their settings, jobs, data and style, and their writer."""
