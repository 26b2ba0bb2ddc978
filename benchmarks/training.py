"""How fast a training step is here: `python benchmarks/training.py [--model large] [--rows 32] [--dtype bfloat16]`.

Likelihood with label smoothing, fairseq's Adam, sources of 512 and targets of 64 random tokens, no dropout, every device its own rows; beside
what a chain of large matrix products reaches in the same dtype.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import flops
from bench import matmul_flops
from models import SHAPES, random_bart, random_ids

SOURCE, TARGET = 512, 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[name for name, shape in SHAPES.items() if not shape.t5], default="large")
    parser.add_argument("--rows", type=int, default=32, help="on every device (32)")
    parser.add_argument("--steps", type=int, default=10, help="that are timed (10)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--output", type=Path, default=Path("out/training.json"))
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    import jax
    import numpy as np

    from quals_jax import parallel
    from quals_jax.precision import Precision
    from quals_jax.training.config import OptimizerConfig
    from quals_jax.training.losses import likelihood_loss
    from quals_jax.training.optimizer import make_optimizer
    from quals_jax.training.state import new_state, take_apart
    from quals_jax.training.step import compile_train_step, make_train_step

    shape, mesh = SHAPES[options.model], parallel.local_mesh()
    skeleton, params = take_apart(random_bart(shape, options.dtype))
    optimizer = make_optimizer(OptimizerConfig(), 1000)
    state = new_state(params, optimizer, 0)
    shardings = parallel.state_shardings(state, mesh, shard_params=False)
    step = make_train_step(
        skeleton,
        likelihood_loss(0.1),
        optimizer,
        accumulate=1,
        dropout=False,
        precision=Precision.of(options.dtype),
        devices=mesh.size,
    )
    step, state = compile_train_step(step, mesh, shardings), parallel.place(state, shardings)
    rows = options.rows * mesh.size
    ids = [np.asarray(random_ids(rows, length, length, shape.vocabulary), np.int32) for length in (SOURCE, TARGET)]
    batch = parallel.shard_rows({"rows": {"source_ids": ids[0], "target_ids": ids[1][:, None]}}, mesh)
    seconds = []
    for _ in range(options.steps + 1):
        began = time.perf_counter()
        state = jax.block_until_ready(step(state, batch))[0]
        seconds.append(time.perf_counter() - began)
    usual = statistics.median(seconds[1:])
    sizes = shape.width, shape.layers
    operations = 3 * rows * (flops.encode(SOURCE, *sizes) + flops.decode(1, TARGET, SOURCE, *sizes, shape.vocabulary))
    peak = matmul_flops(options.dtype) * mesh.size
    found = {
        "devices": f"{mesh.size} x {jax.local_devices()[0].device_kind}",
        "model": options.model,
        "dtype": options.dtype,
        "rows": rows,
        "ms a step": 1000 * usual,
        "compile s": seconds[0] - usual,
        "TFLOP/s": operations / usual / 1e12,
        "matmul TFLOP/s": peak / 1e12,
        "of matmul": operations / usual / peak,
    }
    print("  ".join(f"{name} {value:.4g}" if isinstance(value, float) else str(value) for name, value in found.items()))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
