"""Diverse beam search in a few lines of NumPy, over the whole vocabulary, one hypothesis at a time (golden/README.md's nine steps)."""

import numpy as np


def brute_force(
    logprobs_of, config, *, eos: int, pad: int, prefix=(), free=(), allowed_of=None
) -> list[tuple[list[int], float, list[float]]]:
    """(tokens, normalised score, the model's log-probabilities) of every finished hypothesis, best first.

    logprobs_of: from the tokens so far to log-probabilities [vocab]. prefix: what every hypothesis begins with, at no cost.
    free: tokens that carry no penalty of diversity. allowed_of: from the tokens so far to which may come next [vocab]; what may not then
    costs later groups nothing, and lives on only where nothing else can.
    """
    beams, groups, per_group = config.num_beams, config.num_groups, config.num_beams // config.num_groups
    slots, finished = [([], 0.0, [])] * beams, []
    for step in range(config.max_length + 1):
        pure = [np.asarray(logprobs_of(tokens), np.float64) for tokens, *_ in slots]
        rows = [row.copy() for row in pure]
        for (tokens, *_), row in zip(slots, rows, strict=True):
            row[pad] = -np.inf
            if allowed_of is not None:
                row[~allowed_of(tokens)] = -np.inf
            if step < len(prefix):
                row[:] = -np.inf
                row[prefix[step]] = 0
            elif step >= config.max_length:
                row[np.arange(len(row)) != eos] = -np.inf
            elif step < config.min_length:
                row[eos] = -np.inf
        vocab = len(rows[0])
        counts, ranked = np.zeros(vocab), []
        for group in range(groups):
            mine = [k * groups + group for k in range(1 if step == 0 else per_group)]
            penalty = config.diversity_strength * counts
            penalty[[*free]] = 0
            scores = np.concatenate([rows[slot] - penalty + slots[slot][1] for slot in mine])
            best = np.argsort(-scores, kind="stable")[: 2 * per_group]
            for place in best:
                counts[place % vocab] += 1 if allowed_of is None or scores[place] > -np.inf else 0
            ranked.append([(scores[place], int(place % vocab), mine[place // vocab]) for place in best])
        extended, dead = [], []
        for place, (score, token, slot) in enumerate(ranked[g][r] for r in range(2 * per_group) for g in range(groups)):
            tokens, _, model = slots[slot]
            new = ([*tokens, token], score, [*model, pure[slot][token]])
            if token == eos:
                if place < beams and score > -np.inf and len(finished) < beams:
                    finished.append(new)
            elif allowed_of is not None and score == -np.inf:
                dead.append(new)
            else:
                extended.append(new)
        if len(finished) == beams or not extended:
            break
        slots = (extended + dead)[:beams]
    scored = [(tokens, score / len(tokens) ** config.length_penalty, model) for tokens, score, model in finished]
    return sorted(scored, key=lambda item: -item[1])
