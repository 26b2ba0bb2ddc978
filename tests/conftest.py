"""What all tests share. Runs before JAX is imported: on a CPU every test sees eight devices."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # so that test files can share helpers
from quick_compilation import PATIENT, flags, known  # noqa: E402

PLATFORM = os.environ.get("PLATFORM") or "cpu"  # make test PLATFORM=cuda
os.environ["JAX_PLATFORMS"] = PLATFORM
if PLATFORM == "cpu":
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    if known(PATIENT):
        os.environ["XLA_FLAGS"] += f" {PATIENT}"
    # Nearly all the time of these tests is compilation: without optimizing it is a fifth. The goldens run as users' programs do.
    if not os.environ.get("OPTIMIZED"):
        os.environ["XLA_FLAGS"] += f" {flags()}"

import hypothesis  # noqa: E402
import pytest  # noqa: E402

# Examples may take as long as they take: other work on the machine is no defect.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def golden() -> Path:
    """What the released PyTorch implementation computed."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material that is not committed: the goldens' checkpoint files and public data."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared is not there")
    return folder


@pytest.fixture(scope="session")
def bpe(shared) -> Path:
    """The public BPE files of BART."""
    return shared / "data" / "bart-bpe"


@pytest.fixture(scope="session")
def tiny_bart(golden):
    """The goldens' model, in float32."""
    from quals_jax.checkpoints import fill
    from quals_jax.checkpoints.huggingface import load_huggingface

    config, tensors, _ = load_huggingface(golden / "tiny_bart_hf")
    return fill(config, tensors)


def pytest_addoption(parser):
    parser.addoption("--run-soak", action="store_true", help="run tests/soak too: what is too long for the suite")


def pytest_collection_modifyitems(config, items):
    """Leaves tests/soak out unless it is asked for."""
    if config.getoption("--run-soak"):
        return
    for item in items:
        if "soak" in item.path.relative_to(ROOT).parts:
            item.add_marker(pytest.mark.skip(reason="long: make soak"))
