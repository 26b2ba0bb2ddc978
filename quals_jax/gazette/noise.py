"""Noisy references: training summaries of which a stated share is false, as in collected data (XSum's references, for one)."""

from __future__ import annotations

from dataclasses import dataclass

from quals_jax.gazette.corruptions import Corruption
from quals_jax.gazette.story import Story


@dataclass(frozen=True)
class Reference:
    """A summary to train on. `corruption` is the label kept aside: None where the summary is true."""

    text: str
    corruption: Corruption | None


def noisy_reference(story: Story, share: float) -> Reference:
    """The story's summary, replaced by one of its corruptions with probability `share`; always the same for one story.

    Raises:
        ValueError: for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it must lie between 0 and 1")
    generator = story.generator("noise")
    if generator.random() >= share or not story.corruptions:
        return Reference(story.summary, None)
    corruption = generator.choice(story.corruptions)
    return Reference(corruption.text, corruption)
