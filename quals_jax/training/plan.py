"""What a run will do, before its first step: the shapes of its batches, the memory they want, steps, epochs, checkpoints, hours."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from quals_jax.training import memory
from quals_jax.training.config import TrainConfig
from quals_jax.training.memory import GIGABYTE, Sizes

COMPILE_SECONDS = 120.0  # after so much compiling the rest of the shapes are told by formula
UTILISATION = 0.4  # of what one large matrix product reaches, that a training step is assumed to reach
COMPILED, FORMULA = "compiled", "formula"


@dataclass(frozen=True)
class Sample:
    """Batches as they will come, made from `texts` of `of` texts (None: of endless data, where `epochs` mean nothing)."""

    batches: Sequence[dict]
    texts: int
    of: int | None

    @property
    def steps_per_epoch(self) -> float | None:
        return None if self.of is None else len(self.batches) * self.of / max(self.texts, 1)


@dataclass(frozen=True)
class Shape:
    """A shape of batch, how many of the sample's have it, and the bytes that its step wants on a device."""

    shape: str
    batches: int
    tokens: int  # padding included
    bytes: int
    memory: str
    fits: bool


@dataclass(frozen=True)
class Plan:
    device: str
    device_bytes: int | None
    shapes: tuple[Shape, ...]
    sample: dict
    steps: int
    steps_per_epoch: float | None
    epochs: float | None
    state_bytes: int
    checkpoint_bytes: int
    checkpoints_bytes: int
    hours: float | None
    keep_at: tuple[int, ...] = ()
    cure: str = ""
    round_steps: int = (
        0  # steps on one choice of texts before others come: then the sample and epochs are those of one round
    )

    @property
    def fits(self) -> bool:
        return all(shape.fits for shape in self.shapes)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self) | {"fits": self.fits}, indent=2) + "\n", encoding="utf-8")


def make_plan(
    config: TrainConfig,
    sample: Sample,
    *,
    train_step: Callable,
    state_shapes,
    mesh: Mesh,
    sizes: Sizes,
    parameters: int,
    name_of: Callable[[dict], str],
    limit: int | None = None,
    compile_seconds: float = COMPILE_SECONDS,
) -> Plan:
    """The plan of a run.

    Args:
        name_of: how the shapes of a batch are written.
        limit: bytes of a device that is not at hand: then everything is by formula. None: the mesh's own devices.
        compile_seconds: how long shapes are compiled, the largest first (one always is); 0: the largest alone.
    """
    parts, elsewhere = config.optimizer.accumulate, limit is not None
    device = mesh.devices.flat[0]
    limit = memory.device_bytes(device) if limit is None else limit
    named = {name_of(batch): batch for batch in sample.batches}
    counts = Counter(name_of(batch) for batch in sample.batches)

    def by_formula(batch, parts: int = parts) -> int:
        return memory.formula_bytes(
            memory.state_bytes(state_shapes), parameters, batch, sizes,
            parts=parts, devices=mesh.size, sharded=config.model.shard_params,
        )  # fmt: skip

    def largest_in_parts(parts: int) -> int:
        return max((by_formula(batch, parts) for batch in named.values()), default=0)

    began, shapes = time.monotonic(), []
    for name, batch in sorted(named.items(), key=lambda item: -by_formula(item[1])):
        compiles = not elsewhere and (not shapes or time.monotonic() - began < compile_seconds)
        structs = memory.batch_structs(batch, mesh, parts)
        wanted = memory.compiled_bytes(train_step, state_shapes, structs) if compiles else by_formula(batch)
        tokens = sum(part[own].size for part in batch.values() for own in ("source_ids", "target_ids") if own in part)
        fits = limit is None or wanted <= limit
        shapes.append(Shape(name, counts[name], int(tokens), wanted, COMPILED if compiles else FORMULA, fits))
    state = memory.state_bytes(state_shapes)
    per_epoch = sample.steps_per_epoch
    return Plan(
        device="a device that is not at hand" if elsewhere else f"{mesh.size} x {device.device_kind}",
        device_bytes=limit,
        shapes=tuple(shapes),
        sample={"texts": sample.texts, "of": sample.of, "batches": len(sample.batches)},
        steps=config.steps,
        steps_per_epoch=per_epoch,
        epochs=config.steps / per_epoch if per_epoch else None,
        state_bytes=state,
        checkpoint_bytes=state,
        # The last ones, the best, the one being written, and those of asked steps.
        checkpoints_bytes=state * (config.keep + 2 + len(config.keep_at)),
        keep_at=tuple(sorted(config.keep_at)),
        hours=None if elsewhere else _hours(config, shapes, parameters, mesh),
        cure=_cure(config, shapes, state + 4 * parameters, limit, largest_in_parts),
    )


