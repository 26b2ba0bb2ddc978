"""All that is to be known of a GPU, by one command: `make gpu [PEER=ENVIRONMENT]`, or `python benchmarks/gpu.py [--dry_run]`.

The goldens and the kernels' tests on the device, then the bench: BART-large's shape in bfloat16 at batches of 8 to 128 without kernels, each
kernel alone and all of them at the batch that was best, the loop as one command buffer, float32, the embedded model, a training step, and the
PyTorch way with --peer_python. About half an hour on an H200. What fails is said at the end, and the rest runs all the same; every table is also
in --folder.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

BATCHES = (8, 32, 64, 128)
HERE = Path(__file__).parent
KERNELS = ("choice", "cache", "attention", "all")
# XLA's command buffers hold what follows in a step by itself; so they hold the whole loop, and no step waits for the host.
WHOLE_LOOP = {"XLA_FLAGS": "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("out/gpu"))
    parser.add_argument("--peer_python", help="of an environment with torch and transformers==4.56.2")
    parser.add_argument("--dry_run", action="store_true", help="print the commands alone")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []

    def run(name: str, command: list[str], **environment: str) -> None:
        print(f"\n== {name}: {' '.join(command)}", flush=True)
        if not options.dry_run and subprocess.run(command, env=os.environ | environment, check=False).returncode:
            failed.append(name)

    def bench(name: str, *arguments: str, **environment: str) -> float:
        """Runs it, and gives the summaries/s of the last row (0 where there is none)."""
        output = options.folder / f"{name}.json"
        output.unlink(missing_ok=True)
        run(name, [sys.executable, str(HERE / "bench.py"), *arguments, "--output", str(output)], **environment)
        if not output.exists():
            return 0.0
        [model] = json.loads(output.read_text())["models"].values()
        return model["stages"]["together"]["summaries/s"]

    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run("goldens", [*pytest, "-m", "golden", "tests"], PLATFORM="cuda")
    run("kernels", [*pytest, "tests/kernels", "tests/decoding"], PLATFORM="cuda")
    large = "--models", "large", "--dtype", "bfloat16"
    rates = {batch: bench(f"large-{batch}", *large, "--summaries", str(batch)) for batch in BATCHES}
    best = max(rates, key=rates.get)
    table = {f"batch {batch}": rate for batch, rate in rates.items()}
    for kernels in KERNELS:
        name = f"large-{best}-{kernels}"
        table[f"batch {best}, {kernels}"] = bench(name, *large, "--summaries", str(best), "--kernels", kernels)
    for kernels in ("none", "all"):
        name, wanted = f"large-{best}-{kernels}-loop", ("--summaries", str(best), "--kernels", kernels)
        table[f"batch {best}, {kernels}, one buffer"] = bench(name, *large, *wanted, **WHOLE_LOOP)
    table["batch 32, float32"] = bench("large-float32", "--models", "large", "--summaries", "32")
    table["embedded, float32"] = bench("embedded", "--models", "embedded")
    run("training", [sys.executable, str(HERE / "training.py"), "--output", str(options.folder / "training.json")])
    if options.peer_python:
        peers = "--models", "base", "large", "--peer_python", options.peer_python
        run("peers", [sys.executable, str(HERE / "bench.py"), *peers, "--output", str(options.folder / "peers.json")])
    if options.dry_run:
        return 0
    print("\nsummaries/s, all of QUALS")
    for name, rate in table.items():
        print(f"{name:32}{rate:10.1f}")
    for name in failed:
        print(f"{name}: failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
