"""python -m ctc_tutorial, as a reader runs it."""

import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.io import wavfile

from ctc_tutorial import load_sentence, read_wav
from ctc_tutorial.data.sentence import BUNDLED


def run(*arguments, cwd=None, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "ctc_tutorial", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


def decoded(output: str) -> list[str]:
    return [line.split("  ", 1)[1] for line in output.splitlines() if line.startswith("decoded")]


SENTENCES = ["she had your dark suit in greasy wash water all year", "dark suit in greasy"]


@pytest.mark.slow
@pytest.mark.training
@pytest.mark.parametrize("recording", ["bundled", "ldc93s1"])
def test_both_recordings_are_read_back(recording, tmp_path, request, training_seed):
    environment = {}
    if recording == "ldc93s1":
        request.getfixturevalue("ldc93s1")
        from conftest import RECORDINGS

        environment.setdefault("CTC_TUTORIAL_DATA", str(RECORDINGS))
    plot, model = tmp_path / "job.png", tmp_path / "job.keras"
    options = ("--recording", recording, "--seed", str(training_seed))
    job = run(*options, "--plot", plot, "--save", model, **environment)
    assert job.returncode == 0, job.stderr
    assert decoded(job.stdout) == SENTENCES
    assert job.stdout.count("label error rate  0.000") == 2
    assert "training steps in" in job.stdout and "━" in job.stdout  # the progress bar
    (pointed,) = [line for line in job.stdout.splitlines() if line.startswith("aligner")]
    if recording == "bundled":
        assert int(re.search(r"(\d+)% of the letters lie in their word", pointed)[1]) >= 90
    else:
        assert "not checked" in pointed
    assert plot.read_bytes()[:4] == b"\x89PNG" and plot.stat().st_size > 20_000

    import keras

    batch = {"features": np.zeros((1, 7, 13), np.float32), "feature_length": np.array([7])}
    outputs = keras.saving.load_model(model).predict(batch, verbose=0)
    assert outputs["logits"].shape == (1, 7, 28) and outputs["logit_length"].tolist() == [7]


@pytest.mark.slow
def test_own_stereo_recording_at_another_rate(tmp_path, command_here):
    waveform, rate = read_wav(BUNDLED)
    part = np.repeat(waveform[int(0.8 * rate) : int(1.5 * rate)], 2).astype(np.int16)
    wavfile.write(tmp_path / "mine.wav", 2 * rate, np.stack([part, part], axis=1))
    arguments = ("--wav", "mine.wav", "--text", "Dark Suit", "--steps", 400, "--plot", "mine.png")
    job = command_here(*arguments, cwd=tmp_path)
    assert job.returncode == 0, job.stderr
    assert "not checked" in job.stdout and (tmp_path / "mine.png").stat().st_size > 20_000
    assert decoded(job.stdout) == ["dark suit"]


@pytest.fixture
def wav(tmp_path):
    utterance = load_sentence()
    wavfile.write(tmp_path / "mine.wav", 16000, utterance.waveform[:8000].astype(np.int16))
    wavfile.write(tmp_path / "silence.wav", 16000, np.zeros(8000, np.int16))
    wavfile.write(tmp_path / "nothing.wav", 16000, np.zeros(0, np.int16))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "notes.wav").write_text("not a recording", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wav", "none.wav", "--text", "she"], "none.wav"),
        (["--wav", ".", "--text", "she"], "directory"),
        (["--wav", "mine.wav"], "--wav and --text go together"),
        (["--text", "she"], "--wav and --text go together"),
        (["--wav", "mine.wav", "--text", "she had 2"], "'2' at position 8"),
        (["--wav", "mine.wav", "--text", ""], "--text is empty"),
        (["--wav", "mine.wav", "--text", "she had your dark suit " * 4], "has 49 logit frames but"),
        (["--wav", "empty.wav", "--text", "she"], "empty.wav is not a wav file"),
        (["--wav", "nothing.wav", "--text", "she"], "nothing.wav holds no sound"),
        (["--wav", "silence.wav", "--text", "she"], "the waveform is constant"),
        (["--wav", "notes.wav", "--text", "she"], "notes.wav is not a wav file"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--steps", "many"], "invalid int value"),
        (["--plot", "job.docx"], "must end in .png"),
        (["--save", "model.h5"], "must end in .keras"),
        (["--plot", "no/such/folder/job.png"], "can't be written"),
        (["--recording", "timit"], "invalid choice"),
    ],
)
def test_what_can_not_be_done_is_one_line(wav, command_here, arguments, message):
    job = command_here(*arguments, cwd=wav)
    assert job.returncode == 2 and message in job.stderr
    lines = [line for line in job.stderr.splitlines() if not line.startswith(("usage:", " "))]
    assert len(lines) == 1
    assert job.stdout == ""


def test_offline_without_the_recording(tmp_path):
    job = run("--recording", "ldc93s1", CTC_TUTORIAL_DATA=str(tmp_path), https_proxy="127.0.0.1:9")
    assert job.returncode == 2 and "Traceback" not in job.stderr
    assert len(job.stderr.splitlines()) == 1 and "put both into" in job.stderr


@pytest.mark.slow
def test_the_first_step_is_traced_once(monkeypatch):
    """As Keras would not: it makes the optimizer's variables in the first trace."""
    from ctc_tutorial.__main__ import main
    from ctc_tutorial.models import LabelsAsInput

    traces, train_step = [], LabelsAsInput.train_step
    monkeypatch.setattr(
        LabelsAsInput, "train_step", lambda *given: traces.append(given) or train_step(*given)
    )
    assert main(["--steps", "2"]) == 0
    assert len(traces) == 1
