"""Caption accuracy: the share of pictures that show what a reader checks of their captions in the pixels.

The reader is handed in (``Setup.caption_reader``): it knows the captions' grammar and what it can find in a picture.
That of drawn scenes checks shape, colour and relations of every object and that there is no object too many, or each
mentioned attribute of the face; words of size and background do not count.
The idea is that of Ghosh et al., "GenEval: An Object-Focused Framework for Evaluating Text-to-Image Alignment",
NeurIPS 2023, whose reader is an object detector.
"""

from __future__ import annotations

from .metric import Evidence, ImageMetric
from .stats import share_interval


def caption_accuracies(evidence: Evidence) -> list[float]:
    """Return 1 for each picture that obeys its caption in all that the reader checks, else 0.

    The interval is Wilson's for a share. CannotMeasure where the reader does not know a caption's grammar or cannot
    read pictures of this size.
    """
    assert evidence.reader is not None
    return [evidence.reader(*pair) for pair in zip(evidence.pictures, evidence.prompts, strict=True)]


CAPTION_ACCURACY = ImageMetric(
    "caption_accuracy",
    higher_is_better=True,
    digits=3,
    needs=("prompts", "reader"),
    scores=caption_accuracies,
    interval=share_interval,
)
