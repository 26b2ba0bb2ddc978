"""What CUDA programs say, without a GPU: `python benchmarks/cuda.py [--models embedded large] [--programs search score] [--kernels NAMES]`.

XLA compiles ahead of time for one H100 that is not there (extra [cuda12], on a machine with or without a GPU), and the programs are read: memory, no
sort over the vocabulary, every product at its dtype's precision, no TF32 in float32; and how many kernels are launched in a step of the search.
Nothing can be timed, so XLA picks no kernel by trying (`--xla_gpu_autotune_level=0`): on a GPU it may choose others. Ends with status 1 where one of
these does not hold.
"""

import argparse
import os
import sys
import time

from flops import bound
from hlo import PRODUCTS, copied_in_loops, launches, less_than_highest, products, sorted_widths
from models import DECODING, SHAPES, abstract_model, cache_sizes

GIB = 2**30
PEAK = 989e12  # operations a second in bfloat16
# An H100 with 80 GB (SXM), by NVIDIA's data sheet and tables of compute capability 9.0.
DEVICE = {
    "threads_per_block_limit": 1024, "threads_per_warp": 32, "threads_per_core_limit": 2048, "core_count": 132, "fpus_per_core": 128,
    "block_dim_limit_x": 2**31 - 1, "block_dim_limit_y": 65535, "block_dim_limit_z": 65535,
    "shared_memory_per_block": 48 * 2**10, "shared_memory_per_block_optin": 227 * 2**10, "shared_memory_per_core": 228 * 2**10,
    "registers_per_core_limit": 2**16, "registers_per_block_limit": 2**16,
    "l2_cache_size": 50 * 2**20, "device_memory_size": 80 * GIB, "memory_bandwidth": 3_350_000_000_000, "clock_rate_ghz": 1.98,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=("embedded", "base", "large", "t5_large"), default=["embedded"])
    parser.add_argument("--programs", nargs="+", help="of search, score, answer, sample, train_mle, train_conseq (all)")
    parser.add_argument("--dtype", choices=PRODUCTS, default="bfloat16")
    parser.add_argument("--rows", type=int, default=8, help="rows of a batch (8)")
    parser.add_argument("--kernels", default="none", help="kernels of ours, as score.py takes them (none)")
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    from quals_jax.kernels import Kernels
    from quals_jax.precision import Precision
    from quals_jax.programs import PROGRAMS, lower_one

    mesh, precision = mesh_of_one(), Precision.of(options.dtype)
    print(f"one H100, {options.dtype}, {options.rows} rows")
    print(
        f"{'':22}{'arguments GiB':>14}{'temporaries':>13}{'held':>8}{'compile s':>11}  kernels launched in a step, by stage"
    )
    failed = []
    for name in options.models:
        model = abstract_model(name, precision)
        model.kernels = Kernels.of(options.kernels)
        model.kernels.require(model, "cuda")
        for program in options.programs or PROGRAMS:
            began = time.perf_counter()
            lowered = lower_one(program, model, model, precision, None, mesh, rows=options.rows)
            if others := products(lowered.as_text()) - {PRODUCTS[options.dtype]}:
                failed.append(f"{name} {program}: has products of {sorted(others)}")
            compiled = lowered.compile()
            text, memory = compiled.as_text(), compiled.memory_analysis()
            written = memory.output_size_in_bytes - memory.alias_size_in_bytes
            held = memory.argument_size_in_bytes + memory.temp_size_in_bytes + written
            steps = [count for count in launches(text) if program in DECODING]
            copies = copied_in_loops(text, cache_sizes(program, model, options.rows)) if program in DECODING else 0
            print(
                f"{name:9}{program:13}{memory.argument_size_in_bytes / GIB:14.2f}{memory.temp_size_in_bytes / GIB:13.2f}{held / GIB:8.2f}"
                f"{time.perf_counter() - began:11.0f}  {', '.join(map(str, steps))}{f' ({copies} arrays of the cache copied)' if copies else ''}",
                flush=True,
            )
            if held > DEVICE["device_memory_size"]:
                failed.append(f"{name} {program}: needs {held / GIB:.1f} GiB, the GPU has 80")
            if wide := [width for width in sorted_widths(text) if width >= model.config.vocab_size]:
                failed.append(f"{name} {program}: sorts {max(wide)} numbers, the vocabulary")
            if options.dtype == "float32" and (others := less_than_highest(text)):
                failed.append(f"{name} {program}: {others} products at less than the highest precision")
        if name in SHAPES and options.dtype == "bfloat16":
            most = bound(options.rows, SHAPES[name], PEAK, DEVICE["memory_bandwidth"])
            print(f"{name}: at most {most:.0f} summaries/s, by counting (flops.py)")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def mesh_of_one():
    """The mesh of one GPU that need not be there.

    Raises:
        SystemExit: if JAX's plugin for CUDA is not installed.
    """
    import numpy as np
    from jax.experimental import topologies

    from quals_jax import parallel

    figures = " ".join(f"{name}: {value}" for name, value in DEVICE.items())
    target = (
        f"gpu_device_info {{ cuda_compute_capability {{ major: 9 }} {figures} }} platform_name: 'CUDA'"
        " runtime_version { major: 12 minor: 9 } dnn_version_info { major: 9 minor: 10 } device_description_str: 'NVIDIA H100 80GB HBM3'"
    )
    try:
        topology = topologies.get_topology_desc("h100", "cuda", target_config=target, topology="1x1x1")
    except NotImplementedError:
        raise SystemExit("cuda.py needs JAX's plugin for CUDA: pip install 'quals-jax[cuda12]'") from None
    return parallel.make_mesh(np.asarray(topology.devices).ravel())


if __name__ == "__main__":
    sys.exit(main())
