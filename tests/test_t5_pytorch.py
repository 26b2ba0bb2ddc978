"""QUALS with T5 QAGens against a plain PyTorch program that shares nothing with ours: another model, tokenizer, search and filter.

Runs where torch is installed; the rest of the suite has goldens of it.
"""

import numpy as np
import pytest
from brute_force import brute_force
from tiny_t5 import make_tiny_t5

import quals_jax

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

DOCUMENT = (
    "The mayor of Velmora spoke about the new bridge on 14 March. A company built the bridge to the town, she said."
)
SUMMARIES = [
    "the mayor mayor, bb a bbb a the a bridge spoke spoke to the",
    "b a bb to to a the mayor the the bridge a a spoke",
]
KINDS = [("qag", "t5", "T5"), ("qag", "mt5", "MT5"), ("sep", "t5", "T5")]


class Plain:
    """A public T5 QAGen as its authors' code runs it: one text, one target at a time."""

    def __init__(self, folder, kind: str, name: str, prefix: str):
        self.kind, self.prefix = kind, prefix
        self.model = getattr(transformers, f"{name}ForConditionalGeneration").from_pretrained(folder).eval()
        self.tokenizer = transformers.T5TokenizerFast.from_pretrained(folder)
        self.ends = [id for piece, id in self.tokenizer.get_vocab().items() if "|" in piece and kind == "qag"]

    def encoded(self, text: str):
        ids = self.tokenizer(self.prefix + text, return_tensors="pt").input_ids
        with torch.no_grad():
            return self.model.get_encoder()(ids)

    def logprobs(self, encoded, tokens: list[int]) -> np.ndarray:
        """[step, vocab] of every step of a target, what ends it being one event."""
        with torch.no_grad():
            logits = (
                self.model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([[0, *tokens]])).logits[0].double()
            )
        probabilities = torch.softmax(logits, -1).numpy()
        probabilities[:, 1] += probabilities[:, self.ends].sum(-1)
        probabilities[:, self.ends] = 0
        with np.errstate(divide="ignore"):
            return np.log(probabilities)

    def split(self, tokens: list[int]) -> tuple[str, str] | None:
        if self.kind == "sep":
            text = self.tokenizer.decode(tokens, skip_special_tokens=False).replace("<pad>", "").replace("</s>", "")
            parts = text.split("<sep>")
        else:
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            parts = text.split(", answer:") if text.count("question:") == 1 and text.startswith("question:") else []
            parts = [part.replace("question:", "") for part in parts]
        return (parts[0].strip(), parts[1].strip()) if len(parts) == 2 else None

    def kept(self, summary: str, config) -> list[tuple[str, str, list[int], list[float]]]:
        """Pairs whose answer is in the summary, all of them, best first."""
        encoded, ids = self.encoded(summary), {}
        if self.kind == "qag":
            prefix = self.tokenizer("question:", add_special_tokens=False).input_ids
            whole = self.tokenizer("question: a, answer: a", add_special_tokens=False).input_ids
            ids = {"prefix": prefix, "free": {*prefix, *whole[len(prefix) + 1 : -1]}}
        found = brute_force(lambda tokens: self.logprobs(encoded, tokens)[-1], config, eos=1, pad=0, **ids)
        text = self.tokenizer.decode(self.tokenizer(summary, add_special_tokens=False).input_ids).lower()
        pairs = [(self.split(tokens), tokens, score, model) for tokens, score, model in found]
        pairs = [pair for pair in pairs if pair[0] is not None and pair[0][1].lower() in text]
        pairs.sort(key=lambda pair: -pair[2] * len(pair[1]))
        distinct = {}
        for pair in pairs:
            distinct.setdefault((pair[0][1].lower(), pair[0][0].lower()), pair)
        return [(*pair[0], pair[1], pair[3]) for pair in distinct.values()]


@pytest.mark.parametrize("kind,model_type,name", KINDS, ids=["qag", "qag-mt5", "sep"])
def test_pairs_and_their_log_probabilities(tmp_path, kind, model_type, name):
    folder = make_tiny_t5(tmp_path / "model", kind=kind, model_type=model_type, seed=int(model_type == "mt5"))
    config = quals_jax.SearchConfig(num_beams=20, max_length=20)
    qagen = quals_jax.QAGen.from_pretrained(folder, search=config)
    results = quals_jax.Quals(qagen, max_pairs=None).score([DOCUMENT] * 2, SUMMARIES)
    prefix = "generate question and answer: " if (kind, model_type) == ("qag", "t5") else ""
    plain = Plain(folder, kind, name, prefix)
    document = plain.encoded(DOCUMENT)
    assert sum(result.num_pairs for result in results) >= 2  # or nothing was compared
    for summary, result in zip(SUMMARIES, results, strict=True):
        expected = plain.kept(summary, config)
        assert [(pair.question, pair.answer, pair.tokens) for pair in result.pairs] == [pair[:3] for pair in expected]
        for pair, (*_, tokens, likelihood) in zip(result.pairs, expected, strict=True):
            np.testing.assert_allclose(pair.summary_logprobs, likelihood, atol=1e-4)
            rows = plain.logprobs(document, tokens)[np.arange(len(tokens)), tokens]
            np.testing.assert_allclose(pair.document_logprobs, rows, atol=1e-4)
