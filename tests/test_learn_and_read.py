"""`python -m ctc_tutorial learn` and `read`: whole jobs, and those killed, as processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from scipy.io import wavfile

from ctc_tutorial import Recordings, load_voices, make_practice_folder
from ctc_tutorial._learn import _choose

OLD_TENSORFLOW = tf.__version__.startswith("2.18")  # no setting stops its first lines
COMMAND = [sys.executable, "-m", "ctc_tutorial"]


def environment():
    # As behind a pipe on Windows: a code page that has neither the progress bar nor most alphabets.
    return {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUNBUFFERED": "1"}


def run(*arguments, cwd):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(),
    )


def bars(output):
    """Epochs that ended: lines of the progress bar with a value for the held-back recordings."""
    return re.findall(r"val_ler: ([\d.]+)", output)


def weights(path):
    import keras

    return keras.saving.load_model(path).get_weights()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A practice folder of synthetic voices, and one without bad recordings."""
    path = tmp_path_factory.mktemp("practice")
    voices, _ = load_voices(path / "nowhere")
    voices = {name: voices[name] for name in list(voices)[:5]}
    table = make_practice_folder(path, voices, count=40, seed=0)
    lines = table.read_text(encoding="utf-8").splitlines()
    shutil.copytree(path, path / "good")
    (path / "good" / "transcripts.csv").write_text("\n".join(lines[:41]), encoding="utf-8")
    return path


def messages(stderr):
    """Its lines, without those that TensorFlow 2.18 writes when it starts."""
    start_up = r"WARNING: All log messages before absl|[IWE]\d{4} |I0000"
    return [line for line in stderr.splitlines() if not re.match(start_up, line)]


@pytest.fixture(scope="module")
def whole(folder):
    """A training that nobody interrupts: the process, and the model's path."""
    job = run("learn", folder / "good", "--save", "whole.keras", "--steps", 150, cwd=folder)
    return job, folder / "whole.keras"


@pytest.mark.slow
def test_a_folder_is_learnt_and_a_new_file_is_read(whole, folder):
    job, model = whole
    assert job.returncode == 0 and not messages(job.stderr), job.stderr
    assert len(bars(job.stdout)) == 2 and "━" in job.stdout  # two epochs, with progress bars
    assert "40 recordings" in job.stdout and "held back: voice" in job.stdout
    assert "numerals are learnt as characters" in job.stdout
    assert not (folder / "whole.keras.training").exists()

    new = folder / "voice01" / "0001.wav"
    new = new if new.exists() else next((folder / "voice01").iterdir())
    job = run("read", model, new, cwd=folder)
    assert job.returncode == 0
    assert job.stderr == "" or (OLD_TENSORFLOW and not messages(job.stderr)), job.stderr
    name, text, confidence = job.stdout.rstrip("\n").split("\t")
    assert name == str(new) and 0 <= float(confidence) <= 1
    assert set(text) <= set(" 0123456789efghinorstuvwxz")


