"""Where every number comes from: digests, run records and their mirror in MLflow."""
