"""The covering search, and samples that spell their text, against slow ones, which ask of every token of the vocabulary whether it may
come next."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brute_force import brute_force

from quals_jax.decoding.covering import NOTHING, Places
from quals_jax.decoding.diverse_beam import SearchConfig, diverse_beam_search
from quals_jax.decoding.rules import Rules, as_one_event
from quals_jax.decoding.sampling import Samples, SamplingConfig, as_hypotheses, sample_keys, top_k_sample

EOS, PAD, SEPARATOR, VOCAB, STEPS = 2, 1, 3, 40, 9
# Spans of a text of tokens 10 11 12 11 13, and an answer of its own (20 21) that ends only as a whole.
ROWS = [
    ([10, 11, 12, 11], [True, False, True, True]),
    ([11, 12, 11, 13], [True, True, False, True]),
    ([12, 11, 13], [False, True, True]),
    ([11, 13], [False, True]),
    ([20, 21], [False, True]),
]


ONE = Rules(separator=((SEPARATOR,),))
# As of a format of text: an opening, ends beside the end of sentence, a separator of three tokens of which the first may be several.
SPELLED = Rules(prefix=(30, 31), ends=(35, 36), free=(3, 4, 5, 30, 31), separator=((SEPARATOR, 6), (4,), (5,)))


def allowed(tokens, rules=ONE):
    """Which tokens may follow, by the words of the issue."""
    mask, length = np.ones(VOCAB, bool), len(rules.separator)
    begins = [
        end
        for end in range(length, len(tokens) + 1)
        if all(id in ids for id, ids in zip(tokens[end - length : end], rules.separator, strict=True))
    ]
    if not begins:
        return mask
    answer = tokens[begins[0] :]
    mask[:] = False
    for spelled, ends in ROWS:
        if spelled[: len(answer)] == answer:
            if len(answer) < len(spelled):
                mask[spelled[len(answer)]] = True
            if answer and ends[len(answer) - 1]:
                mask[EOS] = True
    return mask


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        (SearchConfig(6, 6, 0.5, min_length=1, max_length=8, covering=True), ONE),
        (SearchConfig(6, 3, 0.7, min_length=3, max_length=7, covering=True), ONE),
        (SearchConfig(4, 1, 0.5, min_length=0, max_length=6, covering=True), ONE),
        (SearchConfig(6, 6, 0.5, min_length=6, max_length=12, covering=True), SPELLED),
    ],
    ids=["groups of one", "groups of two", "one group", "spelled separator"],
)
def test_equal_to_the_slow_search(config, rules):
    rows, most = 5, max(len(spelled) for spelled, _ in ROWS)
    tables = np.random.default_rng(7).normal(size=(rows, STEPS, VOCAB, VOCAB)).astype(np.float32) * 2
    tables[..., SEPARATOR] += 6
    tables[..., EOS] -= 4
    tables[..., 10:14] += 2
    if rules is SPELLED:
        tables[..., 6] += 3
        tables[..., [SEPARATOR, 6], 4] += 12
        tables[..., 4, 5] += 12
        tables[..., 5, SEPARATOR] -= 6
    logprobs = np.array(jax.nn.log_softmax(tables, axis=-1))
    ends_of = [EOS, *rules.ends]
    logprobs[..., EOS] = np.logaddexp.reduce(logprobs[..., ends_of], axis=-1)
    logprobs[..., list(rules.ends)] = -np.inf
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
            step, {"step": jnp.zeros((), jnp.int32)}, batch=rows, config=config, places=places, rules=rules,
        )  # fmt: skip

    found = jax.device_get(search(tables))
    answers = 0
    for row in range(rows):

        def logprobs_of(tokens, row=row):
            return logprobs[row, min(len(tokens), STEPS - 1), tokens[-1] if tokens else EOS]

        expected = brute_force(
            logprobs_of,
            config,
            eos=EOS,
            pad=PAD,
            prefix=rules.prefix,
            free=rules.free,
            allowed_of=partial(allowed, rules=rules),
        )
        own = [found.tokens[row, beam, :length].tolist() for beam, length in enumerate(found.lengths[row]) if length]
        assert own == [tokens for tokens, _, _ in expected]
        np.testing.assert_allclose(found.scores[row, : len(own)], [score for _, score, _ in expected], atol=1e-4)
        answers += sum(not allowed(tokens[:-1], rules).all() for tokens in own)
    assert answers > rows * config.num_beams / 2  # or nothing was constrained


@pytest.mark.parametrize(
    ("min_length", "steps", "rules"),
    [(0, 4, ONE), (5, 7, ONE), (6, 9, SPELLED)],
    ids=["short", "long", "spelled separator"],
)
def test_samples_equal_slow_ones(min_length, steps, rules):
    """Token by token with the same noise. Lost are samples that may neither go on nor end, and those cut within an answer."""
    rows, count, most = 3, 40, max(len(spelled) for spelled, _ in ROWS)
    table = np.random.default_rng(3).normal(size=(VOCAB, VOCAB)).astype(np.float32)
    table[:, SEPARATOR] += 4
    table[:, EOS] -= 1
    if rules is SPELLED:
        table[[SEPARATOR, 6], 4] += 9
        table[4, 5] += 9
        table[:, 35:37] -= 2
    spelled = np.array([own + [NOTHING] * (most - len(own)) for own, _ in ROWS], np.int32)
    ends = np.array([own + [False] * (most - len(own)) for _, own in ROWS])
    places = Places(*(jnp.broadcast_to(array, (rows, *array.shape)) for array in map(jnp.asarray, (spelled, ends))))
    config = SamplingConfig(k=VOCAB, min_length=min_length, max_length=steps, temperature=0.8)
    keys = sample_keys(5, np.arange(rows), count)

    @jax.jit
    def sample(keys):
        return top_k_sample(
            lambda tokens, cache: (jnp.asarray(table)[tokens], cache), (), keys, config=config, places=places, rules=rules
        )  # fmt: skip

    @jax.jit
    def draw(key, step, logits):
        return jax.random.categorical(jax.random.fold_in(key, step), logits / 0.8)

    found, lost, answers = jax.device_get(sample(keys)), 0, 0
    wide = table.astype(np.float64)
    logprobs = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    of_one_event = np.logaddexp.reduce(logprobs[:, [EOS, *rules.ends]], axis=1)
    logprobs[:, EOS] = of_one_event
    logprobs[:, list(rules.ends)] = -np.inf
    for row in range(rows):
        for number in range(count):
            tokens = []
            while tokens[-1:] != [EOS]:
                step, mask = len(tokens), allowed(tokens, rules)
                if step < len(rules.prefix):
                    tokens.append(rules.prefix[step])
                    continue
                mask[PAD], mask[EOS] = False, mask[EOS] and step >= min_length
                if step == steps:
                    mask[:] = mask & (np.arange(VOCAB) == EOS)
                if not mask.any():
                    tokens = None
                    break
                own = as_one_event(jnp.asarray(table[tokens[-1] if tokens else EOS]), rules.ends, EOS)
                logits = np.where(mask, own, -np.inf)
                tokens.append(EOS if step == steps else int(draw(keys[row, number], step, logits)))
            length = int(found.lengths[row, number])
            if tokens is None:
                lost += 1
                assert length == 0
                continue
            answers += not allowed(tokens[:-1], rules).all()
            assert found.tokens[row, number, :length].tolist() == tokens
            np.testing.assert_allclose(
                found.logprobs[row, number, :length], logprobs[[EOS, *tokens[:-1]], tokens], atol=1e-4
            )
    assert lost > 0 and answers > rows * count / 4


def test_samples_as_hypotheses_are_the_best_first():
    samples = Samples(
        tokens=np.array([[5, 2, 1], [5, 6, 2], [5, 1, 1]]),
        lengths=np.array([2, 3, 0]),
        logprobs=np.array([[-1.0, -1.0, 0], [-0.5, -1.0, -0.3], [0, 0, 0]], np.float32),
    )
    found = as_hypotheses(samples, SearchConfig(3, max_length=8))
    assert found.tokens.tolist() == [[5, 6, 2], [5, 2, 1], [5, 1, 1]] and found.lengths.tolist() == [3, 2, 0]
    np.testing.assert_allclose(found.scores[:2], [-0.6, -1.0], atol=1e-6)
    np.testing.assert_allclose(found.totals, [-1.8, -2.0, -np.inf], atol=1e-6)
    np.testing.assert_array_equal(found.beam_logprobs, found.model_logprobs)


def test_devices_and_batches_change_no_pair(tmp_path):
    from tiny_qagen import make_tiny_qagen

    from quals_jax import QAGen

    folder = make_tiny_qagen(tmp_path)
    texts = ["a cat sat", "tea", "dogs eat at home", "set a seat at sea"]
    search = SearchConfig(num_beams=6, min_length=2, max_length=12, covering=True)
    one, eight = (
        QAGen.from_pretrained(folder, search=search, batch_size=size, devices=devices).generate(texts)
        for size, devices in ((3, jax.devices()[:1]), (1, jax.devices()))
    )
    assert [[pair.tokens for pair in own] for own in one] == [[pair.tokens for pair in own] for own in eight]
    for text, pairs in zip(texts, one, strict=True):
        assert any(pair.answer for pair in pairs[6:]), "nothing was sampled that the search had not found"
        assert all(pair.answer in text for pair in pairs if pair.answer is not None)
        assert len({(pair.question.lower(), (pair.answer or "").lower()) for pair in pairs[6:]}) == len(pairs[6:])


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