def table(plan: Plan) -> str:
    """The plan as people read it."""
    has = "unknown" if plan.device_bytes is None else f"{plan.device_bytes / GIGABYTE:.1f} GB"
    lines = [f"{plan.device}: {has}", "", f"{'shape':<44} {'batches':>8} {'GB':>9}  memory"]
    for shape in plan.shapes:
        note = "" if shape.fits else "  DOES NOT FIT"
        lines.append(f"{shape.shape:<44} {shape.batches:>8} {shape.bytes / GIGABYTE:>9.3f}  {shape.memory}{note}")
    of = "endless data" if plan.sample["of"] is None else f"{plan.sample['of']:,} texts"
    lines += ["", f"from           {plan.sample['texts']:,} of {of}: {plan.sample['batches']} batches"]
    epochs = "" if plan.epochs is None else f" = {plan.epochs:.2f} epochs of about {plan.steps_per_epoch:,.0f} steps"
    if plan.round_steps:
        rounds = math.ceil(plan.steps / plan.round_steps)
        epochs = f" in {rounds} rounds; of each, on texts of its own, {plan.round_steps:,} steps{epochs}"
    lines.append(f"steps          {plan.steps:,}{epochs}")
    lines.append(
        f"checkpoints    {plan.checkpoint_bytes / GIGABYTE:.3f} GB each, up to {plan.checkpoints_bytes / GIGABYTE:.3f} GB"
    )
    if plan.keep_at:
        lines.append(f"kept           checkpoints of steps {', '.join(f'{step:,}' for step in plan.keep_at)}")
    if plan.hours is not None:
        lines.append(
            f"hours          about {plan.hours:.2g} ({UTILISATION:.0%} of this device's matrix product assumed)"
        )
    return "\n".join(lines)


def require_fits(plan: Plan) -> None:
    """Raises ValueError naming the largest shape that does not fit, and what would."""
    for shape in plan.shapes:
        if not shape.fits:
            raise ValueError(
                f"a step on {shape.shape} needs {shape.bytes / GIGABYTE:.1f} GB ({shape.memory}), the device has"
                f" {plan.device_bytes / GIGABYTE:.1f}: {plan.cure}"
            )


def _cure(
    config: TrainConfig, shapes: Sequence[Shape], fixed: int, limit: int | None, in_parts: Callable[[int], int]
) -> str:
    """What would fit: all but `fixed`, the state and its gradients, grows with the number of rows. in_parts: bytes, by formula, of the
    largest batch in so many parts."""
    wanted = max((shape.bytes for shape in shapes), default=0)
    if limit is None or wanted <= limit:
        return ""
    if fixed >= limit:
        return f"parameters, optimizer and gradients alone are {fixed / GIGABYTE:.1f} GB; model.shard_params=True over several devices"
    share = (limit - fixed) / max(wanted - fixed, 1)
    data, names = config.data, []
    for name in ("batch_tokens", "batch_target_tokens"):
        if getattr(data, name):
            names.append(f"data.{name}={_below(getattr(data, name) * share)}")
    if not names:
        rows = max(int(data.batch_size * share), 1) // config.optimizer.accumulate * config.optimizer.accumulate
        names = [f"data.batch_size={max(rows, config.optimizer.accumulate)}"]
    # The same batch, which a run that goes on elsewhere must keep, in as many parts as it takes.
    parts = config.optimizer.accumulate
    dividing = [number for number in range(parts + 1, data.batch_size + 1) if data.batch_size % number == 0]
    enough = next((number for number in dividing if wanted * in_parts(number) / in_parts(parts) <= limit), None)
    other = f"; or the same batch in parts, optimizer.accumulate={enough}" if enough else ""
    return f"{', '.join(names)} would fit{other}"


def _below(number: float) -> int:
    """The largest power of two that is no more."""
    return 1 << max(int(number).bit_length() - 1, 0)


def _hours(config: TrainConfig, shapes: Sequence[Shape], parameters: int, mesh: Mesh) -> float | None:
    """From the operations of a step, 6 for each parameter and token, and what a product of 1,024 x 1,024 reaches here."""
    total = sum(shape.batches for shape in shapes)
    if not total:
        return None
    tokens = sum(shape.batches * shape.tokens for shape in shapes) / total
    operations = 6 * parameters * tokens * (4 / 3 if config.model.remat else 1)
    dtype = jnp.bfloat16 if config.model.dtype == "bfloat16" else jnp.float32
    square = jnp.ones((1024, 1024), dtype)
    product = jax.jit(lambda a: a @ a)
    product(square).block_until_ready()
    began = time.monotonic()
    for _ in range(3):
        product(square).block_until_ready()
    speed = 3 * 2 * 1024**3 / max(time.monotonic() - began, 1e-9)
    speed *= 1 if jax.default_backend() == "cpu" else mesh.size
    return operations / (UTILISATION * speed) * config.steps / 3600
