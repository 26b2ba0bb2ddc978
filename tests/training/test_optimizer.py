import jax.numpy as jnp
import numpy as np
import optax
import pytest

from quals_jax.training.config import OptimizerConfig
from quals_jax.training.optimizer import make_optimizer, make_schedule

GRADIENTS = [np.array([0.3, -0.02, 1e-9]), np.array([-0.1, 0.4, 2e-9]), np.array([0.2, 0.1, -1e-9])]


def rates(config, steps, at):
    schedule = make_schedule(config, steps)
    return [float(schedule(step)) for step in at]


def test_constant_schedule_after_warm_up():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    assert rates(config, 100, range(6)) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_no_warm_up_begins_at_the_top():
    assert rates(OptimizerConfig(learning_rate=1.0), 10, [0, 9]) == [1, 1]


def test_linear_decay_after_a_constant_stretch():
    config = OptimizerConfig(
        learning_rate=1.0, warmup_steps=2, decay="polynomial", decay_start=6, end_learning_rate=0.2
    )
    assert rates(config, 10, [0, 1, 5, 6, 8, 10, 12]) == pytest.approx([0.5, 1, 1, 1, 0.6, 0.2, 0.2])


def test_polynomial_decay_begins_where_warm_up_ends():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=2, decay="polynomial", decay_power=2.0)
    assert rates(config, 12, [2, 7, 12]) == pytest.approx([1, 0.25, 0])


def by_hand(config, *, fairseq):
    """Adam with decoupled decay, in double precision, as both are written down."""
    weights = np.array([1.0, -2.0, 0.5])
    mean, square = np.zeros(3), np.zeros(3)
    for count, gradient in enumerate(GRADIENTS, 1):
        norm = np.sqrt((gradient**2).sum())
        gradient = gradient * min(1.0, config.clip_norm / (norm + (1e-6 if fairseq else 0)))
        mean = config.beta1 * mean + (1 - config.beta1) * gradient
        square = config.beta2 * square + (1 - config.beta2) * gradient**2
        first, second = 1 - config.beta1**count, 1 - config.beta2**count
        if fairseq:
            direction = np.sqrt(second) / first * mean / (np.sqrt(square) + config.epsilon)
        else:
            direction = (mean / first) / (np.sqrt(square / second) + config.epsilon)
        weights = weights - config.learning_rate * (direction + config.weight_decay * weights)
    return weights


@pytest.mark.parametrize("name", ["adamw", "fairseq_adam"])
@pytest.mark.parametrize("clip", [0.1, 10.0])
def test_three_steps_by_hand(name, clip):
    config = OptimizerConfig(name=name, learning_rate=0.1, clip_norm=clip, weight_decay=0.01, epsilon=1e-6)
    optimizer = make_optimizer(config, 3)
    weights = {"w": jnp.array([1.0, -2.0, 0.5])}
    state = optimizer.init(weights)
    for gradient in GRADIENTS:
        updates, state = optimizer.update({"w": jnp.asarray(gradient, jnp.float32)}, state, weights)
        weights = optax.apply_updates(weights, updates)
    np.testing.assert_allclose(weights["w"], by_hand(config, fairseq=name == "fairseq_adam"), rtol=1e-5)


def test_the_two_adams_differ_where_epsilon_matters():
    config = OptimizerConfig(learning_rate=0.1, clip_norm=10.0, epsilon=1e-6)
    assert abs(by_hand(config, fairseq=True) - by_hand(config, fairseq=False)).max() > 1e-4


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.0), ("decay", "cosine"), ("beta2", 1.0), ("accumulate", 0), ("name", "sgd")],
)
def test_a_bad_setting_is_named(field, value):
    with pytest.raises(ValueError, match=f"optimizer.{field} is"):
        OptimizerConfig(**{field: value}).validate()
