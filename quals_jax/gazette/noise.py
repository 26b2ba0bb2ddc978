"""Noisy references: training summaries of which a stated share is false, as in collected data (XSum's references, for one)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax.gazette.corruptions import KINDS, Corruption
from quals_jax.gazette.story import Story


@dataclass(frozen=True)
class Reference:
    """A summary to train on. `corruption` is the label kept aside: None where the summary is true."""

    text: str
    corruption: Corruption | None


def noisy_reference(story: Story, share: float, kinds: Sequence[str] = ()) -> Reference:
    """The story's summary, replaced by one of its corruptions with probability `share`; always the same for one story.

    The corruption is any of the story's, or of the first of `kinds` that it has. A mistake made always in the same way
    is one that a model learns; of mistakes made at random each is rarer than the truth, and beam search finds the truth.

    Raises:
        ValueError: for a share outside 0 to 1, or an unknown kind.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"kinds has {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it must lie between 0 and 1")
    generator = story.generator("noise")
    if generator.random() >= share or not story.corruptions:
        return Reference(story.summary, None)
    by_kind = {corruption.kind: corruption for corruption in story.corruptions}
    preferred = [by_kind[kind] for kind in kinds if kind in by_kind]
    corruption = preferred[0] if preferred else generator.choice(story.corruptions)
    return Reference(corruption.text, corruption)
