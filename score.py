"""Scores summaries against documents: see `python score.py --help`."""

import sys

from quals_jax.__main__ import run

if __name__ == "__main__":
    sys.exit(run(["score", *sys.argv[1:]]))
