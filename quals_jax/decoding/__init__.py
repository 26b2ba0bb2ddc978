"""Decoding: pure functions over a step function. Knows no model."""
