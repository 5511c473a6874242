"""Typed parameters → one resolved spec per variant → canonical JSON → digest."""
