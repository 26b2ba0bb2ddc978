"""Optax chains and schedules, and the Adam of fairseq."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from quals_jax.training.config import OptimizerConfig


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Learning rate of step 0, 1, ...: up linearly over `warmup_steps`, constant, and (if asked for) down to
    `end_learning_rate` from `decay_start`, or the end of the warm-up, to the last step."""
    peak, warmup = config.learning_rate, config.warmup_steps
    pieces, ends = [], []
    if warmup:
        # Step 0 already moves: its rate is peak / warmup, not 0.
        pieces.append(optax.linear_schedule(peak / warmup, peak, max(warmup - 1, 1)))
        ends.append(warmup)
    if config.decay == "constant":
        pieces.append(optax.constant_schedule(peak))
        return optax.join_schedules(pieces, ends)
    start = max(config.decay_start, warmup)
    if start > warmup:
        pieces.append(optax.constant_schedule(peak))
        ends.append(start)
    power, down = config.decay_power, max(steps - start, 1)
    pieces.append(optax.polynomial_schedule(peak, config.end_learning_rate, power, down))
    return optax.join_schedules(pieces, ends)


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clipping by the global norm, Adam, weight decay on every parameter, and the learning rate over all three."""
    schedule = make_schedule(config, steps)
    if config.name == "fairseq_adam":
        clip = fairseq_clip(config.clip_norm)
        adam = scale_by_fairseq_adam(config.beta1, config.beta2, config.epsilon)
    else:
        clip = optax.clip_by_global_norm(config.clip_norm)
        adam = optax.scale_by_adam(config.beta1, config.beta2, config.epsilon)
    decay = optax.add_decayed_weights(config.weight_decay)
    chain = [adam, decay, optax.scale_by_learning_rate(schedule)]
    return optax.chain(*([clip] if config.clip_norm else []), *chain)


def fairseq_clip(max_norm: float) -> optax.GradientTransformation:
    """Clipping by the factor max_norm / (norm + 1e-6), at most 1.

    fairseq: the 1e-6 makes every clipped gradient a little shorter than `max_norm`.
    """

    def update(updates, state, params=None):
        factor = jnp.minimum(1.0, max_norm / (optax.global_norm(updates) + 1e-6))
        return jax.tree.map(lambda update: update * factor, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_fairseq_adam(beta1: float, beta2: float, epsilon: float) -> optax.GradientTransformation:
    """Adam's direction sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon).

    fairseq: epsilon is added before the bias correction, so that it counts for more in the first steps.
    """

    def init(params):
        # Each its own zeros: a train step gives up the buffers of its state, and none twice.
        mean, square = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), mean, square)

    def update(updates, state, params=None):
        count = state.count + 1
        mean = optax.tree.update_moment(updates, state.mu, beta1, 1)
        square = optax.tree.update_moment(updates, state.nu, beta2, 2)
        correction = jnp.sqrt(1 - beta2**count) / (1 - beta1**count)
        directions = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + epsilon), mean, square)
        return directions, optax.ScaleByAdamState(count, mean, square)

    return optax.GradientTransformation(init, update)
