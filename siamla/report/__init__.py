"""Tables and figures from the collected score file."""
