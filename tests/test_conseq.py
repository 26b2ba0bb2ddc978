"""Selection and losses against the goldens of the released code, and against closed forms."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax import conseq


def _quals(folder):
    scores = []
    for path in sorted(folder.glob("*.quals")):
        for line in path.read_text().splitlines():
            scores.append([None if score == -1e5 else score for score in json.loads(line)["eval_ns-ns"]])
    return scores


@pytest.fixture(scope="module")
def scores(golden):
    candidates = _quals(golden / "select" / "cand")
    references = [score for (score,) in _quals(golden / "select" / "ref")]
    return candidates, references, json.loads((golden / "select" / "selected_indices.json").read_text())


@pytest.mark.parametrize("name", ["lm-100-100", "lm-25-45", "lm-30-30", "lm-30-60", "lm-60-60", "lm-80-100"])
def test_selected_documents_and_candidates(golden, scores, name):
    candidates, references, recorded = scores
    _, candidate_ratio, reference_ratio = name.split("-")
    found = conseq.select(candidates, references, int(candidate_ratio) / 100, int(reference_ratio) / 100)
    assert {document for document, _ in found} == set(recorded[name])
    chosen = [json.loads(line) for line in (golden / "select" / "cand" / "untarget.index").read_text().splitlines()]
    for document, candidate in found:
        assert chosen[document]["avg"]["eval_ns-ns"] == candidate


def test_without_references_the_ranking_of_the_candidates_alone(scores):
    candidates, _, recorded = scores
    assert [document for document, _ in conseq.select(candidates, None, 0.3)] == recorded["notarget-30"]


def test_highest_variant(golden, scores):
    candidates, references, _ = scores
    chosen = [
        json.loads(line) for line in (golden / "select" / "cand" / "untarget.index.highest").read_text().splitlines()
    ]
    for document, candidate in conseq.select(candidates, references, 1.0, 1.0, highest=True):
        assert chosen[document]["avg"]["eval_ns-ns"] == candidate


def test_texts_without_score_are_chosen_last():
    found = conseq.select([[None, -1.0], [None, None], [-3.0, -3.0]], [0.0, None, -1.0], 1.0, 1.0)
    assert found == [(2, 0), (0, 1), (1, 0)]
    assert conseq.select([[None, -1.0], [None, None], [-3.0]], [0.0, None, -1.0], 1.0, 2 / 3) == [(2, 0), (0, 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.1]], [0.1, 0.2]), "1 documents and references of 2"),
        (([[]], None), "document 0 has no"),
        (([[0.1]], None, 1.2), "candidate_ratio is 1.2"),
    ],
)
def test_impossible_selections_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        conseq.select(*arguments)


@pytest.fixture(scope="module")
def logits(golden, tiny_bart):
    """The model's logits on the golden batch 0, positives and negatives."""
    arrays = np.load(golden / "criterion" / "batches.npz")
    found = {}
    for part in ("target", "untarget"):
        source, target = arrays[f"batch0_{part}_src_tokens"], arrays[f"batch0_{part}_target"]
        right = np.full_like(source, 1)
        for row, ids in enumerate(source):
            ids = ids[ids != 1]
            right[row, : len(ids)] = ids
        mask = jnp.asarray(right != 1)
        memory = tiny_bart.memory(tiny_bart.encode(jnp.asarray(right), mask), mask)
        states, _ = tiny_bart.decode(jnp.asarray(arrays[f"batch0_{part}_prev_output_tokens"])[:, None], memory)
        found[part] = tiny_bart.logits(states)[:, 0], jnp.asarray(target)
    return found


