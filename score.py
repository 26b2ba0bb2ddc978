"""Scores summaries against documents: see `python score.py --help`."""

import sys

from quals_jax.commands.score import main

if __name__ == "__main__":
    sys.exit(main())
