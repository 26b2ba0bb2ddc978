"""Training: state, step, loop, checkpoints. Knows no task."""
