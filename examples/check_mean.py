"""Ends with status 1 unless the mean of a scored file is the one that the README prints: `check_mean.py README.md scores.jsonl`."""

import json
import re
import sys

TOLERANCE = 0.02

readme, scores = sys.argv[1:]
printed = re.search(r"^QUALS = (-?\d+\.\d+) \(n = \d+\)", open(readme, encoding="utf-8").read(), re.MULTILINE)
values = [row["quals"] for row in map(json.loads, open(scores, encoding="utf-8")) if row["quals"] is not None]
mean = sum(values) / len(values)
if printed is None or abs(float(printed[1]) - mean) > TOLERANCE:
    sys.exit(f"the mean is {mean:.3f}, and {readme} prints {printed and printed[1]}")
