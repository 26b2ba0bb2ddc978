"""Trains a QAGen or a summarizer: `python train.py --config configs/NAME.py --workdir DIR`; `--help` says more."""

import sys

from quals_jax.__main__ import run

if __name__ == "__main__":
    sys.exit(run(["train", *sys.argv[1:]]))
