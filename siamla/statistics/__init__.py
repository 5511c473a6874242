"""How sure a difference is: one mixed model with its intervals, and Holm's correction."""
