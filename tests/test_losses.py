"""ctc_loss against brute force, a float64 recursion, TensorFlow, finite differences, PyTorch."""

import itertools
import subprocess
import sys

import brute_force
import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.losses import ctc_loss

pytestmark = pytest.mark.slow  # XLA compiles much here


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def recursion(logits, label, blank):
    """Loss and gradient of one utterance by the textbook recursion in float64 logarithms."""
    log_p = log_softmax(np.asarray(logits, np.float64))
    path = np.full(2 * len(label) + 1, blank)
    path[1::2] = label
    jump = np.r_[False, False, (path[2:] != blank) & (path[2:] != path[:-2])]

    def lattice(y, jump):
        alpha = np.full(y.shape, -np.inf)
        alpha[0, :2] = y[0, :2]
        for t in range(1, len(y)):
            stay, step = alpha[t - 1], np.r_[-np.inf, alpha[t - 1, :-1]]
            skip = np.where(jump, np.r_[-np.inf, -np.inf, alpha[t - 1]][: len(path)], -np.inf)
            alpha[t] = np.logaddexp(np.logaddexp(stay, step), skip) + y[t]
        return alpha

    y = log_p[:, path]
    alpha = lattice(y, jump)
    back = lattice(y[::-1, ::-1], np.r_[False, False, jump[2:][::-1]])[::-1, ::-1]
    joint = alpha + back - y
    posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    visits = np.zeros_like(log_p)
    for s, k in enumerate(path):
        visits[:, k] += posterior[:, s]
    return -np.logaddexp.reduce(alpha[-1, -2:]), np.exp(log_p) - visits


