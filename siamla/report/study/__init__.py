"""The study: effects with intervals and power, the paper's claims with verdicts, and their page."""
