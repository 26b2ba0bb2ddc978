"""Trains a QAGen or a summarizer: `python train.py --config configs/NAME.py --workdir DIR`; `--help` says more."""

import sys

from quals_jax.commands.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
