"""Flax NNX models and their configurations."""
