"""How fast QUALS is here: `python benchmarks/bench.py [--models embedded base large t5-small] [--peer_python PEER/bin/python]`.

One table and a JSON file: per model and stage the time of one summary, summaries and tokens a second, the share of the
operations that a large matrix product reaches on the same device (model FLOP utilisation, padding not counted), the
seconds that compilation added to the first call, and the peak memory. Each model has a process of its own.

embedded: Gazette, as score.py scores it. base, large: BART's shapes with random weights, t5-small: T5's,
summaries of 30 tokens, 60 hypotheses of 25, 10 pairs, documents of 600. With --peer_python (a virtual environment with torch and
transformers==4.56.2) the random shapes are also timed beside transformers, taking turns. Then QUALS beside QAGS, a summary of each
random BART shape, here and in PyTorch (qags.py says what is counted).
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import flops
from models import DOCUMENT, PAIR, PAIRS, SHAPES, SUMMARY, random_ids, random_model, random_qagen

MODELS = ("embedded", *SHAPES)
PEER_CASES = ("decode 4x60x25", "score 4x10 pairs")
COLUMNS = ("seconds", "summaries/s", "tokens/s", "of matmul", "compile s", "peak MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--summaries", type=int, default=4, help="of a batch of the random shapes (4); embedded: 8 batches of 8"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "tf32", "bfloat16"), default="float32")
    parser.add_argument(
        "--kernels", default="none", help="kernels of ours for the random shapes, as score.py takes them (none)"
    )
    parser.add_argument("--peer_python", help="of an environment with torch and transformers==4.56.2")
    parser.add_argument("--output", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--profile", type=Path, help="folder for a profile of each model's run (XProf, Perfetto)")
    parser.add_argument("--work", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options)
    results = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "dtype": options.dtype,
        "models": {},
        "peers": {},
        "qags": {},
    }
    for name in options.models:
        if name in SHAPES and (why := too_large(SHAPES[name])):
            print(f"{name}: left out, {why}")
            continue
        command = [sys.executable, __file__, "--work", name, "--dtype", options.dtype]
        command += ["--summaries", str(options.summaries), "--runs", str(options.runs), "--kernels", options.kernels]
        command += ["--profile", str(options.profile / name)] if options.profile else []
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        if not results["models"]:
            print(f"{found['devices']}, {options.dtype}\n{'':26}" + "".join(f"{column:>13}" for column in COLUMNS))
        results["models"][name] = found
        for stage, row in found["stages"].items():
            cells = [f"{row[column]:13.3g}" if row.get(column) is not None else f"{'':13}" for column in COLUMNS]
            print(f"{name:9}{stage:17}" + "".join(cells), flush=True)
    if options.peer_python:
        from peers import Peers

        print(f"\n{'seconds':26}{'quals_jax':>13}{'transformers':>13}{'ratio':>13}")
        for name in [name for name in results["models"] if name in SHAPES]:
            peers = Peers(options.peer_python, name)
            for case in PEER_CASES:
                row = peers.compare(case, options.runs)
                results["peers"][f"{name}, {case}"] = dict(
                    zip(("quals_jax", "transformers", "ratio"), row, strict=True)
                )
                print(f"{name:9}{case:17}{row[0]:13.3f}{row[1]:13.3f}{row[2]:13.2f}", flush=True)
            peers.close()
    for name in [name for name in results["models"] if name in SHAPES and not SHAPES[name].t5]:
        results["qags"][name] = beside_qags(name, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    print(f"\nwritten to {options.output}")


def beside_qags(name: str, options) -> dict | None:
    """What qags.py prints and found of this shape; None where it does not fit: it has two BARTs and a BERT, and PyTorch has as many."""
    print(f"\n{name}: QUALS beside QAGS", flush=True)
    if why := too_large(SHAPES[name], copies=4 if options.peer_python else 2):
        print(f"left out, {why}")
        return None
    output = options.output.with_name(f"{options.output.stem}-qags-{name}.json")
    command = [sys.executable, str(Path(__file__).with_name("qags.py")), "--shape", name, "--dtype", options.dtype]
    command += ["--output", str(output), *(["--peer_python", options.peer_python] if options.peer_python else [])]
    subprocess.run(command, check=True)
    return json.loads(output.read_text())


def too_large(shape, copies: float = 1) -> str | None:
    """Why this shape does not fit the host's memory: two copies of its parameters while they are drawn, and half as much again."""
    information = Path("/proc/meminfo")
    if not information.exists():
        return None
    lines = information.read_text().splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    needed = int(2.5 * copies * shape.bytes)
    return f"it needs {needed / 2**30:.1f} GB, {free / 2**30:.1f} are free" if free < needed else None


