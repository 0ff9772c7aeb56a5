"""Several devices train to the weights of one: MirroredStrategy, in `fit`; and rounds as `fit`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial import train_in_rounds

pytestmark = pytest.mark.slow

# In a process of its own: devices can be configured only before TensorFlow starts.
MIRRORED = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import ctc_tutorial as ctc

random = np.random.default_rng(0)
features = random.normal(size=(8, 20, 3)).astype("float32")
labels = random.integers(0, 5, (8, 4), dtype="int32")
frames = np.array([20, 11, 14, 20, 9, 20, 18, 16], "int32")
lengths = np.array([4, 1, 3, 4, 2, 4, 1, 2], "int32")

def data():
    names = "features", "labels", "feature_length", "label_length"
    parts = [slice(0, 4), slice(4, 7), slice(7, 8)]  # rows: 2 and 2, 2 and 1, 1 and none
    batches = [[x[part] for x in (features, labels, frames, lengths)] for part in parts]
    sets = [tf.data.Dataset.from_tensors(dict(zip(names, batch))) for batch in batches]
    return sets[0].concatenate(sets[1]).concatenate(sets[2])

class Summed(ctc.SumThenClip, keras.optimizers.SGD):
    pass

def train(strategy, infeasible, optimizer=keras.optimizers.SGD, **clip):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        x, ids, t, n = inputs = [
            keras.Input((None, 3), name="features"),
            keras.Input((None,), dtype="int32", name="labels"),
            keras.Input((), dtype="int32", name="feature_length"),
            keras.Input((), dtype="int32", name="label_length"),
        ]
        logits = keras.layers.Dense(6)(keras.layers.Dense(5, "tanh")(x))
        layer = ctc.CTCLossLayer(infeasible)
        model = keras.Model({i.name: i for i in inputs}, layer(logits, ids, t, n))
        model.compile(optimizer(0.05, momentum=0.9, **clip))
    return model, model.fit(data(), epochs=3, verbose=0).history

def distance(some, others):
    pairs = zip(some.get_weights(), others.get_weights(), strict=True)
    return max(abs(a - b).max() for a, b in pairs)

one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2

def compare(infeasible, names):
    (expected, *numbers), (found, *same) = train(one, infeasible), train(two, infeasible)
    assert distance(found, expected) < 1e-5
    for model, values in ((expected, numbers), (found, same)):
        values.append(model.evaluate(data(), verbose=0, return_dict=True))
    assert set(numbers[0]) == names
    for a, b in zip(numbers, same, strict=True):
        if infeasible == "skip":
            a.pop("loss")  # Keras weighs the means of replicas by their rows, skipped ones too
        if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12):
            a = {}  # its metrics are not those of all replicas
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, err_msg=name)

compare("raise", {"loss", "ler"})
clip = {"global_clipnorm": 1.0}
expected = train(one, "raise", **clip)[0]
assert distance(train(two, "raise", Summed, **clip)[0], expected) < 1e-5
assert distance(train(two, "raise", **clip)[0], expected) > 1e-3  # Keras clips, then adds up

lengths[[1, 4, 7]] = 0, 4, 0  # the third is the whole batch of a device
frames[4] = 3  # too few for 4 labels
compare("skip", {"loss", "ler", "skipped"})
try:
    train(two, "raise")
except tf.errors.InvalidArgumentError as error:
    assert "CTC cannot align utterance" in str(error)
else:
    raise AssertionError("an utterance that no path explains")
"""

CLIPPED = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ctc_tutorial.distributed import SumThenClip

class Summed(SumThenClip, keras.optimizers.SGD):
    pass

random = np.random.default_rng(0)
shares = [[random.normal(size=(2, 3)), 3 * random.normal(size=4)] for _ in range(2)]
total = [a + b for a, b in zip(*shares, strict=True)]
norms = [np.sqrt(np.sum(x**2)) for x in total]
assert min(norms) > 2
cases = [
    ({}, total),
    ({"clipvalue": 0.5}, [np.clip(x, -0.5, 0.5) for x in total]),
    ({"clipnorm": 2.0}, [x * 2 / n for x, n in zip(total, norms)]),
    ({"global_clipnorm": 2.0}, [x * 2 / np.hypot(*norms) for x in total]),
    ({"global_clipnorm": 1e3}, total),
    ({"clipnorm": 2.0, "loss_scale_factor": 64.0}, [x * 2 / n for x, n in zip(total, norms)]),
]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for clip, expected in cases:
    with strategy.scope():
        variables = [keras.Variable(np.zeros(x.shape), dtype="float32") for x in total]
        optimizer = Summed(1.0, **clip)
        optimizer.build(variables)
    scale = clip.get("loss_scale_factor", 1.0)  # that the gradient comes with
    per_replica = strategy.experimental_distribute_values_from_function(
        lambda c: [tf.constant(scale * x, tf.float32) for x in shares[c.replica_id_in_sync_group]]
    )
    strategy.run(tf.function(lambda g: optimizer.apply(g, variables)), args=(per_replica,))
    for v, x in zip(variables, expected, strict=True):
        np.testing.assert_allclose(v.numpy(), -x, atol=1e-6)

    single = keras.optimizers.SGD(1.0, **clip), Summed(1.0, **clip)
    ends = []
    for optimizer in single:
        v = keras.Variable(np.ones(4), dtype="float32")
        optimizer.apply([tf.constant(total[1], tf.float32)], [v])
        ends.append(v.numpy())
    np.testing.assert_array_equal(*ends)

