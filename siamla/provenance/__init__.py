"""Where every number comes from: records beside results, and digests of the code that made them."""
