"""Makes `tiny` importable by its neighbours: pytest imports test files without a package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