def loss_and_gradient(logits, labels, logit_length, label_length, fn=ctc_loss, **options):
    logits = tf.convert_to_tensor(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = fn(logits, labels, logit_length, label_length, **options)
    return loss.numpy(), tape.gradient(loss, logits).numpy()


def random_batch(batch=3, frames=60, labels=12, classes=7, scale=1.0):
    """Ragged lengths with feasible labels (blank last), repeats included."""
    random = np.random.default_rng(0)
    logits = (scale * random.standard_normal((batch, frames, classes))).astype(np.float32)
    ids = random.integers(0, classes - 1, (batch, labels), dtype=np.int32)
    label_length = random.integers(labels // 2, labels + 1, batch, dtype=np.int32)
    logit_length = random.integers(2 * labels, frames + 1, batch, dtype=np.int32)
    logit_length[0], label_length[0] = frames, labels
    return logits, ids, logit_length, label_length


def assert_matches_float64(batch, found, loss_tolerance=1e-5, gradient_tolerance=1e-4, blank=-1):
    for row, (logits, ids, frames, length) in enumerate(zip(*batch, strict=True)):
        wanted, gradient = recursion(logits[:frames], ids[:length], blank % logits.shape[-1])
        np.testing.assert_allclose(found[0][row], wanted, rtol=loss_tolerance)
        error = np.linalg.norm(found[1][row, :frames] - gradient) / np.linalg.norm(gradient)
        assert error <= gradient_tolerance
        assert not found[1][row, frames:].any()


def test_toy_worked_by_hand():
    # Classes a, b, blank with p = [.4, 0, .6] twice: "a" is aa, a-, -a = .64; "" is -- = .36.
    logits = np.log(np.array([[[0.4, 0, 0.6]] * 2] * 2, np.float32) + 1e-30)
    loss = ctc_loss(logits, [[0], [0]], [2, 2], [1, 0])
    np.testing.assert_allclose(loss, -np.log([0.64, 0.36]), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("blank", [0, 1, -1])
@pytest.mark.parametrize("frames", [1, 5])
def test_every_label_of_a_tiny_lattice_agrees_with_brute_force(frames, blank):
    symbols = [k for k in range(3) if k != blank % 3]
    cases = [list(c) for n in range(4) for c in itertools.product(symbols, repeat=n)]
    logits = np.random.default_rng(frames).standard_normal((frames, 3)).astype(np.float32)
    ids = [c + [symbols[0]] * (3 - len(c)) for c in cases]
    batch = np.stack([logits] * len(cases)), ids, [frames] * len(cases), [len(c) for c in cases]
    loss, gradient = loss_and_gradient(*batch, blank_index=blank)
    for row, case in enumerate(cases):
        wanted = brute_force.loss_and_gradient(logits, case, blank)
        np.testing.assert_allclose(loss[row], wanted[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(gradient[row], wanted[1], atol=1e-6)


@pytest.mark.parametrize("scale", [1, 30, 100])
@pytest.mark.parametrize("size", [(2, 700, 150, 28), (2, 90, 20, 500)])
def test_exact_at_every_scale(size, scale):
    batch = random_batch(*size, scale=scale)
    assert_matches_float64(batch, loss_and_gradient(*batch))


def test_gradient_is_the_slope_of_the_loss():
    logits, *rest = random_batch()
    _, gradient = loss_and_gradient(logits, *rest)
    direction = np.random.default_rng(1).standard_normal(logits.shape)
    up, down = (ctc_loss(logits + h * direction, *rest).numpy() for h in (0.01, -0.01))
    slope = (gradient * direction).sum(axis=(1, 2))
    np.testing.assert_allclose((up - down) / 0.02, slope, rtol=1e-3)


def test_agrees_with_tensorflow_and_weighs_the_upstream_gradient():
    logits, ids, frames, lengths = random_batch()
    weights = tf.constant([1.0, -2.0, 0.0])

    def mine(*batch):
        return ctc_loss(*batch) * weights

    def dense(x, *_):
        options = {"logits_time_major": False, "blank_index": -1}
        return weights * tf.nn.ctc_loss(ids, x, lengths, frames, **options)

    found, wanted = (loss_and_gradient(logits, ids, frames, lengths, fn=f) for f in (mine, dense))
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], wanted[1], atol=2e-4)


def test_agrees_with_torch():
    torch = pytest.importorskip("torch")
    logits, ids, frames, lengths = random_batch()
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    log_p = x.log_softmax(-1).transpose(0, 1)
    loss = torch.nn.functional.ctc_loss(
        log_p, *map(torch.tensor, (ids, frames, lengths)), blank=6, reduction="none"
    )
    loss.sum().backward()
    found = loss_and_gradient(logits, ids, frames, lengths)
    np.testing.assert_allclose(found[0], loss.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found[1], x.grad.numpy(), atol=2e-5)


def test_a_label_far_below_the_largest_logit():
    # The float32 softmax of TensorFlow's sparse op underflows here and it returns inf.
    logits = np.zeros((1, 6, 4), np.float32)
    logits[:, :, 0] = -500.0
    batch = logits, np.array([[0, 1]]), np.array([6]), np.array([2])
    assert_matches_float64(batch, loss_and_gradient(*batch))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    logits, *rest = random_batch()
    cast = tf.cast(logits, dtype)
    loss, gradient = loss_and_gradient(cast, *rest)
    assert loss.dtype == "float32"
    assert gradient.dtype == cast.dtype
    batch = cast.numpy().astype(np.float64), *rest
    assert_matches_float64(batch, (loss, gradient.astype(np.float64)), 1e-5, 1e-2)


def test_infeasible_rows_are_inf_or_zero_and_never_move_the_weights():
    logits = np.random.default_rng(0).standard_normal((4, 3, 4)).astype(np.float32)
    masked = logits[3:].copy()
    masked[:, :, 2] = -np.inf
    batch = (
        np.concatenate([logits[:3], masked]),
        [[1, 1, 1], [0, 1, 2], [0, 1, 2], [2, 0, 0]],  # repeats, feasible, no frames, masked
        [3, 3, 0, 3],
        [3, 3, 1, 1],
    )
    for zero_infinity, value in ((False, np.inf), (True, 0.0)):
        loss, gradient = loss_and_gradient(*batch, zero_infinity=zero_infinity)
        np.testing.assert_array_equal(loss[[0, 2, 3]], value)
        assert not gradient[[0, 2, 3]].any()
        np.testing.assert_allclose(loss[1], recursion(logits[1], [0, 1, 2], 3)[0], rtol=1e-6)
        assert gradient[1].any()
    loss, gradient = loss_and_gradient(logits[:1], [[0]], [0], [0])
    assert loss == 0 and not gradient.any()


@pytest.mark.parametrize(
    ("frames", "ids", "masked", "value"),
    [
        (100, [0, 1] * 50, [0, 1], -1e9),  # every frame needs a mask
        (100, [0, 1] * 20, [0, 1], -1e9),
        (200, [0] * 100, [0], -1e9),
        (1000, [0, 1] * 250, [0, 1], -1e9),
        (60, [0, 1] * 10, [0, 1, 3], -1e9),  # all classes but one, the blank, too
        (1000, [0, 1] * 50, [0, 1, 3], -1e9),
        (100, [0, 1, 2] * 20, [0], -1e9),
        (300, [0, 1] * 30, [0, 1], -1e6),
        (300, [0, 1] * 30, [0, 1, 2, 3], -1e9),
    ],
)
@pytest.mark.parametrize("scale", [0, 1])
def test_masks_count_in_full(frames, ids, masked, value, scale):
    logits = scale * np.random.default_rng(0).standard_normal((2, frames, 4)).astype(np.float32)
    logits[0, :, masked] += np.float32(value)  # the second utterance has none
    lengths = np.array([frames] * 2), np.array([len(ids)] * 2)
    batch = logits, np.array([ids] * 2), *lengths
    found = loss_and_gradient(*batch)
    # Around 1e12 the reference itself is good to about four digits: float64 has sixteen.
    assert_matches_float64(batch, found, 1e-6, 1e-3)


def test_the_lowest_float_is_a_mask_and_minus_infinity_is_zero():
    lowest = np.finfo(np.float32).min
    logits = np.random.default_rng(0).standard_normal((4, 40, 4)).astype(np.float32)
    logits[1, :20] = lowest  # frames that say nothing
    logits[2, :, 0], logits[3, :, 0] = -1e30, -np.inf  # must be taken once
    batch = logits, [[0, 1]] * 4, [40] * 4, [2] * 4
    loss, gradient = loss_and_gradient(*batch)
    silent = logits[1].copy()
    silent[:20] = 0
    for row, same in ((0, logits[0]), (1, silent)):
        wanted = recursion(same, [0, 1], 3)
        np.testing.assert_allclose(loss[row], wanted[0], rtol=1e-6)
        np.testing.assert_allclose(gradient[row], wanted[1], atol=1e-5)
    np.testing.assert_allclose(loss[2], 1e30, rtol=1e-5)
    np.testing.assert_allclose(gradient[2, :, 0].sum(), -1, rtol=1e-5)
    assert loss[3] == np.inf and not gradient[3].any()


@pytest.mark.parametrize("size", [(2, 6, 3, 2), (1, 30, 5, 5000), (2, 50, 16, 512), (2, 2, 1, 3)])
def test_few_and_many_classes(size):
    batch = random_batch(*size)
    batch = batch[0], batch[1], np.full(size[0], size[1]), np.full(size[0], size[2])
    assert_matches_float64(batch, loss_and_gradient(*batch))


def test_no_labels_is_minus_the_sum_of_the_blanks():
    logits = random_batch()[0]
    batch = logits, np.zeros((3, 0), np.int32), [60] * 3, [0] * 3
    loss, _ = loss_and_gradient(*batch)
    np.testing.assert_allclose(loss, -log_softmax(logits)[:, :, -1].sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_infinity_is_like_nan_where_the_frame_counts(value):
    logits, ids, frames, lengths = random_batch()
    frames[1] = 30
    clean = loss_and_gradient(logits, ids, frames, lengths)
    logits[0, 3, 1] = logits[1, 30, 1] = value
    loss, gradient = loss_and_gradient(logits, ids, frames, lengths)
    assert np.isnan(loss[0]) and np.isnan(gradient[0]).any()
    np.testing.assert_array_equal(loss[1:], clean[0][1:])
    np.testing.assert_array_equal(gradient[1:], clean[1][1:])


@pytest.mark.parametrize("shape", [(0, 5, 4), (2, 0, 4), (0, 0, 4)])
def test_no_rows_or_no_frames(shape):
    labels, lengths = np.zeros((shape[0], 2), np.int32), np.zeros(shape[0], np.int32)
    logits = np.zeros(shape, np.float32)
    loss, gradient = loss_and_gradient(logits, labels, lengths, lengths)
    assert loss.tolist() == [0] * shape[0] and gradient.shape == shape
    loss, _ = loss_and_gradient(logits, labels, lengths, lengths + 1)
    assert loss.tolist() == [np.inf] * shape[0]


def test_nan_stays_in_its_row_and_padding_is_ignored():
    logits, ids, frames, lengths = random_batch()
    frames, lengths = np.array([60, 40, 50]), np.array([12, 7, 9])
    clean = loss_and_gradient(logits, ids, frames, lengths)
    dirty = logits.copy()
    dirty[0, 7, 2] = dirty[1, 40:] = np.nan
    other = ids.copy()
    other[1, 7:], other[2, 9:] = 6, -7
    loss, gradient = loss_and_gradient(dirty, other, frames, lengths)
    assert np.isnan(loss[0])
    np.testing.assert_array_equal(loss[1:], clean[0][1:])
    np.testing.assert_array_equal(gradient[1:], clean[1][1:])


def test_impossible_ids_and_lengths_give_nan():
    logits = np.zeros((6, 4, 3), np.float32)
    ids = [[0, 2], [0, 3], [-1, 0], [0, 1], [0, 1], [0, 1]]
    loss = ctc_loss(logits, ids, [4, 4, 4, 5, 4, 4], [2, 2, 2, 1, 3, 2]).numpy()
    np.testing.assert_array_equal(np.isnan(loss), [True] * 5 + [False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((4, 3))}, "logits must have rank 3"),
        ({"labels": [0, 1]}, "labels must have rank 2"),
        ({"blank_index": 3}, "blank_index must be in"),
    ],
)
def test_a_wrong_rank_or_blank_is_named(change, message):
    good = {"logits": np.zeros((2, 4, 3)), "labels": [[0], [1]]}
    good |= {"logit_length": [4, 4], "label_length": [1, 1]}
    with pytest.raises(ValueError, match=message):
        ctc_loss(**(good | change))


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True])
def test_inside_functions_with_known_and_unknown_shapes(jit):
    batch = random_batch()
    shapes = [(None, None, 7), (None, None), (None,), (None,)]
    signature = [tf.TensorSpec(s, np.asarray(x).dtype) for s, x in zip(shapes, batch, strict=True)]
    shapes[:2] = (3, 60, 7), (3, None)
    partly = [tf.TensorSpec(s, x.dtype) for s, x in zip(shapes, signature, strict=True)]
    for options in ({}, {"input_signature": signature}, {"input_signature": partly}):
        fn = tf.function(ctc_loss, jit_compile=jit, **options)
        assert_matches_float64(batch, loss_and_gradient(*batch, fn=fn))


