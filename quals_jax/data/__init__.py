"""Data: sources of text, and batches of static shape."""
