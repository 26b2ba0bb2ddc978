"""What is asked of an encoder-decoder, as pure functions of arrays; and such a function as a program on a mesh.

`jit` stands here and, for training, in `training/step.py`. An architecture offers `init_cache`, `encode`, `memory`, `decode` and `logits`,
and in its `config` its sizes and ids (models/bart.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax import parallel
from quals_jax.decoding.continuation import Continuations, continue_prompts
from quals_jax.decoding.covering import Places
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig, diverse_beam_search
from quals_jax.decoding.rules import NO_RULES, Rules, as_one_event
from quals_jax.decoding.sampling import Samples, SamplingConfig, sample_keys, top_k_sample
from quals_jax.decoding.stages import cache_stages
from quals_jax.kernels.group_choice import choose_by_scan, choose_in_kernel
from quals_jax.models.layers import with_layers
from quals_jax.models.teacher_forcing import encode_memory, per_token, reduce_logits, shift_right, target_logprobs
from quals_jax.precision import Precision

PAIRS_AT_ONCE = 10  # decoded together; the loop over them ends with the last that is there
LOGITS_AT_ONCE = 2**24  # numbers, when targets are scored


def search_rows(
    graph, config: SearchConfig, rules: Rules | None, params, source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"],
    *places: Array,
) -> Hypotheses:  # fmt: skip
    """What the model writes of every text of a batch, best first. `places`: the arrays of `Places`, for a search that covers its texts."""
    rules = rules or NO_RULES
    model, step, decoding = _decoder(graph, params, source_ids, beam=config.num_beams, length=config.max_length + 1)
    return diverse_beam_search(
        step,
        batch=source_ids.shape[0],
        config=config,
        active=active,
        rules=rules,
        places=Places(*places) if places else None,
        choose=choose_in_kernel if model.kernels.choice else choose_by_scan,
        **decoding,
        **ids_of(model),
    )


def sample_rows(
    graph, config: SamplingConfig, rules: Rules | None, num_samples: int, params,
    source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"], numbers: Int[Array, "batch"], *places: Array,
) -> Samples:  # fmt: skip
    """Samples of every text of a batch, which depend on its number. `places`: as for `search_rows`."""
    model, step, decoding = _decoder(graph, params, source_ids, beam=num_samples, length=config.max_length + 1)
    keys = sample_keys(0, numbers, num_samples)
    return top_k_sample(
        step, keys=keys, config=config, active=active, rules=rules or NO_RULES, places=Places(*places) if places else None,
        **decoding, **ids_of(model),
    )  # fmt: skip


def score_rows(
    graph,
    params,
    source_ids: Int[Array, "batch source"],
    target_ids: Int[Array, "batch pair target"],
    *,
    ends: tuple[int, ...] = (),
) -> Float[Array, "batch pair target"]:
    """The natural log-probability of every target token given the row's text (0 at padding). The text is encoded once for all its pairs,
    and the pairs are decoded in blocks until the last that any row has. `ends` are one event with the end of sentence."""
    model = with_layers(nnx.merge(graph, params), as_one=("encoder", "decoder"))
    memory = encode_memory(model, source_ids)
    config, (batch, pairs, target) = model.config, target_ids.shape
    block = min(pairs, PAIRS_AT_ONCE)
    blocks = blocks_of(target_ids, config.pad_token_id)

    def logprobs_of(logits, ids):
        return target_logprobs(as_one_event(logits, ends, config.eos_token_id), ids)

    def score(number, logprobs):
        ids = jax.lax.dynamic_slice_in_dim(target_ids, number * block, block, axis=1)
        states, _ = model.decode(shift_right(ids, config.decoder_start_token_id), memory)
        found = per_token(reduce_logits(model, states, ids, logprobs_of, at_once=LOGITS_AT_ONCE), ids)
        found = jnp.where(ids == config.pad_token_id, 0, found)
        return jax.lax.dynamic_update_slice_in_dim(logprobs, found, number * block, axis=1)

    wide = jnp.promote_types(model.dtype, jnp.float32)
    return jax.lax.fori_loop(0, blocks, score, jnp.zeros((batch, pairs, target), wide))


def score_ended_rows(graph, ends: tuple[int, ...], params, source_ids, target_ids) -> Float[Array, "batch pair target"]:
    """`score_rows` where more than the end of sentence ends a target."""
    return score_rows(graph, params, source_ids, target_ids, ends=ends)


def continue_rows(
    graph, max_length: int, ends: tuple[int, ...], forbidden: tuple[int, ...], params, source_ids: Int[Array, "batch source"],
    prompts: Int[Array, "batch pair prompt"], *places: Array,
) -> Continuations:  # fmt: skip
    """What the model goes on with behind every prompt, given the row's text, which is encoded once for all of them; the prompts are
    decoded in blocks until the last that any row has. `places`: the arrays of `Places`, for continuations that are spans of the text."""
    block = min(prompts.shape[1], PAIRS_AT_ONCE)
    length = prompts.shape[-1] + max_length + 1
    model, step, decoding = _decoder(graph, params, source_ids, beam=block, length=length)
    pad_id = model.config.pad_token_id

    def go_on(number, found):
        continued = continue_prompts(
            step,
            prompts=jax.lax.dynamic_slice_in_dim(prompts, number * block, block, axis=1),
            max_length=max_length,
            ends=ends,
            forbidden=forbidden,
            places=Places(*places) if places else None,
            **decoding,
            **ids_of(model),
        )
        return jax.tree.map(
            lambda all, own: jax.lax.dynamic_update_slice_in_dim(all, own, number * block, axis=1), found, continued
        )

    shape = (*prompts.shape[:2], max_length + 1)
    wide = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    none = Continuations(
        jnp.full(shape, pad_id, jnp.int32), jnp.zeros(shape[:2], jnp.int32), jnp.zeros(shape, wide), jnp.zeros(shape[:2], wide)
    )  # fmt: skip
    return jax.lax.fori_loop(0, blocks_of(prompts, pad_id), go_on, none)


def blocks_of(target_ids: Int[Array, "batch pair target"], pad_id: int) -> Int[Array, ""]:
    """How many blocks of pairs there are until the last pair that any row has."""
    pairs = target_ids.shape[1]
    block = min(pairs, PAIRS_AT_ONCE)
    used = jnp.any(target_ids != pad_id, axis=(0, 2))
    return -(-jnp.max(jnp.where(used, jnp.arange(1, pairs + 1), 0)) // block)


def ids_of(model) -> dict[str, int]:
    config = model.config
    return {"start_id": config.decoder_start_token_id, "eos_id": config.eos_token_id, "pad_id": config.pad_token_id}


def _decoder(graph, params, source_ids, *, beam: int, length: int) -> tuple[nnx.Module, Callable, dict]:
    """The model, one step of its decoder against the encoded texts, and the cache that a decoding loop begins with and lets grow."""
    model = nnx.merge(graph, params)
    memory = encode_memory(model, source_ids)
    new_cache = partial(model.init_cache, batch=source_ids.shape[0], beam=beam)

    def step(token_ids, cache):
        states, cache = model.decode(token_ids[:, :, None], memory, cache)
        return model.logits(states[:, :, 0]), cache

    def grow(cache, length: int):
        def pad(array, larger):
            return (
                array
                if array.shape == larger.shape
                else jnp.pad(array, [(0, new - old) for old, new in zip(array.shape, larger.shape, strict=True)])
            )

        return jax.tree.map(pad, cache, jax.eval_shape(lambda: new_cache(length=length)))

    return model, step, {"cache": new_cache(length=cache_stages(length)[0]), "grow": grow}


def program(function: Callable, *settings, precision: Precision, mesh: jax.sharding.Mesh) -> Callable:
    """A function of (*settings, params, *arrays) as a program of (params, *arrays), rows cut over the mesh."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    mapped = parallel.map_rows(precision.scoped(partial(function, *settings)), mesh)
    return jax.jit(mapped, compiler_options=cpu_options() if on_cpu else None)


@cache
def cpu_options() -> dict[str, bool] | None:
    """Without this option XLA's CPU back end copies the search's whole cache at every step. None where XLA does not know it (any more)."""
    options = {"xla_cpu_copy_insertion_use_region_analysis": True}
    try:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            jax.jit(lambda: jnp.zeros(()), compiler_options=options)()
    except (RuntimeError, ValueError):
        return None
    return options


def inference_form(model, precision: Precision) -> tuple[nnx.GraphDef, nnx.State]:
    """A model as programs that do not train hold it: matrices in the type they are multiplied in, the rest exact; the encoder's layers as
    one, which all of them scan, and the decoder's apart, as a decoding step reads one after the other."""

    def cast(array):
        return array.astype(precision.compute) if array.ndim >= 2 and array.dtype == precision.master else array

    def cast_abstract(array):
        return jax.eval_shape(cast, array) if isinstance(array, jax.ShapeDtypeStruct) else cast(array)

    graph, params = nnx.split(with_layers(model, as_one=()))
    params = jax.tree.map(cast_abstract, params)
    return nnx.split(with_layers(nnx.merge(graph, params), as_one=("encoder",)))
