"""What the chips may tell each other in a training step, from the sizes of its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hlo import Collective

SCALARS = 64  # losses, counts, parts of the gradient's norm
# How often the table of words is used: by texts, by targets, and for logits (of a pair of summaries: twice). XLA sums the gradient of each.
USES = {"train_mle": 3, "train_conseq": 4}
# What asks for numbers of other chips in a step whose parameters lie in pieces: these; the gradients of embedded words; and products whose
# operand or sum goes around the chips piece by piece while they multiply.
PARAMETERS, WORDS, PRODUCTS = "sharding_constraint", "scatter-add", "dot_general"
# Where the pieces of a sum and those of its array end at different rows, the rows between go to the neighbour. XLA gives that no name; it is
# little, at most this share of the gradients.
EDGES = 5e-3


@dataclass(frozen=True)
class Expected:
    """gradients: how many numbers. words: of them in the table of words, used so many times. pieces: parameters of which a chip holds a piece."""

    gradients: int
    words: int
    uses: int
    pieces: int = 0


def expected(program: str, model, mesh, *, shard_params: bool) -> Expected:
    """Of a BART's or T5's training step. Of a position that no token stands at there is no gradient; T5 has no table of them."""
    from quals_jax import parallel
    from quals_jax.programs import Shapes
    from quals_jax.training.state import take_apart

    params = take_apart(model)[1]
    sizes = {name: math.prod(array.shape) for name, array in params.items()}
    shardings = parallel.state_shardings(params, mesh, shard_params=shard_params)
    shapes, width = Shapes().for_model(model.config.max_positions), model.config.d_model
    tokens = {"encoder": shapes.train_source, "decoder": shapes.train_target}
    tables = {side: sizes.get(f"{side}.embed_positions.embedding") for side in tokens}
    unused = sum(tables[side] - width * number for side, number in tokens.items() if tables[side])
    pieces = sum(sizes[name] for name in params if not shardings[name].is_fully_replicated)
    return Expected(sum(sizes.values()) - unused, sizes["shared.embedding"], USES[program], pieces)


def faults(found: Iterable[Collective], wanted: Expected) -> list[str]:
    """What is not as it should be: gradients are summed, once each (of words: once for each use), and nothing else; parameters in pieces are
    brought together once at most, and no state of the optimizer ever."""
    found = list(found)
    reduced = sum(one.numbers * one.times for one in found if one.kind == "all-reduce")
    most = wanted.gradients + (wanted.uses - 1) * wanted.words + SCALARS
    said = []
    if not wanted.pieces:
        others = sorted({one.kind for one in found} - {"all-reduce"})
        said += [f"{kind}, though every chip has all parameters" for kind in others]
        again, rest = divmod(reduced - wanted.gradients, wanted.words)
        if not (0 <= again < wanted.uses and rest <= SCALARS):
            said.append(f"sums {reduced:,} numbers of all chips; its gradients have {wanted.gradients:,}")
        return said
    gathered = sum(one.numbers * one.times for one in found if one.kind == "all-gather" and one.asked_by == PARAMETERS)
    if gathered > wanted.pieces:
        said.append(f"brings {gathered:,} numbers of parameters together; {wanted.pieces:,} lie in pieces")
    known = {"all-gather": (PARAMETERS, WORDS), "collective-permute": (PRODUCTS,), "all-to-all": (WORDS,)}
    edges = [one for one in found if (one.kind, one.asked_by) == ("collective-permute", "unknown")]
    if sum(one.numbers * one.times for one in edges) <= EDGES * wanted.gradients:
        known["collective-permute"] = (PRODUCTS, "unknown")
    said += [
        f"exchanges {one.numbers:,} numbers for {one.asked_by} ({one.kind})"
        for one in found
        if one.asked_by not in known.get(one.kind, (one.asked_by,))
    ]
    if reduced > most:
        said.append(f"sums {reduced:,} numbers of all chips; its gradients have {wanted.gradients:,}")
    return said