def work(options):
    """Measures one model; JSON on standard output."""
    from quals_jax.commands.runtime import prepare

    prepare()
    import jax

    from quals_jax.profiling import profiled

    jax.config.update("jax_enable_compilation_cache", False)  # what compilation costs is to be seen
    with profiled(options.profile, seconds=float("inf")):
        stages = embedded(options) if options.work == "embedded" else random_weights(options)
    peak = matmul_flops(options.dtype) * len(jax.local_devices())
    for row in stages.values():
        if (operations := row.pop("flops", None)) is not None:
            row["of matmul"] = operations * row["summaries/s"] / peak
    stages[list(stages)[-1]]["peak MB"] = peak_megabytes()
    device = jax.local_devices()[0]
    found = {"devices": f"{len(jax.local_devices())} x {device.device_kind}", "matmul_flops": peak, "stages": stages}
    json.dump(found, sys.stdout)


def random_weights(options) -> dict:
    """Decoding and scoring of a batch of ids."""
    import jax

    from quals_jax.kernels import Kernels
    from quals_jax.pairs import QAPair

    shape, count = SHAPES[options.work], options.summaries
    vocabulary = shape.vocabulary, shape.end
    model = random_model(shape, options.dtype)
    model.kernels = Kernels.of(options.kernels)
    model.kernels.require(model, jax.default_backend())
    qagen = random_qagen(model, batch_size=count, dtype=options.dtype)
    summaries, documents = (random_ids(count, n, seed, *vocabulary) for seed, n in enumerate((SUMMARY, DOCUMENT)))
    pairs = [QAPair("", None, ids) for ids in random_ids(PAIRS, PAIR, 2, *vocabulary)]
    beams, sizes = qagen.search.num_beams, (shape.width, shape.layers)
    decoding = flops.encode(SUMMARY, *sizes) + flops.decode(beams, PAIR, SUMMARY, *sizes, shape.vocabulary)
    scoring = flops.encode(DOCUMENT, *sizes) + flops.decode(PAIRS, PAIR, DOCUMENT, *sizes, shape.vocabulary)
    stages = {
        "decode 60 x 25": timed(lambda: qagen.generate_ids(summaries), options.runs, count, beams * PAIR, decoding),
        "score 10 pairs": timed(
            lambda: qagen.score_ids(documents, [pairs] * count), options.runs, count, PAIRS * PAIR, scoring
        ),
    }
    stages["together"] = together(stages, decoding + scoring)
    return stages


def embedded(options) -> dict:
    """Every stage of QUALS on true and false summaries of Gazette."""
    from quals_jax import gazette
    from quals_jax.pairs import keep_pairs
    from quals_jax.qagen import QAGen

    qagen = QAGen.from_pretrained(dtype=options.dtype)
    stories = list(gazette.stories(5, "test", 64))
    documents = [story.document for story in stories]
    summaries = [story.corruptions[0].text if number % 2 else story.summary for number, story in enumerate(stories)]
    count, encode = len(stories), lambda texts: [ids for ids, _ in qagen.tokenizer.encode_batch(texts)]
    sources, targets = encode(documents), encode(summaries)
    generated = qagen.generate_ids(targets)
    kept = [keep_pairs(pairs, text) for pairs, text in zip(generated, summaries, strict=True)]
    config = qagen.config
    sizes, vocabulary = (config.d_model, config.encoder_layers), config.vocab_size
    lengths = [[len(pair.tokens) for pair in pairs] for pairs in generated]
    decoding = sum(
        flops.encode(len(ids), *sizes) + sum(flops.decode(1, n, len(ids), *sizes, vocabulary) for n in own)
        for ids, own in zip(targets, lengths, strict=True)
    )
    scoring = sum(
        flops.encode(len(ids), *sizes) + sum(flops.decode(1, len(p.tokens), len(ids), *sizes, vocabulary) for p in own)
        for ids, own in zip(sources, kept, strict=True)
    )
    tokens = {
        "decode": sum(map(sum, lengths)) / count,
        "score": sum(len(p.tokens) for own in kept for p in own) / count,
    }
    qagen = QAGen.from_pretrained(dtype=options.dtype)  # one that has compiled nothing

    def filter_pairs():
        for pairs, text in zip(generated, summaries, strict=True):
            keep_pairs(pairs, text)

    runs = options.runs
    stages = {
        "tokenise": timed(lambda: (encode(documents), encode(summaries)), runs, count),
        "decode": timed(lambda: qagen.generate_ids(targets), runs, count, tokens["decode"], decoding / count),
        "filter": timed(filter_pairs, runs, count),
        "score": timed(lambda: qagen.score_ids(sources, kept), runs, count, tokens["score"], scoring / count),
    }
    stages["together"] = together(stages, (decoding + scoring) / count)
    stages["host"] = timed(
        host(documents, summaries, options.dtype), runs, count
    )  # within the others, but for rows and JSON
    return stages