class Loss(keras.layers.Layer):
    def call(self, logits, labels, frames, lengths):
        self.add_loss(tf.reduce_mean(ctc_loss(logits, labels, frames, lengths)))
        return logits


@pytest.mark.training
@pytest.mark.parametrize("jit", [False, True])
def test_trains_a_compiled_keras_model(jit, training_seed):
    keras.utils.set_random_seed(training_seed)
    x, ids, frames, lengths = random_batch()
    shapes = [(60, 7), (12,), (), ()]
    kinds = ["float32", "int32", "int32", "int32"]
    inputs = [keras.Input(s, dtype=d) for s, d in zip(shapes, kinds, strict=True)]
    model = keras.Model(inputs, Loss()(keras.layers.Dense(7)(inputs[0]), *inputs[1:]))
    model.compile(keras.optimizers.SGD(0.05), jit_compile=jit)
    history = model.fit([x, ids, frames, lengths], batch_size=3, epochs=15, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]


MIRRORED = """
import sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ctc_tutorial.losses import ctc_loss
random = np.random.default_rng(0)
batch = random.standard_normal((4, 30, 6)).astype("float32"), random.integers(0, 5, (4, 5))
batch += np.array([30, 20, 25, 12]), np.array([5, 4, 0, 3])
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
data = tf.data.Dataset.from_tensor_slices(batch).batch(4)
(split,) = strategy.experimental_distribute_dataset(data)

@tf.function
def step(logits, *rest):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = ctc_loss(logits, *rest)
    return loss, tape.gradient(loss, logits)

run = tf.function(lambda split: strategy.run(step, args=split))
found = [tf.concat(strategy.experimental_local_results(x), 0) for x in run(split)]
assert strategy.num_replicas_in_sync == 2
for x, y in zip(found, step(*map(tf.constant, batch))):
    np.testing.assert_allclose(x, y, rtol=1e-6)
"""


