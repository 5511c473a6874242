"""The work of each job of the plan: from its inputs to its result, with the record beside it."""
