"""Continuations of prompts against a slow loop in NumPy, which takes one prompt at a time and asks of every token whether it may come."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding.continuation import continue_prompts
from quals_jax.decoding.covering import NOTHING, Places
from quals_jax.decoding.stages import cache_stages

EOS, PAD, VOCAB, STEPS, LONGEST = 2, 1, 24, 30, 6
PROMPTS = [[[5, 6, 7], [8], [5, 9, 10, 11, 12], []], [[7, 7, 7, 7, 7, 7, 7], [4, 5], [], [3]]]  # rows of four
SPELLED = [([13, 14, 15], [True, False, True]), ([14, 15], [False, True]), ([20, 21, 22, 23], [False] * 3 + [True])]


def slow(logprobs_of, prompt, *, ends=(), forbidden=(), spelled=None):
    """(tokens, log-probabilities) by the words of the docstring."""
    tokens, written, found = list(prompt), [], []
    while not written or written[-1] != EOS:
        row = np.array(logprobs_of(tokens), np.float64)
        together = np.logaddexp.reduce(row[[EOS, *ends]])
        row[list(ends)], row[EOS] = -np.inf, together
        allowed = row.copy()
        allowed[[PAD, *forbidden]] = -np.inf
        if spelled is not None:
            may = np.zeros(VOCAB, bool)
            for ids, last in spelled:
                if ids[: len(written)] == written:
                    if len(written) < len(ids):
                        may[ids[len(written)]] = True
                    if written and last[len(written) - 1]:
                        may[EOS] = True
            allowed = np.where(may, row, -np.inf)
        if not written:
            allowed[EOS] = -np.inf
        token = EOS if len(written) == LONGEST or not np.isfinite(allowed).any() else int(np.argmax(allowed))
        tokens.append(token)
        written.append(token)
        found.append(row[token])
    return written, found


@pytest.mark.parametrize(
    "asked",
    [{}, {"ends": (16, 17), "forbidden": (18,)}, {"spelled": SPELLED}, {"spelled": SPELLED, "ends": (16,)}],
    ids=["free", "several ends, a token forbidden", "spans of the text", "spans, several ends"],
)
@pytest.mark.parametrize("grows", [False, True])
def test_equal_to_the_slow_loop(asked, grows):
    rows, beams, width = 2, 4, 12
    tables = np.random.default_rng(3).normal(size=(rows, STEPS, VOCAB, VOCAB)).astype(np.float32) * 2
    tables[1, :, :, EOS] -= 9  # one row that hardly ends by itself
    logprobs = np.array(jax.nn.log_softmax(tables, axis=-1))
    prompts = np.full((rows, beams, width), PAD, np.int32)
    for row, own in enumerate(PROMPTS):
        for beam, prompt in enumerate(own):
            prompts[row, beam, : len(prompt)] = prompt
    places = None
    if spelled := asked.get("spelled"):
        most = max(len(ids) for ids, _ in spelled)
        ids = np.array([ids + [NOTHING] * (most - len(ids)) for ids, _ in spelled])
        ends = np.array([last + [False] * (most - len(last)) for _, last in spelled])
        places = Places(*(jnp.broadcast_to(jnp.asarray(array), (rows, *array.shape)) for array in (ids, ends)))
    length = width + LONGEST + 1
    stages = [length] if not grows else list(cache_stages(length))

    def step(tokens, cache):
        assert cache["room"].shape[0] in stages
        at = jnp.arange(rows)[:, None]
        logits = jnp.asarray(tables)[at, jnp.minimum(cache["step"], STEPS - 1), tokens]
        return logits, cache | {"step": cache["step"] + 1}

    def grow(cache, length):
        return cache | {"room": jnp.zeros(length)}

    cache = {"step": jnp.zeros((), jnp.int32), "room": jnp.zeros(stages[0])}
    found = jax.device_get(
        jax.jit(
            lambda: continue_prompts(
                step, cache, jnp.asarray(prompts), max_length=LONGEST, ends=asked.get("ends", ()), places=places,
                forbidden=asked.get("forbidden", ()), grow=grow if grows else None,
            )
        )()
    )  # fmt: skip
    written = 0
    for row, own in enumerate(PROMPTS):

        def logprobs_of(tokens, row=row):
            return logprobs[row, len(tokens), tokens[-1] if tokens else EOS]

        for beam, prompt in enumerate(own):
            length = int(found.lengths[row, beam])
            if not prompt:
                assert length == 0 and found.prompt_logprob[row, beam] == 0 and (found.tokens[row, beam] == PAD).all()
                continue
            tokens, scores = slow(logprobs_of, prompt, **asked)
            assert found.tokens[row, beam, :length].tolist() == tokens
            np.testing.assert_allclose(found.logprobs[row, beam, :length], scores, atol=1e-5)
            assert (found.tokens[row, beam, length:] == PAD).all() and not found.logprobs[row, beam, length:].any()
            written += length
            rows_before = [np.array(logprobs_of(prompt[:place])) for place in range(len(prompt))]
            for own in rows_before:
                own[[EOS, *asked.get("ends", ())]] = np.logaddexp.reduce(own[[EOS, *asked.get("ends", ())]])
            whole = sum(own[token] for own, token in zip(rows_before, prompt, strict=True))
            assert found.prompt_logprob[row, beam] == pytest.approx(whole, abs=1e-4)
    assert written > 12  # the loop did something
