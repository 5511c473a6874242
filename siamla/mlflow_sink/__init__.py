"""MLflow as a view of the result files, for people to look at: nothing waits for it, stops with it
or reads from it.
"""