@pytest.mark.slow
def test_bad_files_are_named_and_the_others_go_on(whole, folder, command_here):
    job = command_here("learn", folder, "--save", "m.keras", "--steps", 2, cwd=folder)
    assert job.returncode == 1 and (folder / "m.keras").exists()
    left_out = messages(job.stderr)
    assert len(left_out) == 6 and all(
        line.startswith("ctc_tutorial: left out: ") for line in left_out
    )

    good = sorted(p for p in (folder / "voice00").iterdir() if p.suffix == ".wav")[:2]
    files = [good[0], "none.wav", "notes.wav", good[1]]
    job = command_here("read", folder / "whole.keras", *files, cwd=folder)
    assert job.returncode == 1
    assert [line.split("\t")[0] for line in job.stdout.splitlines()] == [str(p) for p in good]
    assert "none.wav" in job.stderr and "notes.wav" in job.stderr
    assert len(job.stderr.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other pipes")
def test_nobody_reads_what_it_reads(whole, folder):
    """As behind `| head`: it stops without a word, and blames no recording."""
    new = next(p for p in (folder / "voice00").iterdir() if p.suffix == ".wav")
    out, into = os.pipe()
    os.close(out)
    job = subprocess.run(
        [*COMMAND, "read", str(folder / "whole.keras"), *[str(new)] * 3],
        stdout=into,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    os.close(into)
    assert job.returncode == 1 and not messages(job.stderr)


def start(folder, save, steps):
    """A process that learns, and a function that waits until some epochs have ended."""
    job = subprocess.Popen(
        [*COMMAND, "learn", "good", "--save", save, "--steps", str(steps)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=environment(),
    )
    seen = ""

    def wait_for(epochs):
        nonlocal seen
        while len(bars(seen)) < epochs:
            character = job.stdout.read(1)
            assert character, seen + job.stderr.read()
            seen += character

    return job, wait_for


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_killed_it_goes_on_and_ends_where_it_would_have_ended(whole, folder, command_here):
    expected, model = whole
    # Killed as soon as the first of the two epochs is saved.
    job, _ = start(folder, "killed.keras", steps=150)
    backup = folder / "killed.keras.training" / "backup" / "training_metadata.json"
    while not (backup.exists() and backup.stat().st_size):
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.01)
    job.kill()
    job.communicate()
    assert not (folder / "killed.keras").exists()

    # And in the worst moment: while it wrote the next backup, of which a part is there.
    latest = backup.with_name("latest.weights.h5")
    for file in (latest, backup):
        shutil.copy(file, f"{file}.bkp")
    latest.write_bytes(latest.read_bytes()[:1000])
    again = command_here("learn", "good", "--save", "killed.keras", "--steps", 150, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "going on after epoch 1 of 2" in again.stdout and len(bars(again.stdout)) == 1
    assert bars(again.stdout)[-1] == bars(expected.stdout)[-1]
    for a, b in zip(weights(model), weights(folder / "killed.keras"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_ctrl_c_keeps_the_best_model(folder, command_here):
    job, wait_for = start(folder, "stopped.keras", steps=5000)
    wait_for(epochs=1)
    job.send_signal(signal.SIGINT)
    out, err = job.communicate()
    assert job.returncode == 0 and "Traceback" not in err, err
    # More epochs may have ended before the signal arrived.
    assert re.search(r"the best weights are those of epoch \d", out)
    assert "the same command goes on" in out
    job = command_here("read", "stopped.keras", "voice00/0000.wav", cwd=folder)
    assert job.returncode in (0, 1)
    assert (folder / "stopped.keras.training").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["learn", "nowhere", "--save", "m.keras"], "nowhere holds no transcripts.csv, or is no"),
        (["learn", "single", "--save", "silent.keras"], "silent.keras is a folder"),
        (["learn", "pair", "--save", "o.keras"], "o.keras.training is needed for the training"),
        (["learn", "."], "--save"),
        (["learn", "silent", "--save", "m.keras"], "not one recording is good"),
        (["learn", "single", "--save", "m.keras"], "1 recordings can't be divided"),
        (["learn", "single", "--save", "m.h5"], "must end in .keras"),
        (["learn", "single", "--save", "no/where/m.keras"], "can't be written"),
        (["learn", "single", "--save", "m.keras", "--steps", "0"], "at least 1"),
        (["read", "none.keras", "one.wav"], "there is no file none.keras"),
        (["read", "half.keras", "one.wav"], "half.keras is no saved model, or only half of one"),
        (["read", "zip.keras", "one.wav"], "zip.keras is no saved model that can be loaded"),
        (["read", "one.wav", "one.wav"], "one.wav is no saved model"),
    ],
)
def test_what_can_not_be_done_is_one_line(tmp_path, command_here, arguments, message):
    sounds = {"silent": np.zeros(8000), "single": np.arange(8000.0), "pair": np.arange(8000.0)}
    for name, sound in sounds.items():
        (tmp_path / name).mkdir()
        for file in ("one.wav", "two.wav"):
            wavfile.write(tmp_path / name / file, 8000, sound.astype(np.int16))
        table = "path,text\none.wav,on\n" + ("two.wav,no\n" if name == "pair" else "")
        (tmp_path / name / "transcripts.csv").write_text(table, encoding="utf-8")
    shutil.copy(tmp_path / "single" / "one.wav", tmp_path)
    for name in ("silent.keras", "o.keras.training"):
        (tmp_path / name).mkdir()
    (tmp_path / "o.keras.training" / "thesis.txt").write_text("of years")
    (tmp_path / "half.keras").write_bytes(b"PK half of an archive")
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("a.txt", "something else")
    job = command_here(*arguments, cwd=tmp_path)
    assert job.returncode == 2
    last = job.stderr.splitlines()[-1]
    assert message in last and "Traceback" not in job.stderr, job.stderr
    assert (tmp_path / "o.keras.training" / "thesis.txt").exists()


def test_a_model_without_an_alphabet_is_refused(tmp_path, command_here):
    import keras

    x = keras.Input((3,))
    keras.Model(x, keras.layers.Dense(2)(x)).save(tmp_path / "other.keras")
    job = command_here("read", "other.keras", "one.wav", cwd=tmp_path)
    assert job.returncode == 2 and "holds no alphabet" in job.stderr
    assert "other.keras is no model that `learn` saved" in job.stderr


@pytest.mark.parametrize(
    ("frames", "encoder", "left_out"),
    [
        ([40] * 100, "audio", 0),  # ten characters, ten frames of four
        ([40] * 99 + [39], "audio", 1),
        ([40] * 97 + [39] * 3, "lstm", 0),
    ],
)
def test_the_encoder_is_one_that_leaves_frames_enough(frames, encoder, left_out):
    features = [np.zeros((count, 13), np.float32) for count in frames]
    paths = [f"{i}.wav" for i in range(100)]
    recordings = Recordings(
        paths, features, ["abcdefghij"] * 100, ["ann"] * 100, 8000, "abcdefghij", Counter()
    )
    chosen, kept, problems = _choose(recordings)
    assert (chosen, len(problems), len(kept.texts)) == (encoder, left_out, 100 - left_out)
    assert kept.paths == paths[: 100 - left_out] and len(kept.features) == len(kept.paths)
    assert all("99.wav is spoken too fast" in problem for problem in problems)


@pytest.mark.slow
def test_fast_speech_is_learnt_by_an_lstm(tmp_path, command_here):
    noise = np.random.default_rng(0).normal(size=(4, 3000)) * 1000
    for i, sound in enumerate(noise):
        wavfile.write(tmp_path / f"{i}.wav", 8000, sound.astype(np.int16))
    lines = [f"{i}.wav,a text of seventeen" for i in range(4)]  # 0.4 s
    table = "\n".join(["path,text", *lines])
    (tmp_path / "transcripts.csv").write_text(table, encoding="utf-8")
    job = command_here("learn", ".", "--save", "m.keras", "--steps", 1, cwd=tmp_path)
    assert job.returncode == 0, job.stderr
    assert "bidirectional LSTM" in job.stdout and "one speaker: 1 of the" in job.stdout
    job = command_here("read", "m.keras", "0.wav", cwd=tmp_path)
    assert job.returncode == 0 and job.stdout.startswith("0.wav\t")
