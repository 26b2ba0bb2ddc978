"""`train.py` in processes of its own: from nothing to a folder, killed and gone on, and on two processes as on one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from quick_compilation import flags
from safetensors.numpy import load_file
from several import free_address

from quals_jax.checkpoints import load_checkpoint
from quals_jax.commands.gazette_tokenizer import save

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.command
ONE_DEVICE = os.environ | {"XLA_FLAGS": flags()}
SMALL = {
    "model.d_model": 32, "model.ffn_dim": 32, "model.layers": 1, "model.heads": 2, "model.dropout": 0.1, "steps": 16,
    "data.batch_size": 2, "data.copy_batches": 0, "checkpoint_every": 5, "log_every": 4, "eval_every": 0,
    "export": "last",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Where the runs of this file keep their compiled programs."""
    folder = tmp_path_factory.mktemp("cache")
    ONE_DEVICE["XDG_CACHE_HOME"] = str(folder)
    return folder / "quals_jax" / "compiled"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save(folder)
    return folder


def command(workdir, tokenizer, *extra):
    config = ROOT / "configs" / "gazette_qagen.py"
    small = [f"--config.{name}={value}" for name, value in SMALL.items()]
    wanted = [f"--config={config}", f"--workdir={workdir}", f"--config.model.tokenizer={tokenizer}"]
    return [sys.executable, str(ROOT / "train.py"), *wanted, *small, *extra]


def run(workdir, tokenizer, *extra, **options):
    return subprocess.run(
        command(workdir, tokenizer, *extra), capture_output=True, text=True, cwd=ROOT, env=ONE_DEVICE, **options
    )


@pytest.fixture(scope="module")
def unbroken(tokenizer, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "unbroken"
    result = run(workdir, tokenizer)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{workdir / 'model'}\n", "")
    return workdir


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def weights(workdir):
    return (workdir / "model" / "model.safetensors").read_bytes()


def test_the_folder_can_be_scored_with(unbroken):
    checkpoint = load_checkpoint(unbroken / "model")
    assert checkpoint.config.d_model == 32
    assert checkpoint.settings.connector_id == checkpoint.config.vocab_size - 1
    assert checkpoint.settings.max_source_tokens == 511
    pair = checkpoint.tokenizer.encode_pair("Who?", "Ann")
    assert checkpoint.settings.connector_id in pair
    stored = load_file(unbroken / "model" / "model.safetensors")
    assert {array.dtype for array in stored.values()} == {np.dtype("float16")}


def test_a_dry_run_writes_the_plan_and_refuses_what_does_not_fit(tokenizer, tmp_path):
    result = run(tmp_path, tokenizer, "--dry_run", "--memory=0.01")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "the device has 0.0" in result.stderr and "DOES NOT FIT" in result.stdout
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (plan["steps"], plan["fits"], plan["device_bytes"]) == (16, False, 10**7)
    assert not (tmp_path / "checkpoints").exists()


def test_torch_reads_the_folder_to_the_same_logits(unbroken):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.BartForConditionalGeneration.from_pretrained(unbroken / "model", dtype=torch.float32).eval()
    ours = load_checkpoint(unbroken / "model").model
    source, target = np.array([[5, 6, 7, 2]]), np.array([[2, 8, 9]])
    memory = ours.memory(ours.encode(source, source != 1), source != 1)
    logits = ours.logits(ours.decode(target[:, None], memory)[0])[:, 0]
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor(source), decoder_input_ids=torch.tensor(target)).logits
    np.testing.assert_allclose(logits, theirs.numpy(), atol=1e-4)


def test_transformers_reads_the_tokenizer(unbroken):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(unbroken / "model")
    ours = load_checkpoint(unbroken / "model").tokenizer
    text = "Marlen Tolvik paid 12 million crowns."
    assert theirs(text, add_special_tokens=False)["input_ids"] == ours.encode_pieces([text])[0]


def wait_for(condition, process, seconds=900):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_killed_and_started_again_it_ends_at_the_same_bytes(unbroken, tokenizer, tmp_path):
    workdir = tmp_path / "killed"
    process = subprocess.Popen(
        command(workdir, tokenizer), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=ONE_DEVICE
    )
    wait_for(lambda: list(workdir.glob("checkpoints/[0-9]*")), process)
    process.kill()
    process.wait()
    assert not (workdir / "model").exists()
    result = run(workdir, tokenizer)
    assert result.returncode == 0, result.stderr
    assert weights(workdir) == weights(unbroken)