# An unused weight, and an embedding's gradient, which is that of a few rows.
with strategy.scope():
    table, unused = (keras.Variable(np.zeros((4, 2)), dtype="float32") for _ in range(2))
    optimizer = Summed(1.0, global_clipnorm=5.0)
    optimizer.build([table, unused])
def step():
    row = tf.distribute.get_replica_context().replica_id_in_sync_group
    rows = tf.IndexedSlices(tf.constant([[3.0, 4.0]]), [row], [4, 2])
    optimizer.apply([rows, None], [table, unused])
strategy.run(tf.function(step))
norm = np.sqrt(50)
np.testing.assert_allclose(table.numpy(), [[-15 / norm, -20 / norm]] * 2 + [[0, 0]] * 2, rtol=1e-6)
assert not unused.numpy().any()
"""


def test_the_gradient_of_the_whole_batch_is_clipped():
    """Against NumPy's clipping of the sum, by each of Keras's three limits."""
    run = subprocess.run([sys.executable, "-c", CLIPPED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]


def test_two_devices_train_to_the_weights_of_one():
    run = subprocess.run(
        [sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr[-3000:]


def one_weight():
    """A model of one weight that adds the loss (weight * input) ** 2, summed."""
    layers = [keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)]
    layers += [keras.layers.ActivityRegularization(l2=1.0)]
    return keras.Sequential([keras.Input((None, 1)), *layers])


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_rounds_make_the_updates_of_fit_under_any_policy_and_shape(policy, tmp_path):
    batches = [np.full((2, frames, 1), 0.5, np.float32) for frames in (6, 7, 6)]
    weights = []
    keras.config.set_dtype_policy(policy)
    try:
        for rounds in (True, False):
            model = one_weight()
            model.compile(keras.optimizers.SGD(0.01), jit_compile=False)
            if rounds:
                datasets = [tf.data.Dataset.from_tensors(x) for x in batches]
                strategy = tf.distribute.get_strategy()
                data_fn = datasets.__getitem__
                run = train_in_rounds(model, strategy, data_fn, 3, tmp_path)
                assert len(list(run)) == 3
            else:
                for x in batches:
                    model.fit(x, verbose=0)
            weights.append(model.get_weights()[0])
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-4)
    assert abs(weights[0] - 1).max() > 0.01


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(tmp_path):
    model = one_weight()
    model.compile(keras.optimizers.SGD(0.01))
    inputs = [1.0, np.nan]
    data = [tf.data.Dataset.from_tensors(np.full((1, 1, 1), x, np.float32)) for x in inputs]
    run = train_in_rounds(model, tf.distribute.get_strategy(), data.__getitem__, 2, tmp_path)
    assert next(run) == (1, 1.0)
    good = (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(FloatingPointError, match="the loss of round 2 is nan: not saved"):
        next(run)
    assert (tmp_path / "checkpoint.npz").read_bytes() == good


def test_rounds_go_on_with_weights_of_bfloat16(tmp_path):
    data = tf.data.Dataset.from_tensors(np.ones((1, 1, 1), np.float32))
    ends = []
    keras.config.set_dtype_policy("bfloat16")
    try:
        for folder, stops in (("whole", [2]), ("twice", [1, 2])):
            for rounds in stops:
                model = one_weight()
                model.compile(keras.optimizers.SGD(0.125), jit_compile=False)
                strategy = tf.distribute.get_strategy()
                list(train_in_rounds(model, strategy, lambda _: data, rounds, tmp_path / folder))
            ends.append(float(model.get_weights()[0][0, 0]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert ends[0] == ends[1] == 0.5625  # (1 - 2 * 0.125) ** 2
