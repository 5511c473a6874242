"""MLflow as a view of the result files: nothing waits for it, stops with it or reads from it."""
