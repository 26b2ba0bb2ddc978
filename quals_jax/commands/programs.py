"""`python -m quals_jax programs --dump DIR`: writes every program as StableHLO text, lowered for a platform that need not be there.

python -m quals_jax programs --dump out/programs --platform tpu
python -m quals_jax programs --dump out/programs --topology v5e:2x2     compiles them for that TPU, too (needs the extra [tpu])
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.commands.errors import Parser, UserError


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax programs", description=__doc__)
    parser.add_argument("--dump", type=Path, required=True, help="the folder for search.mlir, score.mlir, ...")
    parser.add_argument("--model", help="a model to lower all programs of (the embedded QAGen and summarizer)")
    parser.add_argument("--tokenizer", help="the folder of its tokenizer, where it has none beside it")
    parser.add_argument("--dtype", default="float32", help="float32, tf32, bfloat16 or float64 (float32)")
    parser.add_argument("--platform", choices=("cpu", "cuda", "tpu"), default="cpu")
    parser.add_argument("--topology", help="compile for this TPU slice too, such as v5e:2x2")
    options = parser.parse_args(arguments)
    if options.dtype == "tf32" and (options.platform != "cuda" or options.topology):
        raise UserError("--dtype tf32 is of GPUs alone; give --platform cuda")
    from quals_jax.commands.runtime import prepare, pretend_tpu

    if options.topology:
        pretend_tpu()
    prepare()
    import jax

    from quals_jax import parallel
    from quals_jax.checkpoints import load_checkpoint
    from quals_jax.precision import Precision
    from quals_jax.programs import PROGRAMS, lower_one, topology_mesh
    from quals_jax.qagen import EMBEDDED

    try:
        precision = Precision.of(options.dtype)
        precision.prepare()
        paths = [options.model] * 2 if options.model else [EMBEDDED, EMBEDDED.with_name("gazette_mle")]
        models = [load_checkpoint(path, tokenizer=options.tokenizer, dtype=options.dtype).model for path in paths]
        mesh = topology_mesh(options.topology) if options.topology else None
    except ValueError as error:
        raise UserError(error) from None
    here = parallel.make_mesh(jax.devices()[:1])
    try:
        options.dump.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            lowered = lower_one(name, *models, precision, None if mesh else options.platform, mesh or here)
            (options.dump / f"{name}.mlir").write_text(lowered.as_text(), encoding="utf-8")
            print(_described(name, lowered, compiled=lowered.compile() if mesh else None), flush=True)
    except OSError as error:
        raise UserError(f"{options.dump}: cannot be written ({error.strerror or error})") from None
    return 0


def _described(name: str, lowered, compiled) -> str:
    """What is known of a program, on one line: memory and operations on each device where it was compiled."""
    if compiled is None:
        return f"{name:13} {lowered.as_text().count('dot_general'):5} products"
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    held, used = memory.argument_size_in_bytes / 2**30, memory.temp_size_in_bytes / 2**30
    return (
        f"{name:13} arguments {held:6.2f} GiB  temporaries {used:6.2f} GiB  {cost.get('flops', 0) / 1e9:10.1f} GFLOP"
        f"  {cost.get('bytes accessed', 0) / 1e9:8.1f} GB moved (loops counted once)"
    )
