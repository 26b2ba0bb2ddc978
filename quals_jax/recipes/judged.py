"""Summaries that a model in training writes of a few held-out documents: ROUGE against their references, and QUALS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from quals_jax.decoding.search_config import SearchConfig
from quals_jax.precision import Precision
from quals_jax.quals import Quals
from quals_jax.recipes.documents import Document, scores_of
from quals_jax.summarizer import Summarizer
from quals_jax.training.config import JudgedConfig
from quals_jax.training.state import take_apart

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Judge:
    """`judge(params)` has the model with these parameters summarize the documents, and gives the means: `rouge1`, `rouge2`, `rougeL`
    (0 to 1), and with `quals` also `quals` and `without_quals`, how many summaries have none as no pair of theirs was kept.

    Where there are several processes each does all of it on its own devices: none waits for another, and all find the same.
    """

    documents: Sequence[Document]
    summarizer: Summarizer
    model_of: Callable[[dict], object]
    quals: Quals | None

    def __call__(self, params: Mapping[str, np.ndarray]) -> dict[str, float]:
        from quals_jax.metrics.rouge import rouge

        self.summarizer.runner.use_weights(self.model_of({name: jnp.asarray(array) for name, array in params.items()}))
        texts, references = [row.document for row in self.documents], [row.reference for row in self.documents]
        summaries = self.summarizer.summarize(texts)
        overlaps = rouge(references, summaries)
        found = {
            name: float(np.mean([getattr(own, name) for own in overlaps])) for name in ("rouge1", "rouge2", "rougeL")
        }
        if self.quals is None:
            return found
        scores = [score for score in scores_of(self.quals, texts, summaries) if score is not None]
        found |= {"without_quals": float(len(texts) - len(scores))}
        return found | ({"quals": float(np.mean(scores))} if scores else {})


def make_judge(
    settings: JudgedConfig, documents: Sequence[Document], model, tokenizer, quals: Quals | None, *, dtype: str,
    forced_first_id: int | None = None,
) -> Judge:  # fmt: skip
    """The judge of a model that begins as `model`.

    Raises:
        ValueError: if summaries may become longer than the model has positions for.
    """
    skeleton, params = take_apart(model)
    search = SearchConfig(
        num_beams=settings.beams, num_groups=1, min_length=settings.min_length, max_length=settings.max_length
    )
    summarizer = Summarizer(
        skeleton.bart(params), tokenizer, search=search, batch_size=settings.batch_size, forced_first_id=forced_first_id,
        precision=Precision.of(dtype),
    )  # fmt: skip
    # Read now: sources are slow, and a judge asks for all of them every time.
    return Judge([documents[place] for place in range(len(documents))], summarizer, skeleton.bart, quals)
