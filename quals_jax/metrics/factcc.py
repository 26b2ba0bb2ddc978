"""FactCC (Kryscinski et al., EMNLP 2020): a BERT classifies (document, sentence of the summary); a summary's score is the mean over its
sentences of the probability that the document supports them. `factcc=FOLDER` takes another classifier than the embedded one.

In the release labels are CORRECT, INCORRECT in this order, so that probability is that of label 0. A pair is
`[CLS] document [SEP] sentence [SEP]`, the longer of both cut until it has 512 pieces. The release's checkpoints load as they are (with
`--tokenizer` where they hold no vocab.txt), FactCCX too, whose pointing heads are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quals_jax import __version__
from quals_jax.encoder import Encoder
from quals_jax.metrics import ONLY_GAZETTE, MetricSettings, Reference, check_lists
from quals_jax.sentences import sentences
from quals_jax.wordpiece import PairTokenizer, cut_longest

EMBEDDED = Path(__file__).parents[1] / "assets" / "gazette_factcc"
LONGEST = 512
CONSISTENT = 0
NAMES = ("CORRECT", "CONSISTENT", "SUPPORTED")  # of that label, where `config.json` names its labels


class FactCC:
    """Between 0 and 1; None for a summary without a sentence. model: its name in the signature."""

    higher_is_better = True
    uses_references = False

    def __init__(
        self, encoder: Encoder, tokenizer: PairTokenizer, *, model: str = "model", consistent: int = CONSISTENT, note: str = ""
    ):  # fmt: skip
        self.encoder, self.tokenizer, self.model, self.consistent, self.note = (
            encoder,
            tokenizer,
            model,
            consistent,
            note,
        )
        self.longest = min(LONGEST, encoder.config.max_positions)

    @property
    def signature(self) -> str:
        own = self.encoder
        return (
            f"model:{self.model} | sentences:mean | tokens:{self.longest} | dtype:{own.precision.name}"
            f" | backend:{own.platform} | version:{__version__}"
        )

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        return [float(np.mean(own, dtype=np.float64)) if own else None for own in self.sentences(documents, summaries)]

    def sentences(self, documents: Sequence[str], summaries: Sequence[str]) -> list[list[float]]:
        """The probability that the document supports it, of every sentence of every summary.

        Raises:
            TypeError, ValueError: for what are no lists of texts of one length.
        """
        check_lists(documents, summaries)
        claims = [(row, claim) for row, summary in enumerate(summaries) for claim in sentences(summary)]
        known = self.tokenizer.encode(documents)
        sources = []
        for (row, _), pieces in zip(claims, self.tokenizer.encode([claim for _, claim in claims]), strict=True):
            document, claim, _ = cut_longest(known[row].ids, pieces.ids, self.longest - 3)
            sources.append(self.tokenizer.pair(document, claim))
        found: list[list[float]] = [[] for _ in summaries]
        for (row, _), probabilities in zip(claims, self.encoder.labels(sources), strict=True):
            found[row].append(float(probabilities[self.consistent]))
        return found


def load(argument: str | None, settings: MetricSettings) -> FactCC:
    """`factcc=FOLDER_OR_HUB_ID`; without it, the embedded classifier, which knows only Gazette.

    Raises:
        ValueError: without a folder where no classifier is embedded, and whatever is wrong with the model.
    """
    from quals_jax.checkpoints.bert import load_bert
    from quals_jax.precision import Precision

    if not argument and not EMBEDDED.is_dir():
        raise ValueError("factcc has no embedded classifier; name one, factcc=FOLDER (configs/factcc.py trains it)")
    tokenizer = settings.tokenizer if argument else None
    found = load_bert(argument or EMBEDDED, head="labels", tokenizer=tokenizer, dtype=settings.dtype)
    encoder = Encoder(found.model, precision=Precision.of(settings.dtype), batch_size=settings.batch_size)
    return FactCC(
        encoder, found.tokenizer, model=f"{found.name}@{found.fingerprint[:8]}", consistent=consistent_label(found.extra),
        note="" if argument else ONLY_GAZETTE.format("factcc"),
    )  # fmt: skip


def consistent_label(described: dict) -> int:
    """The label that says "consistent": by its name in `config.json`, or else the first, as in the release."""
    names = described.get("id2label")
    for number, name in names.items() if isinstance(names, dict) else ():
        if str(name).upper() in NAMES and str(number).isdecimal():
            return int(number)
    return CONSISTENT
