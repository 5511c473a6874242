"""The tables of the paper: their layout, their jobs, and what stands in them."""
