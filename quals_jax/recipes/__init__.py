"""Likelihood training and ConSeq from a configuration: their steps, from the data to the folder that comes out."""
