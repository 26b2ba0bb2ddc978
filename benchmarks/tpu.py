"""What TPU programs say, without a TPU: `python benchmarks/tpu.py [--models embedded large] [--topology v5e:2x2] [--programs search score]`.

Every program is compiled ahead of time by `libtpu` (extra [tpu]) for a slice that is not there, and read: it must fit the chip's memory,
sort nothing as wide as the vocabulary, multiply at the precision of its dtype, copy no cache inside its loops, and, where it only reads, talk
to no other chip; a training step sums as many numbers as it has gradients, and gathers nothing unless parameters lie in pieces, and then these once
and no state of the optimizer (`exchanges.py`). Ends with status 1 where one of these does not hold. BART-large takes minutes a program.
"""

import argparse
import sys
import time
from collections import Counter

from exchanges import expected, faults
from flops import bound
from hlo import PRODUCTS, collectives, copied_in_loops, products, sorted_widths
from models import DECODING, SHAPES, abstract_model, cache_sizes

GIB = 2**30
CHIP_MEMORY = {"v5e": 16 * GIB, "v5p": 95 * GIB, "v6e": 32 * GIB, "v4": 32 * GIB}
# Operations a second in bfloat16 and bytes a second of main memory, as Google gives them for a chip.
CHIP_SPEED = {"v5e": (197e12, 819e9), "v5p": (459e12, 2765e9), "v6e": (918e12, 1640e9), "v4": (275e12, 1228e9)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="+", choices=("embedded", "base", "large", "t5_large"), default=["embedded", "large"]
    )
    parser.add_argument("--topology", default="v5e:2x2")
    parser.add_argument("--programs", nargs="+", help="of search, score, answer, sample, train_mle, train_conseq (all)")
    parser.add_argument("--dtype", choices=PRODUCTS, default="bfloat16")
    parser.add_argument(
        "--shard_params", action="store_true", help="train with parameters and optimizer state cut over the chips"
    )
    parser.add_argument("--rows", type=int, default=8, help="rows of a batch on each chip (8)")
    parser.add_argument("--accumulate", type=int, default=1, help="parts that a training batch is cut into (1)")
    parser.add_argument(
        "--remat", action="store_true", help="train with every layer computed again in the backward pass"
    )
    parser.add_argument("--kernels", default="none", help="kernels of ours, as score.py takes them (none)")
    options = parser.parse_args()
    from quals_jax.commands.runtime import pretend_tpu

    pretend_tpu()
    from quals_jax.kernels import Kernels
    from quals_jax.precision import Precision
    from quals_jax.programs import INFERENCE, PROGRAMS, lower_one, topology_mesh

    mesh, precision = topology_mesh(options.topology), Precision.of(options.dtype)
    room = CHIP_MEMORY.get(options.topology.partition(":")[0], 16 * GIB)
    print(f"{options.topology}, {mesh.size} chips, {options.dtype}; per chip")
    print(
        f"{'':22}{'arguments GiB':>14}{'temporaries':>13}{'held':>8}{'GFLOP':>10}{'GB moved':>10}{'compile s':>11}  collectives"
    )
    failed = []
    for name in options.models:
        model = abstract_model(name, precision, remat=options.remat)
        model.kernels = Kernels.of(options.kernels)
        model.kernels.require(model, "tpu")
        for program in options.programs or PROGRAMS:
            began = time.perf_counter()
            settings = {"shard_params": options.shard_params, "rows": options.rows, "accumulate": options.accumulate}
            lowered = lower_one(program, model, model, precision, None, mesh, **settings)
            if others := products(lowered.as_text()) - {PRODUCTS[options.dtype]}:
                failed.append(f"{name} {program}: has products of {sorted(others)}")
            compiled = lowered.compile()
            text, memory, cost = compiled.as_text(), compiled.memory_analysis(), compiled.cost_analysis()
            exchanged = list(collectives(text))
            found = dict(Counter(one.kind for one in exchanged))
            # A training step writes its state over the one it was given: those bytes are counted once.
            written = memory.output_size_in_bytes - memory.alias_size_in_bytes
            held = memory.argument_size_in_bytes + memory.temp_size_in_bytes + written
            print(
                f"{name:9}{program:13}{memory.argument_size_in_bytes / GIB:14.2f}{memory.temp_size_in_bytes / GIB:13.2f}{held / GIB:8.2f}"
                f"{cost.get('flops', 0) / 1e9:10.1f}{cost.get('bytes accessed', 0) / 1e9:10.1f}{time.perf_counter() - began:11.0f}"
                f"  {found or 'none'}",
                flush=True,
            )
            if held > room:
                failed.append(f"{name} {program}: needs {held / GIB:.1f} GiB, a chip has {room / GIB:.0f}")
            if wide := [width for width in sorted_widths(text) if width >= model.config.vocab_size]:
                failed.append(f"{name} {program}: sorts {max(wide)} numbers, the vocabulary")
            if program in DECODING and (copies := copied_in_loops(text, cache_sizes(program, model, options.rows))):
                failed.append(f"{name} {program}: copies its cache, {copies} arrays in its loops")
            if program in INFERENCE:
                said = sorted(found)
            else:
                said = faults(exchanged, expected(program, model, mesh, shard_params=options.shard_params))
            failed += [f"{name} {program}: {line}" for line in said]
    print("(operations and bytes of a loop's body are counted once)")
    speed = CHIP_SPEED.get(options.topology.partition(":")[0])
    for name in options.models if speed and options.dtype == "bfloat16" else ():
        if name in SHAPES:
            print(
                f"{name}: at most {bound(options.rows, SHAPES[name], *speed):.0f} summaries/s a chip, by counting (flops.py)"
            )
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
