import json

from quals_jax.report.training_curve import curve, plot_training


def test_it_draws_what_there_is(tmp_path):
    metrics, picture = tmp_path / "metrics.jsonl", tmp_path / "curve.png"
    assert not plot_training(picture, metrics) and not picture.exists()
    rows = [
        {"step": 2, "loss": 3.0},
        {"step": 4, "validation_loss": 2.5, "validation/quals": -0.5},
        {"step": 4, "loss": 2.0},
    ]
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curve(rows, "loss") == [(2, 3.0), (4, 2.0)] and curve(rows, "validation/quals") == [(4, -0.5)]
    assert plot_training(picture, metrics)
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    width = int.from_bytes(content[16:20], "big")
    metrics.write_text(json.dumps(rows[0]) + "\n")
    plot_training(picture, metrics)
    assert int.from_bytes(picture.read_bytes()[16:20], "big") * 2 == width  # without QUALS there is one panel