def host(documents: list[str], summaries: list[str], dtype: str):
    """All that Python does for a block of rows, up to lines of JSON: the tokeniser and the devices answer from memory."""
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals
    from quals_jax.scoring.blocks import Block
    from quals_jax.scoring.output import as_line, output_rows, score_block
    from quals_jax.scoring.rows import Row

    class FromMemory:
        """Answers as the object did when it was asked the first time."""

        def __init__(self, asked, *methods: str):
            self._asked = asked
            for method in methods:
                setattr(self, method, self._remember(method))

        def _remember(self, method: str):
            answers = []

            def answer(*arguments, **named):
                if len(answers) == calls[method]:
                    found = getattr(self._asked, method)(*arguments, **named)
                    answers.append(found if isinstance(found, list) else list(found))
                calls[method] += 1
                return answers[calls[method] - 1]

            return answer

        def __getattr__(self, name: str):
            return getattr(self._asked, name)

    quals = Quals(QAGen.from_pretrained(dtype=dtype))
    quals.qagen.runner = FromMemory(quals.qagen.runner, "search", "logprobs")
    quals.qagen.tokenizer = FromMemory(quals.qagen.tokenizer, "encode_batch")
    calls = dict.fromkeys(("search", "logprobs", "encode_batch"), 0)
    rows = [Row(number, number, *texts) for number, texts in enumerate(zip(documents, zip(summaries), strict=True))]
    block = Block(0, rows, [])

    def run():
        calls.update(dict.fromkeys(calls, 0))
        return [as_line(row) for row in output_rows(quals, block, score_block(quals, block))]

    return run


def timed(
    run, runs: int, count: int, tokens: float | None = None, operations: float | None = None, clock=time.perf_counter
) -> dict:
    """A row of the table: `run` works on `count` summaries; tokens and operations are those of one."""
    seconds = []
    for _ in range(runs + 1):
        started = clock()
        run()
        seconds.append(clock() - started)
    usual = statistics.median(seconds[1:])
    row = {"seconds": usual / count, "summaries/s": count / usual}
    if tokens is None:  # a stage of the host's
        return row
    return row | {"tokens/s": tokens * count / usual, "compile s": max(seconds[0] - usual, 0.0), "flops": operations}


def together(stages: dict, operations: float) -> dict:
    """The stages one after the other, for one summary."""
    seconds = sum(row["seconds"] for row in stages.values())
    compiling = sum(row.get("compile s", 0.0) for row in stages.values())
    return {"seconds": seconds, "summaries/s": 1 / seconds, "compile s": compiling, "flops": operations}


def matmul_flops(dtype: str, size: int | None = None, products: int | None = None) -> float:
    """Operations a second of products of two matrices of 8,192 (CPU: 2,048), one after the other in one program, as this dtype computes
    them; the best of five. A single product, timed, hides behind its own start and flatters what is compared with it."""
    import jax

    from quals_jax.precision import Precision

    precision = Precision.of(dtype)
    usual = (2048, 4) if jax.default_backend() == "cpu" else (8192, 16)
    size, products = size or usual[0], products or usual[1]
    matrix = (jax.random.normal(jax.random.key(0), (size, size)) / size**0.5).astype(precision.compute)

    @jax.jit
    @precision.scoped
    def chain(matrix):
        return jax.lax.fori_loop(0, products, lambda _, product: product @ matrix, matrix)

    chain(matrix).block_until_ready()
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        chain(matrix).block_until_ready()
        best = min(best, time.perf_counter() - started)
    return products * 2 * size**3 / best


def peak_megabytes() -> float:
    """Of the devices' memory, or of the process where the device is the CPU."""
    import jax

    stats = [device.memory_stats() for device in jax.local_devices()]
    if all(stats):
        return sum(stat["peak_bytes_in_use"] for stat in stats) / 2**20
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


if __name__ == "__main__":
    main()
