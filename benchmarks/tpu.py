"""What TPU programs say, without a TPU: `python benchmarks/tpu.py [--models embedded large] [--topology v5e:2x2] [--programs search score]`.

Every program is compiled ahead of time by `libtpu` (extra [tpu]) for a slice that is not there, and read: it must fit the chip's memory,
sort nothing as wide as the vocabulary, multiply at the precision of its dtype, copy no cache inside its loops, and, where it only reads, talk
to no other chip; a training step reduces gradients and gathers
nothing unless parameters lie in pieces, and then no moment of the optimizer. Ends with status 1 where one of these does not hold. BART-large takes
minutes a program.
"""

import argparse
import math
import re
import sys
import time

GIB = 2**30
CHIP_MEMORY = {"v5e": 16 * GIB, "v5p": 95 * GIB, "v6e": 32 * GIB, "v4": 32 * GIB}
# What asks for numbers of other chips in a step whose parameters lie in pieces: these, and the gradients of embedded words.
PARAMETERS, WORDS = "sharding_constraint", "scatter-add"
PRODUCTS = {"float32": ("f32", "f32", "HIGHEST", "HIGHEST"), "bfloat16": ("bf16", "bf16", "DEFAULT", "DEFAULT")}
DECODING = ("search", "answer", "sample")
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


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
            found = {kind: len(re.findall(rf" {kind}(?:-start)?\(", text)) for kind in COLLECTIVES}
            found = {kind: count for kind, count in found.items() if count}
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
            allowed = () if program in INFERENCE else COLLECTIVES if options.shard_params else ("all-reduce",)
            if strange := set(found) - set(allowed):
                failed.append(f"{name} {program}: {', '.join(sorted(strange))}")
            if brought := {
                source: count for source, count in gathered(text).items() if source not in (PARAMETERS, WORDS)
            }:
                failed.append(f"{name} {program}: gathers more than parameters and gradients of words: {brought}")
    print("(operations and bytes of a loop's body are counted once)")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def abstract_model(name: str, precision, *, remat: bool = False):
    """A model without numbers: BART's or T5's shapes, or the embedded model's."""
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from models import SHAPES

    from quals_jax.models.bart import Bart, BartConfig, Buffer
    from quals_jax.models.t5 import T5, T5Config

    if name == "t5_large":
        sizes = T5Config(32128, 1024, 64, 4096, 24, 16, dropout_rate=0.0)
        return nnx.eval_shape(lambda: T5(sizes, rngs=nnx.Rngs(jax.random.key(0)), dtype=precision.compute, remat=remat))
    if name == "embedded":
        from quals_jax.checkpoints import load_checkpoint
        from quals_jax.qagen import EMBEDDED

        config = load_checkpoint(EMBEDDED).config
    else:
        shape = SHAPES[name]
        heads = shape.width // 64
        config = BartConfig(
            shape.vocabulary, shape.width, shape.layers, shape.layers, heads, heads, 4 * shape.width, 4 * shape.width,
            dropout=0.0,
        )  # fmt: skip
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(jax.random.key(0)), dtype=precision.compute, remat=remat))
    model.final_logits_bias = Buffer(
        jnp.zeros((config.vocab_size,), jnp.float32)
    )  # no parameter: part of a training step
    return model


def gathered(text: str) -> dict[str, int]:
    """How many floating-point numbers a compiled program brings together from all chips, by what in the step asks for them: parameters,
    which lie in pieces, do (`training/step.py` says so with a sharding constraint); the optimizer's moments must stay where they are."""
    counts: dict[str, int] = {}
    channels = set()  # a gathering in several parts is written once for each of them, under one number
    for result, rest in re.findall(r" = (.*?) all-gather(?:-start)?\((.*)", text):
        shapes = re.findall(r"\b(?:f|bf)\d+\[([\d,]+)\]", result)
        channel = re.search(r"channel_id=(\d+)", rest)
        if not shapes or (channel and channel[1] in channels):  # no shapes: places of words in the embedding's gradient
            continue
        channels |= {channel[1]} if channel else set()
        source = re.search(r'op_name="[^"]*?([^/"]+)"', rest)
        name = source.group(1) if source else "unknown"
        counts[name] = counts.get(name, 0) + max(math.prod(map(int, shape.split(","))) for shape in shapes)
    return counts


def products(text: str) -> set[tuple[str, ...]]:
    """What a lowered program multiplies: types of the operands, and the precisions asked for."""
    kinds = set()
    for line in re.findall(r"stablehlo\.dot_general .*", text):
        types = re.search(r": \(tensor<(?:\d+x)*(\w+)>, tensor<(?:\d+x)*(\w+)>\)", line).groups()
        kinds.add((*types, *re.search(r"precision = \[(\w+), (\w+)\]", line).groups()))
    return kinds


def cache_sizes(program: str, model, rows: int) -> set[int]:
    """How many numbers the arrays of a program's cache have, in each of its stages."""
    import jax

    from quals_jax.decoding.sampling import SamplingConfig
    from quals_jax.decoding.search_config import SearchConfig
    from quals_jax.decoding.stages import cache_stages
    from quals_jax.places import LONGEST_ANSWER
    from quals_jax.programs import Shapes
    from quals_jax.row_programs import PAIRS_AT_ONCE

    shapes, most = Shapes().for_model(model.config.max_positions), model.config.max_positions
    beam, length = {
        "search": (SearchConfig().num_beams, min(SearchConfig().max_length, most - 1)),
        "sample": (shapes.samples, min(SamplingConfig().max_length, most - 1)),
        "answer": (PAIRS_AT_ONCE, shapes.pair + min(LONGEST_ANSWER, most - shapes.pair - 1)),
    }[program]
    caches = [
        jax.eval_shape(lambda stage=stage: model.init_cache(batch=rows, beam=beam, length=stage))
        for stage in cache_stages(length + 1)
    ]
    return {cache.keys[0].size for cache in caches}


def copied_in_loops(text: str, sizes: set[int]) -> int:
    """How many arrays of so many numbers the bodies of a compiled program's loops copy within the chip's main memory (what is brought into
    the fast one, `S(1)`, is no copy)."""
    parts = {part.split(" ", 1)[0]: part for part in re.split(r"\n(?=%|ENTRY)", text)}
    bodies = [parts[name] for name in set(re.findall(r" while\([^\n]*body=(%[\w.\-]+)", text))]
    copies = [found for body in bodies for found in re.findall(r" = \w+\[([\d,]+)\](\S*) copy\(", body)]
    return sum(math.prod(map(int, shape.split(","))) in sizes for shape, layout in copies if "S(1)" not in layout)


def sorted_widths(text: str) -> list[int]:
    """The lengths along which a compiled program sorts: the largest axis of what goes into each sort."""
    shapes = re.findall(r"= \(?\w+\[([\d,]+)\][^=\n]* sort\(", text)
    return [max(map(int, shape.split(","))) for shape in shapes]


if __name__ == "__main__":
    sys.exit(main())