def test_told_to_stop_it_saves_and_says_so(tokenizer, tmp_path):
    workdir = tmp_path / "stopped"
    changes = ("--config.steps=100000", "--config.checkpoint_every=100000")
    process = subprocess.Popen(
        command(workdir, tokenizer, *changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ONE_DEVICE,
    )
    wait_for(lambda: (workdir / "metrics.jsonl").exists() and (workdir / "metrics.jsonl").read_text(), process)
    second = run(workdir, tokenizer, *changes)
    assert second.returncode == 2 and "another run is at work there" in second.stderr
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 143
    steps = int(error.split("stopped after step ")[1].split(";")[0])
    assert (workdir / "checkpoints" / str(steps)).is_dir()
    result = run(workdir, tokenizer, *changes, "--export=last")
    assert result.returncode == 0, result.stderr
    assert load_checkpoint(workdir / "model").config.d_model == 32


def test_a_folder_of_another_run_is_refused(unbroken, tokenizer):
    result = run(unbroken, tokenizer, "--config.optimizer.learning_rate=1")
    assert result.returncode == 2
    assert "holds a run with optimizer.learning_rate=0.0015, not 1.0" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_summarizer_goes_on_from_a_folder(unbroken, tokenizer, tmp_path):
    rows = [{"document": f"Ann met Bob in town {number}.", "summary": f"Ann met {number}."} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run(
        tmp_path / "mle", tokenizer, "--config.kind=mle", f"--config.data.train=jsonl:{tmp_path / 'rows.jsonl'}",
        f"--config.data.validation=jsonl:{tmp_path / 'rows.jsonl'}", f"--config.model.initial={unbroken / 'model'}",
        "--config.label_smoothing=0.1", "--config.optimizer.accumulate=2", "--config.eval_every=8",
        "--config.export=best",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [row["step"] for row in metrics(tmp_path / "mle") if "validation_loss" in row] == [8, 16]
    assert load_checkpoint(tmp_path / "mle" / "model").settings.max_source_tokens == 511


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--config.data.train=squad:none.json", "none.json: No such file or directory"),
        ("--config.model.tokenizer=none", "none: holds no tokenizer"),
        ("--config.model.initial=./none", "none: there is no such file or folder"),
    ],
)
def test_an_error_of_the_users_is_one_line(tokenizer, tmp_path, change, message):
    result = run(tmp_path / "x", tokenizer, change)
    assert result.returncode == 2
    assert message in result.stderr and result.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def together(tokenizer, tmp_path_factory):
    """The same run on two processes of one device each, which write one checkpoint; the last three stay."""
    workdir = tmp_path_factory.mktemp("runs") / "two"
    address = free_address()
    processes = [
        subprocess.Popen(
            command(
                workdir, tokenizer, f"--coordinator={address}", "--num_processes=2", f"--process_id={number}",
                "--config.keep=3",
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=ONE_DEVICE,
        )
        for number in range(2)
    ]  # fmt: skip
    assert [process.wait(timeout=900) for process in processes] == [0, 0]
    return workdir


def losses_of(workdir):
    return [row["loss"] for row in metrics(workdir) if "loss" in row]


def test_two_processes_train_as_one_does(unbroken, together):
    """The same batches and the same dropout."""
    assert (together / "checkpoints" / "16").is_dir()
    assert len(losses_of(together)) == 4
    np.testing.assert_allclose(losses_of(together), losses_of(unbroken), rtol=1e-5)
    found, wanted = (load_file(path / "model" / "model.safetensors") for path in (together, unbroken))
    for name in wanted:  # Adam turns a gradient that is rounding noise into a step of full length: some weights differ
        assert np.abs(found[name].astype(float) - wanted[name].astype(float)).mean() < 1e-3


def test_one_process_goes_on_from_where_two_were(unbroken, together, tokenizer, tmp_path, cache):
    """As after a host was lost: the last checkpoint is of step 10, and of a machine that is no longer there."""
    workdir = shutil.copytree(together, tmp_path / "one")
    for later in ("15", "16"):
        shutil.rmtree(workdir / "checkpoints" / later)
    shutil.rmtree(workdir / "model")
    compiled = sorted(path.name for path in cache.glob("jit_train_step-*"))
    result = run(workdir, tokenizer)
    assert (result.returncode, result.stderr) == (0, "")
    assert [row["step"] for row in metrics(workdir) if "loss" in row] == [4, 8, 12, 16]
    np.testing.assert_allclose(losses_of(workdir), losses_of(unbroken), rtol=1e-5)
    # The step of one process was compiled for the run never stopped, and not again.
    assert compiled and sorted(path.name for path in cache.glob("jit_train_step-*")) == compiled


def begin(number, workdir, tokenizer, address, *changes, seconds=600):
    """One of two processes that train."""
    return subprocess.Popen(
        command(workdir, tokenizer, f"--coordinator={address}", "--num_processes=2", f"--process_id={number}", *changes),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=ONE_DEVICE | {"QUALS_JAX_COORDINATOR_SECONDS": str(seconds)},
    )  # fmt: skip


def test_who_is_left_alone_ends_soon_with_one_line_and_status_75(tokenizer, tmp_path):
    address, workdir = free_address(), tmp_path / "two"
    first, second = (begin(n, workdir, tokenizer, address, "--config.steps=1000000") for n in range(2))
    wait_for((workdir / "metrics.jsonl").exists, first)
    second.kill()
    _, error = first.communicate(timeout=600)
    second.communicate()
    assert first.returncode == 75
    assert error == "train.py: another process is gone; the same command goes on from what is saved\n"


def test_a_coordinator_that_never_comes_is_waited_for_no_longer_than_said(tokenizer, tmp_path):
    address = free_address()
    alone = begin(1, tmp_path / "alone", tokenizer, address, seconds=2)
    _, error = alone.communicate(timeout=600)
    assert alone.returncode == 75
    assert (
        error == f"train.py: the coordinator did not come to {address} within 2 seconds; the same command tries again\n"
    )