@pytest.mark.parametrize("smoothing", [0.1, 0.0])
def test_losses_equal_the_reference(golden, logits, smoothing):
    recorded = json.loads((golden / "criterion" / "losses.json").read_text())
    (record,) = [
        entry for entry in recorded
        if entry["label_smoothing"] == smoothing and not entry["use_hellinger_loss"] and not entry.get("sentence_avg")
    ]  # fmt: skip
    total, size = conseq.contrastive_loss(*logits["target"], *logits["untarget"], label_smoothing=smoothing)
    assert int(size) == record["sample_size"]
    assert float(total) == pytest.approx(record["loss"], rel=1e-5)
    assert float(conseq.likelihood_sum(*logits["target"], smoothing)[0]) == pytest.approx(
        record["loss_positive"], rel=1e-5
    )
    assert float(conseq.unlikelihood_sum(*logits["untarget"], smoothing)[0]) == pytest.approx(
        record["loss_negative"], rel=1e-3
    )


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-15])
def test_unlikelihood_alone_in_closed_form(p):
    """Two tokens beside padding: -log(1 - p), and its gradient p by the token's own logit (d/dz -log(1 - sigmoid(z)) = sigmoid(z))."""
    z = float(np.log(p) - np.log1p(-p))
    logits = jnp.array([[-1e9, -1e9, z, 0.0]], jnp.float32)
    ids = jnp.array([2])
    value, gradient = jax.value_and_grad(lambda x: conseq.unlikelihood_sum(x, ids, 0.0)[0])(logits)
    exact = np.log1p(np.exp(np.float64(np.float32(z))))
    assert float(value) == pytest.approx(exact, rel=1e-5)
    assert float(gradient[0, 2]) == pytest.approx(p, rel=1e-5)


def test_unlikelihood_is_floored_where_p_is_one_and_its_gradient_is_zero():
    for dtype in (jnp.float32, jnp.bfloat16):
        logits = jnp.array([[0.0, 0.0, 90.0, 0.0]], dtype)
        value, gradient = jax.value_and_grad(lambda x: conseq.unlikelihood_sum(x, jnp.array([2]), 0.0)[0])(logits)
        assert float(value) == pytest.approx(-np.log(1e-20), rel=1e-6)
        assert not np.asarray(gradient, np.float32).any()


def test_bfloat16_logits_are_reduced_in_float32():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 50)) * 3, jnp.bfloat16)
    ids = jnp.asarray([[2, 3, 1], [4, 1, 1]])
    rough = conseq.contrastive_loss(logits, ids, logits, ids)
    exact = conseq.contrastive_loss(logits.astype(jnp.float32), ids, logits.astype(jnp.float32), ids)
    assert rough[0].dtype == jnp.float32 and float(rough[0]) == float(exact[0]) and int(rough[1]) == 6


def test_padding_counts_nothing():
    logits = jnp.zeros((1, 4, 10))
    total, size = conseq.contrastive_loss(logits, jnp.array([[1, 1, 1, 1]]), logits, jnp.array([[5, 1, 1, 1]]), 0.0)
    assert int(size) == 1
    assert float(total) == pytest.approx(-np.log(0.9), rel=1e-6)


def test_with_a_margin_the_negative_is_drawn_from_all_that_score_so_much_lower():
    """Of 3,000 equal documents each false candidate is drawn as often; the true one, and the one without a score, never."""
    scores, references = [[-0.2, -3.0, -0.5, None, -0.45]] * 3000, [-0.2] * 3000
    drawn = conseq.select(scores, references, 1.0, 1.0, margin=0.25, seed=1)
    counts = np.bincount([place for _, place in drawn], minlength=5)
    assert counts[0] == counts[3] == 0 and abs(counts[[1, 2, 4]] - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)
    assert drawn == conseq.select(scores, references, 1.0, 1.0, margin=0.25, seed=1)
    assert drawn != conseq.select(scores, references, 1.0, 1.0, margin=0.25, seed=2)
    # Which documents are chosen is as ever; where nothing is so low it is the lowest.
    own = [[-0.3, -0.4], [-1.0, -2.0], [-0.9, None]]
    plain = conseq.select(own, [-0.2] * 3, 1.0, 1.0)
    found = conseq.select(own, [-0.2] * 3, 1.0, 1.0, margin=0.25)
    assert [document for document, _ in found] == [document for document, _ in plain] == [1, 2, 0]
    assert dict(found)[0] == 1 and dict(found)[2] == 0
    assert conseq.select(own, [None] * 3, 1.0, 1.0, margin=0.25) == conseq.select(own, [None] * 3, 1.0, 1.0)
    for wrong in ({"reference_scores": None}, {"reference_scores": [-0.2] * 3, "highest": True}):
        with pytest.raises(ValueError, match="margin is 0.25"):
            conseq.select(own, margin=0.25, **wrong)
