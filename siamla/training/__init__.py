"""Labels (LALS), losses (LADL, IoU, quality), schedule and the resumable loop."""
