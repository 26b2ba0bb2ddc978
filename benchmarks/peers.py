"""quals_jax beside Hugging Face transformers 4.56.2 (the last release with group beam search), random weights.

    python benchmarks/peers.py --peer_python PEER/bin/python [--shape base] [--runs 5] [--cases "decode 1x60x25"]

PEER is a virtual environment with torch and transformers==4.56.2. Each library has a process of its own; the two take
turns, so that noise of the machine falls on both. Printed are medians in seconds and the median of the ratios.
Random weights never end a sentence: every hypothesis has the full length, in both.
"""

import argparse
import statistics
import subprocess
import sys
import time

from models import DOCUMENT, PAIR, PAIRS, SHAPES, SUMMARY, random_ids, random_model, random_qagen

# what is done, how often, and the tokens of a hypothesis
CASES = {
    "decode 1x60x25": ("decode", 1, 25),
    "decode 4x60x25": ("decode", 4, 25),
    "decode 1x60x60": ("decode", 1, 60),
    "score 1x10 pairs": ("score", 1, PAIR),
    "score 4x10 pairs": ("score", 4, PAIR),
}


def ours(shape):
    """A function of a case's values that runs it here."""
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.pairs import QAPair

    model = random_model(shape)

    def make(what: str, count: int, length: int):
        qagen = random_qagen(model, batch_size=count, length=length)
        summaries, documents, pairs = inputs(shape, count)
        pairs = [QAPair("", None, tokens) for tokens in pairs]
        if what == "decode":
            return lambda: qagen.generate_ids(summaries)
        return lambda: qagen.score_ids(documents, [pairs] * count)

    return make


def inputs(shape, count: int):
    """Summaries, documents, and the pairs of each, as ids."""
    vocabulary = shape.vocabulary, shape.end
    texts = (random_ids(count, length, seed, *vocabulary) for seed, length in enumerate((SUMMARY, DOCUMENT)))
    return (*texts, random_ids(PAIRS, PAIR, 2, *vocabulary))


def theirs(shape):
    """The same with transformers: group beam search, then all pairs of a document in one batch, the document repeated."""
    import torch

    model = their_t5(shape) if shape.t5 else their_bart(shape)
    start = model.config.decoder_start_token_id

    def decode(summaries, length):
        model.generate(
            summaries, attention_mask=torch.ones_like(summaries), num_beams=60, num_beam_groups=60,
            diversity_penalty=0.5, num_return_sequences=60, do_sample=False, min_length=length + 1, max_length=length + 1,
        )  # fmt: skip

    def score(documents, pairs):
        for document in documents:
            repeated = document.expand(PAIRS, -1)
            inputs = torch.cat([torch.full_like(pairs[:, :1], start), pairs[:, :-1]], dim=1)
            logits = model(input_ids=repeated, decoder_input_ids=inputs).logits
            torch.log_softmax(logits, -1).gather(-1, pairs[..., None])

    def make(what: str, count: int, length: int):
        summaries, documents, pairs = map(torch.tensor, inputs(shape, count))

        def run():
            with torch.inference_mode():
                return decode(summaries, length) if what == "decode" else score(documents, pairs)

        return run

    return make


def their_bart(shape):
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=shape.vocabulary, d_model=shape.width, encoder_layers=shape.layers, decoder_layers=shape.layers,
        encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads, encoder_ffn_dim=4 * shape.width,
        decoder_ffn_dim=4 * shape.width, forced_eos_token_id=None, forced_bos_token_id=None,
    )  # fmt: skip
    return BartForConditionalGeneration(config).eval()


def their_t5(shape):
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=shape.vocabulary, d_model=shape.width, d_kv=shape.width // shape.heads, d_ff=4 * shape.width,
        num_layers=shape.layers, num_heads=shape.heads, decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config).eval()


def work(make, cases: dict[str, tuple]) -> None:
    """Reads names of cases, writes the seconds that each took; what must be compiled is, before the first."""
    ready = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            ready[name] = make(*cases[name])
            ready[name]()
        started = time.perf_counter()
        ready[name]()
        print(time.perf_counter() - started, flush=True)


def ask(worker: subprocess.Popen, case: str) -> float:
    """The seconds that a process in `work` takes for the case."""
    worker.stdin.write(case + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"{worker.args[0]} ended at {case!r}")
    return float(answer)


class Peers:
    """The two processes. They take turns."""

    def __init__(self, peer_python: str, shape: str):
        self.workers = [
            subprocess.Popen(
                [python, __file__, "--work", side, "--shape", shape],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for side, python in (("ours", sys.executable), ("theirs", peer_python))
        ]  # fmt: skip

    def compare(self, case: str, runs: int) -> tuple[float, float, float]:
        """Median seconds of ours and of theirs, and the median of theirs / ours."""
        seconds = [[ask(worker, case) for worker in self.workers] for _ in range(runs)]
        ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
        return ours, theirs, statistics.median(their / our for our, their in seconds)

    def close(self) -> None:
        for worker in self.workers:
            worker.stdin.close()
            worker.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer_python", help="of an environment with torch and transformers==4.56.2")
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES, metavar="CASE")
    parser.add_argument("--work", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work({"ours": ours, "theirs": theirs}[options.work](SHAPES[options.shape]), CASES)
    if not options.peer_python:
        parser.error("--peer_python is missing")
    peers = Peers(options.peer_python, options.shape)
    print(f"{'seconds':18} {'quals_jax':>10} {'transformers':>13} {'ratio':>6}")
    for case in options.cases:
        mine, peer, ratio = peers.compare(case, options.runs)
        print(f"{case:18} {mine:10.3f} {peer:13.3f} {ratio:6.2f}", flush=True)
    peers.close()


if __name__ == "__main__":
    main()
