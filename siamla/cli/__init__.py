"""The command line: `siamla GROUP COMMAND`, one thin command for each step of the pipeline."""
