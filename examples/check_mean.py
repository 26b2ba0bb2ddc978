"""Ends with status 1 unless the mean of a scored file is the one that the README prints: `check_mean.py README.md scores.jsonl`."""

import json
import re
import sys
from pathlib import Path

TOLERANCE = 0.02

readme, scores = sys.argv[1:]
printed = re.search(r"^QUALS = (-?\d+\.\d+) \(n = \d+\)", Path(readme).read_text(encoding="utf-8"), re.MULTILINE)
values = [
    row["quals"]
    for row in map(json.loads, Path(scores).read_text(encoding="utf-8").strip().split("\n"))
    if row["quals"] is not None
]
mean = sum(values) / len(values)
if printed is None or abs(float(printed[1]) - mean) > TOLERANCE:
    sys.exit(f"the mean is {mean:.3f}, and {readme} prints {printed and printed[1]}")