@pytest.mark.slow
def test_under_a_mirrored_strategy_of_two_devices():
    # In its own process: devices can be configured only before TensorFlow starts.
    run = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_second_derivative_is_nan_and_a_persistent_tape_is_not():
    logits, *rest = random_batch()
    logits = tf.constant(logits)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(logits)
        with tf.GradientTape() as inner:
            inner.watch(logits)
            loss = ctc_loss(logits, *rest)
        slope = inner.gradient(loss, logits)
    np.testing.assert_array_equal(outer.gradient(loss, logits), slope)
    assert np.isnan(outer.gradient(slope, logits)).all()


@pytest.mark.parametrize(
    "strange",
    [
        {"labels": [["a"]]},
        {"labels": [[1], [1]]},
        {"logit_length": [True]},
        {"label_length": [1, 1]},
        {"logits": np.full((1, 2, 3), "a")},
        {"logits": np.zeros((1, 2, 3), complex)},
        {"blank_index": 0.5},
        {"blank_index": "0"},
    ],
)
def test_another_dtype_or_number_of_utterances_is_named(strange):
    (name,) = strange
    given = {"logits": np.zeros((1, 2, 3)), "labels": [[1]]}
    given |= {"logit_length": [2], "label_length": [1]}
    with pytest.raises(ValueError, match=name):
        ctc_loss(**{**given, **strange})


