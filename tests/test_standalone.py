"""Every helper works when it is copied alone into an empty folder; the package loads lazily."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ctc_tutorial"

# What a reader would do with the copied file, each in a process of its own.
USES = {
    "text": """
from text import Alphabet
assert Alphabet("ab").decode(Alphabet("ab").encode("abba")) == "abba"
""",
    "speech": """
import numpy as np
from speech import Utterance, mfcc_features
tone = Utterance(1000 * np.sin(np.arange(8000)), 8000, "a")
assert mfcc_features(tone.samples, tone.sample_rate).shape == (99, 13)
""",
    "batches": """
import numpy as np
from batches import check_feasible, pad_features, repeat_batch, sparse_labels
x, lengths = pad_features([np.ones((5, 2)), np.ones((3, 2))])
check_feasible([[0, 0], [1]], lengths, 3)
assert x.shape == (2, 5, 2) and sparse_labels([[0, 0], [1]]).shape == (2, 2)
assert next(iter(repeat_batch(x)))[0].shape == (2, 5, 2)
""",
    "layers": """
import numpy as np, keras, tensorflow as tf
from layers import CTCLossLayer
x = keras.Input((None, 2)); y = keras.Input((None,), sparse=True, dtype="int32")
n = keras.Input((), dtype="int32")
model = keras.Model([x, y, n], CTCLossLayer()(keras.layers.Dense(3)(x), y, n))
model.compile("sgd")
labels = tf.sparse.from_dense([[1, 1], [1, 0]])
history = model.fit([np.ones((2, 4, 2)), labels, np.array([4, 2])], verbose=0).history
assert set(history) == {"loss", "ler"} and np.isfinite(history["loss"][0])
""",
    "models": """
import numpy as np
from models import build_models
train, predict = build_models(4, 3, units=5, seed=0)
assert [i.name for i in train.inputs] == ["features", "labels", "feature_length"]
assert predict.predict(np.ones((2, 7, 4)), verbose=0).shape == (2, 7, 3)
""",
    "recurrent": """
import numpy as np
from recurrent import LSTM
assert LSTM(5, return_sequences=True)(np.ones((2, 7, 4))).shape == (2, 7, 5)
""",
    "decoding": """
import numpy as np
from decoding import beam_search_decode, greedy_decode, label_error_rate
((best,),) = beam_search_decode(np.log([[[0.4, 1e-9, 0.6]] * 2]), np.array([2]))
assert best.ids.tolist() == [0]
ids = greedy_decode(np.eye(3)[[[0, 0, 2, 1]]], np.array([4]))
assert ids[0].tolist() == [0, 1] and label_error_rate([[0, 1]], ids) == 0
""",
    "losses": """
import numpy as np
from losses import ctc_loss
loss = ctc_loss(np.log([[[0.4, 1e-9, 0.6]] * 2]), [[0]], [2], [1])
np.testing.assert_allclose(np.exp(-loss), [0.64], rtol=1e-5)
""",
    "records": """
import numpy as np
from records import read_records, write_records
paths = write_records([(np.full((2, 3), i, np.float32), [i]) for i in range(5)], "shards", 2)
read = list(read_records(paths)())
assert sorted(int(ids[0]) for _, ids in read) == list(range(5)) and len(paths) == 3
assert all(features.shape == (2, 3) and features[0, 0] == ids[0] for features, ids in read)
""",
    "distributed": """
import keras, numpy as np, tensorflow as tf
from distributed import SumThenClip, train_in_rounds
class SGD(SumThenClip, keras.optimizers.SGD):
    pass
class Energy(keras.layers.Layer):
    def call(self, x):
        self.add_loss(tf.reduce_mean(x**2))
        return x
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), Energy()])
model.compile(SGD(0.1, global_clipnorm=1.0))
data = tf.data.Dataset.from_tensors((np.ones((4, 2), np.float32),))
for rounds, numbers in ((2, [1, 2]), (3, [3])):
    done = train_in_rounds(model, tf.distribute.get_strategy(), lambda n: data, rounds, "saved")
    assert [number for number, _ in done] == numbers
""",
    "lattice": """
import numpy as np
from lattice import align, forward_backward, spans_to_seconds
logits = np.log([[0.4, 1e-9, 0.6]] * 2)
np.testing.assert_allclose(np.exp(-forward_backward(logits, [0]).loss), 0.64)
assert spans_to_seconds(align(logits, [0]).spans, 0.01)[0].id == 0
""",
    "encoders": """
import keras, numpy as np
from encoders import audio_encoder, build_encoder_models, image_encoder, strided_length
class PassThrough(keras.layers.Layer):
    def call(self, logits, labels, logit_length):
        return logits
