"""The goldens' hypotheses from programs made with all kernels, as interpreted on a CPU."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.kernels import Kernels
from quals_jax.precision import Precision
from quals_jax.row_programs import search_rows


def searched(model, kernels: Kernels, config: SearchConfig, source):
    """`search_rows` of a model with these kernels."""
    merged = nnx.merge(*nnx.split(model))  # one of our own: `tiny_bart` is everyone's
    merged.kernels = kernels
    graph, params = nnx.split(merged)
    run = Precision.of("float32").scoped(lambda *arrays: search_rows(graph, config, None, *arrays))
    return jax.device_get(jax.jit(run)(params, source, np.ones(len(source), bool)))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["diverse_b6_g3_s0.5", "diverse_b4_g1_s0.5", "diverse_b4_g4_s0.5_maxlen12"])
def test_every_golden_hypothesis(golden, tiny_bart, name):
    recorded = json.loads((golden / "beam" / f"{name}.json").read_text())
    settings, sentences = recorded["config"], recorded["sentences"]
    config = SearchConfig(
        settings["beam"], max(1, settings.get("diverse_beam_groups", 1)), settings.get("diverse_beam_strength", 0.5),
        settings["min_len"], settings["max_len_b"], settings["lenpen"],
    )  # fmt: skip
    source = np.full((len(sentences), max(len(sentence["source_tokens"]) for sentence in sentences)), 1, np.int32)
    for row, sentence in enumerate(sentences):
        source[row, : len(sentence["source_tokens"])] = sentence["source_tokens"]
    found = searched(tiny_bart, Kernels.of("all"), config, source)
    for row, sentence in enumerate(sentences):
        for rank, hypothesis in enumerate(sentence["hypotheses"]):
            length = found.lengths[row, rank]
            assert found.tokens[row, rank, :length].tolist() == hypothesis["tokens"], (row, rank)
            np.testing.assert_allclose(
                found.beam_logprobs[row, rank, :length], hypothesis["positional_scores"], atol=1e-4
            )
            assert found.totals[row, rank] == pytest.approx(hypothesis["unnormalized_score"], abs=1e-3)
