"""What comes with the package is found from any folder."""

import shutil
from pathlib import Path

import pytest

from quals_jax.checkpoints import load_checkpoint
from quals_jax.commands.train import parse
from quals_jax.shipped import ASSETS, shipped
from quals_jax.tokenizer import Tokenizer
from quals_jax.wordpiece import PairTokenizer

ROOT = Path(__file__).parents[1]


def test_models_and_configurations_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped("quals_jax/assets/gazette_mle").samefile(ROOT / "quals_jax/assets/gazette_mle")
    for name in ("configs/gazette_mle.py", "gazette_mle.py"):
        assert shipped(name).samefile(ROOT / "configs/gazette_mle.py")
    for name in (
        "configs/absent.py",
        "other/gazette_mle.py",
        "quals_jax/assets/absent",
        "facebook/bart-large",
        "x" * 5000,
    ):
        assert shipped(name) == Path(name)
    assert Tokenizer.from_pretrained("quals_jax/assets/gazette_qagen").decode([5]) != ""
    Path("gazette_mle.py").write_text("own")
    assert shipped("gazette_mle.py") == Path("gazette_mle.py")  # what lies here comes first


def test_the_embedded_models_share_one_tokenizer(tmp_path):
    holding = [path.parent.name for path in ASSETS.glob("*/tokenizer.json")]
    assert holding == ["gazette_qagen"], (
        'the others name it in config.json: "quals_jax": {"tokenizer": "gazette_qagen"}'
    )
    text, ids = "Marlen Tolvik won 14 March.", None
    for folder in sorted(path.parent for path in ASSETS.glob("*/config.json")):
        encoder = "Bert" in (folder / "config.json").read_text()
        found = PairTokenizer.from_pretrained(folder) if encoder else load_checkpoint(folder).tokenizer
        own = found.encode([text])[0].ids if encoder else found.encode_pieces([text])[0]
        ids = ids or own
        assert own == ids and found.folder == ASSETS / "gazette_qagen"
    shutil.copytree(ASSETS / "gazette_mle", tmp_path / "copy")  # beside which there is no such model
    shutil.copytree(ASSETS / "gazette_qagen", tmp_path / "gazette_qagen")
    with pytest.raises(ValueError, match="copy: holds no tokenizer.*with --tokenizer"):
        load_checkpoint(tmp_path / "copy")
    assert load_checkpoint(tmp_path / "copy", tokenizer=tmp_path / "gazette_qagen").tokenizer.encode_pieces([text]) == [
        ids
    ]


@pytest.mark.parametrize("form", [["--config", "configs/gazette_mle.py"], ["--config=gazette_mle.py"]])
def test_train_takes_a_configuration_that_came_with_the_package(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, options = parse([*form, "--workdir", "out", "--config.seed=7"])
    assert config.seed == 7 and options.workdir == "out"
