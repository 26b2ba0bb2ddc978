"""ConSeq: which summaries to learn from and which to unlearn, and the contrastive loss (Nan et al., ACL 2021, section 4).

Imports nothing of ours: scores in, indices out; logits in, a loss out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

PAD_ID = 1
LOWEST = math.log(1e-20)  # fairseq: 1 - p is clamped at 1e-20


def select(
    candidate_scores: Sequence[Sequence[float | None]],
    reference_scores: Sequence[float | None] | None,
    candidate_ratio: float = 0.3,
    reference_ratio: float = 0.3,
    *,
    highest: bool = False,
    margin: float = 0.0,
    seed: int = 0,
) -> list[tuple[int, int]]:
    """(document, candidate) of every contrast: S- is that candidate, S+ the document's reference. Ordered by the candidates' scores.

    Per document the candidate with the lowest score; the `candidate_ratio` of documents where that is lowest; the `reference_ratio` of
    documents whose reference scores highest; the documents in both. Without reference scores: the candidates' ranking alone (ROUGE as the
    score: a reference has ROUGE 1 with itself). None is a text without score: never chosen if there is another, and ranked last.

    With a `margin` a document's S- is not its lowest candidate but drawn (by `seed`) from all that score at least so much lower than its
    reference, the lowest where none does. Not in the article: see `docs/results.md`, what spoils a kind.

    fairseq: ratios of N documents are rounded half to even; ties go to the first. `highest` chooses highest-scored candidates instead.

    Raises:
        ValueError: if the lists differ in length, a document has no candidates, or a ratio is outside 0 to 1.
    """
    total = len(candidate_scores)
    if reference_scores is not None and len(reference_scores) != total:
        raise ValueError(f"there are candidates of {total} documents and references of {len(reference_scores)}")
    for name, ratio in (("candidate_ratio", candidate_ratio), ("reference_ratio", reference_ratio)):
        if not 0 <= ratio <= 1:
            raise ValueError(f"{name} is {ratio}; it must lie between 0 and 1")
    if margin and (reference_scores is None or highest):
        raise ValueError(f"margin is {margin}; it needs reference scores, and the lowest candidates")
    sign = -1 if highest else 1
    chosen, worst = [], []
    for document, scores in enumerate(candidate_scores):
        if not len(scores):
            raise ValueError(f"document {document} has no candidates")
        ranked = [math.inf if score is None else sign * score for score in scores]
        chosen.append(min(range(len(ranked)), key=ranked.__getitem__))
        worst.append(min(ranked))
    ranking = sorted(range(total), key=worst.__getitem__)[: round(candidate_ratio * total)]
    if reference_scores is None:
        return [(document, chosen[document]) for document in ranking]
    if margin:
        generator = random.Random(seed)
        for document, (scores, reference) in enumerate(zip(candidate_scores, reference_scores, strict=True)):
            draw = generator.random()  # one for every document, so that none depends on the scores of others
            if reference is None:
                continue
            low = [place for place, score in enumerate(scores) if score is not None and score <= reference - margin]
            chosen[document] = low[int(draw * len(low))] if low else chosen[document]
    best = sorted(range(total), key=lambda d: math.inf if reference_scores[d] is None else -reference_scores[d])
    supported = set(best[: round(reference_ratio * total)])
    return [(document, chosen[document]) for document in ranking if document in supported]


def contrastive_loss(
    positive_logits: Float[Array, "... target vocab"],
    positive_ids: Int[Array, "... target"],
    negative_logits: Float[Array, "... other vocab"],
    negative_ids: Int[Array, "... other"],
    label_smoothing: float = 0.1,
    pad_id: int = PAD_ID,
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """(sum in nats, sample size): likelihood of S+ and unlikelihood of S-, over all target tokens of both; padding counts nothing (its
    id is 1 in BART, 0 in T5).

    To be divided by the sample size, summed over devices and accumulated steps. There is no weight between the two parts.
    """
    positive, tokens = likelihood_sum(positive_logits, positive_ids, label_smoothing, pad_id)
    negative, others = unlikelihood_sum(negative_logits, negative_ids, label_smoothing, pad_id)
    return positive + negative, tokens + others


def likelihood_sum(logits, ids, label_smoothing: float = 0.1, pad_id: int = PAD_ID) -> tuple[Array, Array]:
    """Sum of label-smoothed -log p over the tokens, and their number."""
    return _smoothed_sum(jax.nn.log_softmax(_at_least_float32(logits), axis=-1), ids, label_smoothing, pad_id)


def unlikelihood_sum(logits, ids, label_smoothing: float = 0.1, pad_id: int = PAD_ID) -> tuple[Array, Array]:
    """Sum of label-smoothed -log(1 - p) over the tokens, and their number.

    fairseq: the smoothing is applied here too: it pushes 1 - p of every token of the vocabulary.
    """
    return _smoothed_sum(log1mexp(logprobs_near_one(logits)), ids, label_smoothing, pad_id)


def log1mexp(logprobs: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 - p) from log p, exact for p near 0 and near 1, never below log(1e-20); there the gradient is 0, as a clamp's."""
    # Where p rounds to 1 both branches would be -inf with a gradient of NaN: such places get another argument.
    safe = jnp.minimum(logprobs, -jnp.finfo(logprobs.dtype).tiny)
    near_one = jnp.log(-jnp.expm1(jnp.where(safe > -math.log(2), safe, -1.0)))
    near_zero = jnp.log1p(-jnp.exp(jnp.where(safe > -math.log(2), -1.0, safe)))
    exact = jnp.where(safe > -math.log(2), near_one, near_zero)
    return jnp.where((logprobs >= 0) | (exact <= LOWEST), LOWEST, exact)


def logprobs_near_one(logits: Float[Array, "... vocab"]) -> Float[Array, "... vocab"]:
    """log p, with all its digits also where p is so near 1 that float32 rounds it to 1.

    There log p is -log(1 + all other exp(logit - largest)): the 1 must not be added before the logarithm is taken, and
    the largest logit must not be subtracted from itself, whose gradient is the difference of two large numbers.
    """
    logits = _at_least_float32(logits)
    first = jnp.argmax(logits, axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])
    shifted = jnp.where(first, 0, logits - jnp.where(first, logits, 0).sum(axis=-1, keepdims=True))
    return shifted - jnp.log1p(jnp.where(first, 0, jnp.exp(shifted)).sum(axis=-1, keepdims=True))


def _at_least_float32(logits):
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def _smoothed_sum(terms, ids, label_smoothing: float, pad_id: int):
    """fairseq: eps / vocabulary for every token, the right one included, and 1 - eps for the right one beside it."""
    chosen = jnp.take_along_axis(terms, ids[..., None], axis=-1)[..., 0]
    losses = -(1 - label_smoothing) * chosen - label_smoothing / terms.shape[-1] * terms.sum(axis=-1)
    real = ids != pad_id
    return jnp.sum(jnp.where(real, losses, 0)), jnp.sum(real)