@pytest.mark.parametrize("value", [1.5, 2**32, np.nan, -(2.0**40)])
def test_ids_and_lengths_that_are_no_int32_are_not_cut(value):
    """1.5 was 1, and 2**32 was 0."""
    logits, value = np.zeros((1, 2, 3), np.float32), np.array([value])
    assert np.isnan(ctc_loss(logits, value[None], [2], [1])).all()
    assert np.isnan(ctc_loss(logits, [[1]], value, [1])).all()
    assert np.isnan(ctc_loss(logits, [[1]], [2], value)).all()
    np.testing.assert_allclose(ctc_loss(logits, [[1.0]], [2.0], [1.0]), -np.log(3 / 9), rtol=1e-6)


@pytest.mark.parametrize("huge", [1e9, 1e15, 1e20, 1e30, 3e38])
def test_beside_a_huge_logit_the_others_are_not_raised_to_it(huge):
    """Two frames to choose in, then a certain blank: at 1e20 its frame lost the difference."""
    logits = np.random.default_rng(0).normal(size=(1, 3, 3)).astype(np.float32)
    logits[0, 2, 2] = huge
    loss = ctc_loss(logits, [[0]], [3], [1])
    np.testing.assert_allclose(loss, ctc_loss(logits, [[0]], [2], [1]), rtol=1e-6)
    np.testing.assert_allclose(loss[0], recursion(logits[0, :2], [0], 2)[0], rtol=1e-6)
    np.testing.assert_allclose(ctc_loss(logits[:, 1:], [[0, 1]], [2], [2]), huge, rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_labels_of_one_utterance_for_a_batch_of_unknown_size(jit):
    """Eagerly refused by their shape; where no shape is known, nothing may be made of them."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, 6])], jit_compile=jit)
    def of_one_text(logits):
        rows = tf.shape(logits)[0]
        return ctc_loss(logits, [[1, 2, 3]], tf.fill([rows], 20), tf.fill([rows], 3))

    logits = np.random.default_rng(0).normal(size=(4, 20, 6)).astype(np.float32)
    expected = ctc_loss(logits[:1], [[1, 2, 3]], [20], [3])
    np.testing.assert_allclose(of_one_text(logits[:1]), expected, rtol=1e-6)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        of_one_text(logits)


def test_lengths_of_unknown_rank():
    @tf.function(input_signature=[tf.TensorSpec(None, tf.int32)] * 2)
    def loss(frames, lengths):
        return ctc_loss(logits, labels, frames, lengths)

    logits, labels, frames, lengths = random_batch()
    expected = ctc_loss(logits, labels, frames, lengths)
    np.testing.assert_allclose(loss(frames, lengths), expected, rtol=1e-6)


def test_a_hessian_is_nan_all_over():
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4)), tf.float32)
    with tf.GradientTape() as outer:
        outer.watch(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = ctc_loss(logits, [[1], [2]], [3, 3], [1, 1])
        slope = tape.gradient(loss, logits)[0, 1, 2]
    found = outer.gradient(slope, logits).numpy()
    assert np.isnan(found[0]).all() and not found[1].any()


def test_eager_debugging_changes_nothing_for_empty_batches_and_impossible_lengths():
    logits = np.zeros((1, 3, 4), np.float32)
    tf.config.run_functions_eagerly(True)
    try:
        assert np.isnan(ctc_loss(logits, [[1]], [-3], [1])).all()
        assert ctc_loss(logits[:0], np.zeros((0, 1), int), [], []).shape == (0,)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("classes", [7, 600])  # few and many take other ways to the gradient
def test_in_a_vectorized_map_as_in_a_loop(classes):
    """As for gradients of each example; TensorFlow's vectorised `tf.pad` drops its constant."""
    logits, *rest = random_batch(classes=classes)
    several = np.stack([logits, 2 * logits, logits[:, ::-1]])

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ctc_loss(x, *rest)
        return loss, tape.gradient(loss, x)

    for found, expected in zip(
        tf.vectorized_map(both, several),
        zip(*(loss_and_gradient(x, *rest) for x in several), strict=True),
        strict=True,
    ):
        np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-6)