for encoder, stride in ((audio_encoder, 4), (image_encoder, 2)):
    _, predict = build_encoder_models(encoder, 12, 3, PassThrough())
    out = predict({"features": np.ones((2, 9, 12)), "feature_length": np.array([9, 5])})
    assert out["logits"].shape == (2, 9 // stride, 3)
    assert out["logit_length"].numpy().tolist() == [9 // stride, 5 // stride]
assert strided_length(9, 2, 2, "same") == 5
""",
    "training": """
import keras, numpy as np
from training import DecodedSamples, completed_epochs
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
lines = []
x = np.ones((1, 2))
show = DecodedSamples(model, x, ["a"], lambda y: ["b"] * len(y), print_fn=lines.append)
model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[show])
assert len(lines) == 4 and lines[1] == lines[3] == "    'a' -> 'b'"
assert completed_epochs("nowhere") == 0
""",
    "digit_strings": """
import numpy as np
from digit_strings import digit_strings
(image,), (label,) = digit_strings(1, "train", seed=0, min_digits=4, max_digits=4)
assert image.shape[0] == 12 and image.max() > 0.5 and len(label) == 4
""",
    "spoken_numbers": """
from spoken_numbers import WORDS, spoken_numbers
(recording,), (text,), (voice,) = spoken_numbers(1, "train", seed=0)
assert len(recording) > 4000 and 0 <= voice < 20 and set(text.split()) <= set(WORDS)
""",
    "transcripts": """
from pathlib import Path
from transcripts import read_transcripts
Path("a.wav").touch()
Path("table.csv").write_text("path,text\\na.wav,hello\\n")
((path, text),) = read_transcripts("table.csv")
assert path == Path("a.wav") and text == "hello"
""",
    "mistakes": """
import matplotlib; matplotlib.use("agg")
from mistakes import confusions, edit_path, plot_confusions
assert edit_path("ab", "b") == [("a", None), ("b", "b")]
plot_confusions(confusions([[0, 1]], [[1]], 2), "ab").figure.savefig("x.png")
""",
    "aligner": """
import numpy as np, tensorflow as tf
from aligner import middle_frames, share_in_words, train_aligner
def loss_fn(logits, labels, logit_length, label_length):
    return tf.nn.ctc_loss(
        labels, logits, label_length, logit_length, logits_time_major=False, blank_index=-1
    )
features = np.eye(2)[None, [0, 0, 1, 1]]
labels = tf.sparse.from_dense([[1]])
logits = train_aligner(features, labels, [4], 3, loss_fn, windows=(1, 3))
assert logits.shape == (1, 4, 3) and set(logits[0].argmax(axis=1)) == {1, 2}
(frame,) = middle_frames(logits[0], [(1, 2, 4, 0.0)])
assert share_in_words("a", [frame], [("a", 2, 4)]) == 1
""",
    "picture": """
import matplotlib; matplotlib.use("agg")
import numpy as np
from picture import plot_utterance
plot_utterance(np.ones(800), 8000, np.eye(3)[[0, 2, 1]], "ab", [("a", 0, 0.01)]).savefig("x.png")
""",
    "plots": """
import matplotlib; matplotlib.use("agg")
import numpy as np
from plots import plot_emissions, plot_features, plot_history
plot_features(np.ones((9, 13)))
plot_emissions(np.eye(3)[[0, 2, 1]], "ab")
plot_history({"loss": [2.0, 1.0], "ler": [1.0, 0.5]})
""",
}

# What belongs to a module and is copied with it, into a folder `data` beside it.
NEIGHBOURS = {"models": ["layers", "recurrent"]}  # copied with it
DATA = {"spoken_numbers": ["spoken_digits.npz"]}


def run(code: str, folder: Path) -> subprocess.CompletedProcess:
    forbid = "import sys; sys.modules['ctc_tutorial'] = None\n"
    return subprocess.run(
        [sys.executable, "-c", forbid + code],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


def test_every_module_is_tried():
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert modules == set(USES)


@pytest.mark.parametrize("module", USES)
def test_copied_alone(module, tmp_path):
    for name in (module, *NEIGHBOURS.get(module, ())):
        shutil.copy(PACKAGE / f"{name}.py", tmp_path)
    for name in DATA.get(module, ()):
        (tmp_path / "data").mkdir()
        shutil.copy(PACKAGE / "data" / name, tmp_path / "data")
    result = run(USES[module], tmp_path)
    assert result.returncode == 0, result.stderr


def test_models_say_what_else_to_copy(tmp_path):
    shutil.copy(PACKAGE / "models.py", tmp_path)
    result = run("import models", tmp_path)
    assert "ImportError: copy layers.py and recurrent.py beside models.py" in result.stderr


@pytest.mark.parametrize(
    "module",
    [
        "aligner",
        "batches",
        "distributed",
        "encoders",
        "layers",
        "losses",
        "models",
        "records",
        "recurrent",
        "training",
    ],
)
def test_without_tensorflow_the_package_to_install_is_named(module):
    code = f"import sys; sys.modules['tensorflow'] = None\nimport ctc_tutorial.{module}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "ModuleNotFoundError: this module needs TensorFlow: pip install" in result.stderr


def test_importing_the_package_is_cheap():
    code = (
        "import sys, ctc_tutorial; ctc_tutorial.Alphabet; ctc_tutorial.greedy_decode\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
        "assert all(getattr(ctc_tutorial, name) for name in ctc_tutorial.__all__)\n"
        "assert 'tensorflow' in sys.modules and dir(ctc_tutorial) == ctc_tutorial.__all__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
