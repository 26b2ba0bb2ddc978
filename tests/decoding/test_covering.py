"""The covering search against a slow one in NumPy, which asks of every token of the vocabulary whether it may come next."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brute_force import brute_force

from quals_jax.decoding.covering import NOTHING, Places
from quals_jax.decoding.diverse_beam import SearchConfig, diverse_beam_search
from quals_jax.decoding.rules import Rules

EOS, PAD, SEPARATOR, VOCAB, STEPS = 2, 1, 3, 40, 9
# Spans of a text of tokens 10 11 12 11 13, and an answer of its own (20 21) that ends only as a whole.
ROWS = [
    ([10, 11, 12, 11], [True, False, True, True]),
    ([11, 12, 11, 13], [True, True, False, True]),
    ([12, 11, 13], [False, True, True]),
    ([11, 13], [False, True]),
    ([20, 21], [False, True]),
]


def allowed(tokens):
    """Which tokens may follow, by the words of the issue."""
    mask = np.ones(VOCAB, bool)
    if SEPARATOR not in tokens:
        return mask
    answer = tokens[tokens.index(SEPARATOR) + 1 :]
    mask[:] = False
    for spelled, ends in ROWS:
        if spelled[: len(answer)] == answer:
            if len(answer) < len(spelled):
                mask[spelled[len(answer)]] = True
            if answer and ends[len(answer) - 1]:
                mask[EOS] = True
    return mask


@pytest.mark.parametrize(
    "config",
    [
        SearchConfig(6, 6, 0.5, min_length=1, max_length=8, covering=True),
        SearchConfig(6, 3, 0.7, min_length=3, max_length=7, covering=True),
        SearchConfig(4, 1, 0.5, min_length=0, max_length=6, covering=True),
    ],
    ids=["groups of one", "groups of two", "one group"],
)
def test_equal_to_the_slow_search(config):
    rows, most = 5, max(len(spelled) for spelled, _ in ROWS)
    tables = np.random.default_rng(7).normal(size=(rows, STEPS, VOCAB, VOCAB)).astype(np.float32) * 2
    tables[..., SEPARATOR] += 6
    tables[..., EOS] -= 4
    tables[..., 10:14] += 2
    logprobs = np.array(jax.nn.log_softmax(tables, axis=-1))
    spelled = np.array([own + [NOTHING] * (most - len(own)) for own, _ in ROWS], np.int32)
    ends = np.array([own + [False] * (most - len(own)) for _, own in ROWS])
    places = Places(
        *(jnp.broadcast_to(array, (rows, *array.shape)) for array in (jnp.asarray(spelled), jnp.asarray(ends)))
    )

    @jax.jit
    def search(tables):
        def step(tokens, cache):
            at = jnp.arange(rows)[:, None]
            return tables[at, jnp.minimum(cache["step"], STEPS - 1), tokens], {"step": cache["step"] + 1}

        return diverse_beam_search(
            step, {"step": jnp.zeros((), jnp.int32)}, batch=rows, config=config, places=places, separator_id=SEPARATOR,
            rules=Rules(separator=SEPARATOR),
        )  # fmt: skip

    found = jax.device_get(search(tables))
    answers = 0
    for row in range(rows):

        def logprobs_of(tokens, row=row):
            return logprobs[row, min(len(tokens), STEPS - 1), tokens[-1] if tokens else EOS]

        expected = brute_force(logprobs_of, config, eos=EOS, pad=PAD, allowed_of=allowed)
        own = [found.tokens[row, beam, :length].tolist() for beam, length in enumerate(found.lengths[row]) if length]
        assert own == [tokens for tokens, _, _ in expected]
        np.testing.assert_allclose(found.scores[row, : len(own)], [score for _, score, _ in expected], atol=1e-4)
        answers += sum(SEPARATOR in tokens for tokens in own)
    assert answers > rows * config.num_beams / 2  # or nothing was constrained


def test_every_answer_of_the_embedded_model_is_in_its_summary():
    from quals_jax import QAGen, gazette

    summaries = [story.summary for story in gazette.stories(41, "test", 3)] + ["Axipor."]
    search = SearchConfig(num_beams=12, covering=True)
    qagen = QAGen.from_pretrained(search=search)
    plain = QAGen.from_pretrained(search=SearchConfig(num_beams=12))
    for summary, pairs, others in zip(summaries, qagen.generate(summaries), plain.generate(summaries), strict=True):
        kept, usual = ([pair for pair in own if pair.answer and pair.answer in summary] for own in (pairs, others))
        assert all(pair in kept or pair.answer in ("unknown", None) for pair in pairs)
        assert len(kept) >= len(usual)
    with pytest.raises(ValueError, match="needs the texts"):
        qagen.generate_ids([[5, 2]])
