"""The dependent part of diverse beam search: group after group chooses, and pays for what earlier groups chose.

Two ways that give the same to the last bit (where a strength times a count is exact, as of the usual 0.5). The plain one is a scan of as many
steps as there are groups, each several small kernels whose start costs more than their work. In the kernel a row's short lists are read once,
and its groups follow each other inside.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Array, Float, Int

from quals_jax.kernels import on_this_platform

UNCOUNTED = -2  # a token that no group pays for
NONE = -1  # what a group has not chosen yet
TAKEN = 2**31 - 1  # behind every place in the order
FEW = 4  # so many are picked one after the other; for more the lists are sorted
LARGEST = 2**16  # candidates x places of a list, which the kernel compares at once: 127 groups of one beam


def choose_by_scan(
    tokens: Int[Array, "batch group place"],
    logprobs: Float[Array, "batch group place"],
    totals: Float[Array, "batch group place"],
    order: Int[Array, "batch group place"],
    *,
    wanted: int,
    strength: float,
    only_possible: bool,
) -> tuple[Float[Array, "batch group rank"], Int[Array, "batch group rank"]]:
    """Of every group the `wanted` best scores, best first, equal ones by `order`, in which no two of a list are equal; and their places.

    A score is `(logprob - strength * count) + total`, where `count` says how often earlier groups chose the token (`UNCOUNTED` ones cost
    nothing, and with `only_possible` neither does what scored -inf).
    """
    batch, groups, places = tokens.shape
    lists = tokens, logprobs, totals, order
    if wanted > FEW:
        by_order = jnp.argsort(order, axis=-1)
        lists = tuple(jnp.take_along_axis(array, by_order, axis=-1) for array in lists)

    def choose(picked, group):
        number, tokens, logprobs, totals, order = group
        counts = jnp.sum(tokens[..., None] == picked[:, :1], axis=-1)  # [batch, place]
        scores = logprobs - strength * counts.astype(logprobs.dtype) + totals
        best, ranked, token = (_best_of_sorted if wanted > FEW else _one_by_one)(scores, order, tokens, wanted)
        # fairseq: all 2K candidates of a group count, taken or not; one found twice counts twice.
        token = jnp.maximum(token, NONE)
        token = jnp.where(best > -jnp.inf, token, NONE) if only_possible else token
        found = jnp.stack([token, ranked], axis=1)
        return jax.lax.dynamic_update_slice_in_dim(picked, found, number * wanted, axis=2), None

    # What groups have chosen, and what its place is in their order: one array, as each that a loop writes is a kernel more.
    picked = jnp.broadcast_to(jnp.zeros_like(tokens[:, :1, :1]) + NONE, (batch, 2, groups * wanted))
    by_group = (jnp.swapaxes(array, 0, 1) for array in lists)
    picked, _ = jax.lax.scan(choose, picked, (jnp.arange(groups), *by_group))
    here = order[:, :, None] == picked[:, 1].reshape(batch, groups, wanted, 1)
    place = jnp.min(jnp.where(here, jnp.arange(places, dtype=jnp.int32), places), axis=-1)
    tokens, logprobs, totals = (jnp.take_along_axis(array, place, axis=-1) for array in (tokens, logprobs, totals))
    earlier = jnp.arange(groups * wanted) < (jnp.arange(groups) * wanted)[:, None, None]
    counts = jnp.sum((tokens[..., None] == picked[:, :1, None]) & earlier, axis=-1)
    return logprobs - strength * counts.astype(logprobs.dtype) + totals, place


def _best_of_sorted(
    scores: Float[Array, "batch place"],
    order: Int[Array, "batch place"],
    tokens: Int[Array, "batch place"],
    wanted: int,
) -> tuple[Float[Array, "batch rank"], Int[Array, "batch rank"], Int[Array, "batch rank"]]:
    """The best scores, what their place in the order is, and their tokens, of a list that is sorted by it."""
    best, place = jax.lax.top_k(scores, wanted)
    return best, *(jnp.take_along_axis(array, place, axis=-1) for array in (order, tokens))


def _one_by_one(
    scores: Float[Array, "batch place"],
    order: Int[Array, "batch place"],
    tokens: Int[Array, "batch place"],
    wanted: int,
) -> tuple[Float[Array, "batch rank"], Int[Array, "batch rank"], Int[Array, "batch rank"]]:
    """The same of a list in any order: a pick after the other, each one reduction."""

    def better(one, other):
        first = (one[0] > other[0]) | ((one[0] == other[0]) & (one[1] < other[1]))
        return tuple(jnp.where(first, own, others) for own, others in zip(one, other, strict=True))

    nothing = tuple(
        jnp.asarray(own, like.dtype) for own, like in zip((-jnp.inf, TAKEN, NONE), (scores, order, tokens), strict=True)
    )
    left, found = order, []
    for _ in range(wanted):
        scores = jnp.where(left < TAKEN, scores, -jnp.inf)
        found.append(jax.lax.reduce((scores, left, tokens), nothing, better, (1,)))
        left = jnp.where(order == found[-1][1][:, None], TAKEN, left)
    best, ranked, token = (jnp.stack(own, axis=-1) for own in zip(*found, strict=True))
    return best, ranked, token


def choose_in_kernel(
    tokens: Int[Array, "batch group place"],
    logprobs: Float[Array, "batch group place"],
    totals: Float[Array, "batch group place"],
    order: Int[Array, "batch group place"],
    *,
    wanted: int,
    strength: float,
    only_possible: bool,
) -> tuple[Float[Array, "batch group rank"], Int[Array, "batch group rank"]]:
    """`choose_by_scan` as a kernel; beyond what it compares at once, the scan itself."""
    batch, groups, places = tokens.shape
    width, chosen = _whole(places), _whole(groups * wanted)
    if width * chosen > LARGEST:
        return choose_by_scan(
            tokens, logprobs, totals, order, wanted=wanted, strength=strength, only_possible=only_possible
        )
    missing = ((0, 0), (0, 0), (0, width - places))
    tokens = jnp.pad(tokens, missing, constant_values=UNCOUNTED)
    order = jnp.pad(order, missing, constant_values=TAKEN)
    logprobs, totals = (jnp.pad(array, missing, constant_values=-jnp.inf) for array in (logprobs, totals))
    kernel = partial(_kernel, wanted=wanted, strength=strength, only_possible=only_possible)

    def call(*arrays, **how):
        row = pl.BlockSpec((None, groups, width), lambda row: (row, 0, 0))
        out = pl.BlockSpec((None, 1, chosen), lambda row: (row, 0, 0))
        shape = batch, 1, chosen
        return pl.pallas_call(
            kernel, grid=(batch,), in_specs=[row] * 4, out_specs=[out] * 2, name="group_choice",
            out_shape=[jax.ShapeDtypeStruct(shape, logprobs.dtype), jax.ShapeDtypeStruct(shape, jnp.int32)], **how,
        )(*arrays)  # fmt: skip

    best, where = on_this_platform(call, tokens, logprobs, totals, order)
    return tuple(array[:, 0, : groups * wanted].reshape(batch, groups, wanted) for array in (best, where))


def _whole(size: int) -> int:
    """The power of two that holds it, as Triton wants it, and a row of a TPU's registers at least."""
    return max(128, 1 << (size - 1).bit_length())


