"""MLflow as a view of the result files, for people to look at: no table and no later step reads from it."""
