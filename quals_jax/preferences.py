"""Preference data: of each document's candidate summaries the best and the worst by QUALS, as TRL and other preference trainers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TEMPLATE = "Summarize:\n\n{document}"


@dataclass(frozen=True)
class Preference:
    """Places of the best and of the worst candidate, and how far apart their scores are (QUALS: nats per token)."""

    chosen: int
    rejected: int
    margin: float


def preference(scores: Sequence[float | None], min_margin: float = 0.0) -> Preference | None:
    """The best and the worst of a document's candidates, each the first where several score alike; None where fewer than two have a score,
    where all score alike, or where the scores lie less than `min_margin` apart."""
    scored = [(score, place) for place, score in enumerate(scores) if score is not None]
    if len(scored) < 2:
        return None
    best, worst = max(scored, key=lambda own: (own[0], -own[1])), min(scored)
    margin = best[0] - worst[0]
    return Preference(best[1], worst[1], margin) if margin > 0 and margin >= min_margin else None


def as_row(template: str, document: str, candidates: Sequence[str], found: Preference) -> dict:
    """The row of a preference trainer. `{document}` in the template is the document's place."""
    return {
        "prompt": template.replace("{document}", document),
        "chosen": candidates[found.chosen],
        "rejected": candidates[found.rejected],
        "margin": found.margin,
    }