def _kernel(tokens, logprobs, totals, order, best_out, where_out, *, wanted: int, strength: float, only_possible: bool):
    groups, width = tokens.shape
    chosen = best_out.shape[-1]
    place = jax.lax.broadcasted_iota(jnp.int32, (1, width), 1)
    # What is chosen is held twice: along a column, to be compared with a list, and along a row, to be written.
    down, along = (
        jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis, shape in enumerate([(chosen, 1), (1, chosen)])
    )

    def choose(group, carry):
        own = pl.ds(group, 1)
        token, ranked = tokens[own, :], order[own, :]
        counts = jnp.sum((carry[0] == token).astype(logprobs.dtype), axis=0, keepdims=True)
        scores = (logprobs[own, :] - strength * counts) + totals[own, :]

        def pick(rank, carry):
            left, taken, best, where = carry
            score = jnp.max(jnp.where(left < TAKEN, scores, -jnp.inf))
            here = ranked == jnp.min(jnp.where(scores == score, left, TAKEN))
            spot = jnp.sum(jnp.where(here, place, 0))
            id = jnp.maximum(jnp.sum(jnp.where(here, token, 0)), NONE)
            id = jnp.where(score > -jnp.inf, id, NONE) if only_possible else id
            number = group * wanted + rank
            return (
                jnp.where(here, TAKEN, left),
                jnp.where(down == number, id, taken),
                jnp.where(along == number, score, best),
                jnp.where(along == number, spot, where),
            )

        return jax.lax.fori_loop(0, wanted, pick, (ranked, *carry))[1:]

    empty = (
        jnp.full((chosen, 1), NONE, jnp.int32),
        jnp.full((1, chosen), -jnp.inf, best_out.dtype),
        jnp.zeros((1, chosen), jnp.int32),
    )
    _, best_out[...], where_out[...] = jax.lax.fori_loop(0, groups, choose, empty)
