"""quals_jax beside Hugging Face transformers 4.56.2 (the last release with group beam search), BART-base shape, random weights.

    python benchmarks/peers.py --peer_python PEER/bin/python [--runs 5] [--cases "decode 1x60x25"]

PEER is a virtual environment with torch and transformers==4.56.2. Each library has a process of its own; the two take
turns, so that noise of the machine falls on both. Printed are medians in seconds and the median of the ratios.
Random weights never end a sentence: every hypothesis has the full length, in both.
"""

import argparse
import statistics
import subprocess
import sys
import time

WIDTH, LAYERS, HEADS, VOCABULARY = 768, 6, 12, 50265
SUMMARY, DOCUMENT, PAIRS, PAIR = 30, 600, 10, 25
# what is done, how often, and the tokens of a hypothesis
CASES = {
    "decode 1x60x25": ("decode", 1, 25),
    "decode 4x60x25": ("decode", 4, 25),
    "decode 1x60x60": ("decode", 1, 60),
    "score 1x10 pairs": ("score", 1, PAIR),
    "score 4x10 pairs": ("score", 4, PAIR),
}


def ids(count: int, length: int, seed: int) -> list[list[int]]:
    import numpy as np

    generator = np.random.default_rng(seed)
    return [generator.integers(4, VOCABULARY, length - 1).tolist() + [2] for _ in range(count)]


def ours():
    """A function of a case's values that runs it here."""
    sys.path.insert(0, ".")
    from quals_jax.commands.runtime import prepare

    prepare()
    from flax import nnx

    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.models.bart import Bart, BartConfig
    from quals_jax.pairs import QAPair
    from quals_jax.qagen import QAGen

    config = BartConfig(VOCABULARY, WIDTH, LAYERS, LAYERS, HEADS, HEADS, 4 * WIDTH, 4 * WIDTH)
    model = Bart(config, rngs=nnx.Rngs(0))

    class NoTokenizer:
        size, connector = VOCABULARY, " strutConnector"
        decode = staticmethod(lambda ids: "")

    def make(what: str, count: int, length: int):
        search = SearchConfig(min_length=length - 1, max_length=length - 1)
        qagen = QAGen(model, NoTokenizer(), search=search, batch_size=count)
        summaries, documents = ids(count, SUMMARY, 0), ids(count, DOCUMENT, 1)
        pairs = [QAPair("", None, tokens) for tokens in ids(PAIRS, PAIR, 2)]
        if what == "decode":
            return lambda: qagen.generate_ids(summaries)
        return lambda: qagen.score_ids(documents, [pairs] * count)

    return make


def theirs():
    """The same with transformers: group beam search, then all pairs of a document in one batch, the document repeated."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=VOCABULARY, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, forced_eos_token_id=None, forced_bos_token_id=None,
    )  # fmt: skip
    model = BartForConditionalGeneration(config).eval()

    def decode(summaries, length):
        model.generate(
            summaries, attention_mask=torch.ones_like(summaries), num_beams=60, num_beam_groups=60,
            diversity_penalty=0.5, num_return_sequences=60, do_sample=False, min_length=length + 1, max_length=length + 1,
        )  # fmt: skip

    def score(documents, pairs):
        for document in documents:
            repeated = document.expand(PAIRS, -1)
            inputs = torch.cat([torch.full_like(pairs[:, :1], 2), pairs[:, :-1]], dim=1)
            logits = model(input_ids=repeated, decoder_input_ids=inputs).logits
            torch.log_softmax(logits, -1).gather(-1, pairs[..., None])

    def make(what: str, count: int, length: int):
        summaries, documents = (torch.tensor(ids(count, n, seed)) for seed, n in enumerate((SUMMARY, DOCUMENT)))
        pairs = torch.tensor(ids(PAIRS, PAIR, 2))

        def run():
            with torch.inference_mode():
                return decode(summaries, length) if what == "decode" else score(documents, pairs)

        return run

    return make


def work(make) -> None:
    """Reads names of cases, writes the seconds that each took; what must be compiled is, before the first."""
    ready = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            ready[name] = make(*CASES[name])
            ready[name]()
        started = time.perf_counter()
        ready[name]()
        print(time.perf_counter() - started, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer_python", help="of an environment with torch and transformers==4.56.2")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES, metavar="CASE")
    parser.add_argument("--work", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work({"ours": ours, "theirs": theirs}[options.work]())
    if not options.peer_python:
        parser.error("--peer_python is missing")
    workers = [
        subprocess.Popen([python, __file__, "--work", side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for side, python in (("ours", sys.executable), ("theirs", options.peer_python))
    ]

    def ask(worker, name: str) -> float:
        worker.stdin.write(name + "\n")
        worker.stdin.flush()
        return float(worker.stdout.readline())

    print(f"{'seconds':18} {'quals_jax':>10} {'transformers':>13} {'ratio':>6}")
    for name in options.cases:
        seconds = [[ask(worker, name) for worker in workers] for _ in range(options.runs)]
        mine, peer = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratio = statistics.median(their / our for our, their in seconds)
        print(f"{name:18} {mine:10.3f} {peer:13.3f} {ratio:6.2f}", flush=True)
    for worker in workers:
        worker.stdin.close()
        worker.wait()


if __name__ == "__main__":
    main()
