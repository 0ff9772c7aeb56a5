"""Encoders for images and for audio, and the two models around one of them.

Taught in notebook 07_reading_what_it_never_saw.

An encoder is a function (features [B, T, F], lengths [B]) -> (hidden [B, T', D], lengths [B] after
striding) on Keras symbolic tensors. Frames beyond an utterance's length change nothing for the
others, neither in prediction nor in training. This file stands alone.
"""

from collections.abc import Callable, Iterator

try:
    import tensorflow  # noqa: F401 - for an error that names the package to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error
import keras
import numpy as np
from keras import layers, ops


def strided_length(length, kernel: int, stride: int, padding: str):
    """Frames that a convolution or a pooling leaves of `length` frames.

    "valid" counts the places, one every `stride`, where the whole kernel fits; "same" is
    ceil(length / stride) (https://keras.io/api/layers/pooling_layers/max_pooling1d).

    With "same" padding and kernel > stride > 1 the length is right, but TensorFlow pads to both
    sides by the padded length, so which frames an output sees depends on the rest of the batch.
    The encoders below stride by pooling with kernel = stride and "valid" padding, which has no
    such trap.

    Args:
        length: int, NumPy array or (symbolic) tensor of integers; the result is of the same kind.
        kernel: frames that one output sees (with dilation d, d * (kernel - 1) + 1).
        stride: frames from one output to the next.
        padding: "valid" or "same".

    Raises:
        ValueError: another padding.
    """
    if padding == "same":
        return (length + stride - 1) // stride
    if padding == "valid":
        fitting = (length - kernel + stride) // stride
        if isinstance(length, int):
            return max(fitting, 0)
        return (np if isinstance(length, np.integer | np.ndarray) else ops).maximum(fitting, 0)
    raise ValueError(f'padding={padding!r}: choose "valid" or "same"')


@keras.saving.register_keras_serializable("ctc_tutorial")
class NormalizeValid(layers.Layer):
    """Batch norm and ReLU over the valid frames; the padding is zeroed.

    Batch statistics come from valid frames alone (the `mask` of keras.layers.BatchNormalization),
    and the next convolution meets zeros beyond the end, as it would without padding. Momentum 0.9:
    the usual 0.99 takes several hundred steps to forget its start, too long for a short training.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization(momentum=0.9)

    def build(self, input_shape: tuple, *_) -> None:
        self.norm.build(input_shape)

    def call(self, x, lengths, training=None):  # x [B, T, C] or [B, T, H, C], lengths [B]
        valid = ops.arange(ops.shape(x)[1])[None, :] < ops.cast(lengths, "int32")[:, None]  # [B, T]
        if len(x.shape) == 4:
            valid = ops.broadcast_to(valid[:, :, None], ops.shape(x)[:3])  # [B, T, H]
        x = ops.relu(self.norm(x, training=training, mask=valid))
        return x * ops.cast(valid[..., None], x.dtype)

    def compute_output_shape(self, input_shape: tuple, *_) -> tuple:
        return input_shape


def image_encoder(features, lengths, seed: int | None = None):
    """Convolutions over a line of writing: [B, W, H] -> [B, W // 2, 128].

    Three 2-D convolutions, pooled by 2 along the line and by 4 across it, then a 1-D convolution
    over five frames. A frame of the result sees 20 columns, which hold a digit and its neighbours.

    Args:
        features: images with their columns as frames (`image.T`); H is at least 4.
        lengths: widths in columns, [B].
        seed: of initial weights and dropout; by default they differ from call to call.
    """
    seeds = _seeds(seed)
    x = layers.Reshape((-1, features.shape[2], 1))(features)  # [B, W, H, 1]
    for filters, pool in ((16, (2, 1)), (32, (1, 2)), (64, (1, 2))):
        start = keras.initializers.GlorotUniform(next(seeds))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=start)(x)
        x = layers.MaxPooling2D(pool)(x)  # before the norm, which then works on half the values
        lengths = strided_length(lengths, pool[0], pool[0], "valid")
        x = NormalizeValid()(x, lengths)
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)  # [B, W // 2, H // 4 * 64]
    x = layers.Dropout(0.2, seed=next(seeds))(x)
    x, lengths = _conv1d(x, lengths, 128, 5, seeds)
    return layers.Dropout(0.2, seed=next(seeds))(x), lengths


def audio_encoder(features, lengths, seed: int | None = None):
    """Convolutions over features of sound, 100 frames a second: [B, T, F] -> [B, T // 4, 64].

    Two convolutions, each pooled by 2, then two over seven frames, the last of them dilated. A
    frame of the result is 40 ms long and sees about 0.9 s, more than a word.

    Args:
        features: such as MFCC, best with mean 0 and standard deviation 1 per coefficient and
            utterance, which takes away much of what distinguishes voices.
        lengths: frames, [B].
        seed: of initial weights and dropout; by default they differ from call to call.
    """
    seeds, x = _seeds(seed), features
    for _ in range(2):
        x, lengths = _conv1d(x, lengths, 64, 5, seeds, pool=2)
    for dilation in (1, 2):
        x = layers.Dropout(0.2, seed=next(seeds))(x)
        x, lengths = _conv1d(x, lengths, 64, 7, seeds, dilation=dilation)
    return layers.Dropout(0.2, seed=next(seeds))(x), lengths


def build_encoder_models(
    encoder: Callable,
    num_features: int,
    num_classes: int,
    loss_layer: keras.layers.Layer,
    seed: int | None = None,
) -> tuple[keras.Model, keras.Model]:
    """An encoder and a dense layer wired into two models that share all weights.

    Args:
        encoder: `image_encoder`, `audio_encoder` or another function like them.
        num_features: F, numbers per frame.
        num_classes: C, the blank (last class) included.
        loss_layer: called as loss_layer(logits, labels, logit_length), returns the logits: a
            `CTCLossLayer()`.
        seed: of initial weights and dropout; by default they differ from call to call.

    Returns:
        train_model: inputs by name `features` [B, T, F], `feature_length` [B] and `labels` (sparse
            ids [B, L]), as `bucketed_dataset` yields them. Compile it without a loss.
        predict_model: inputs `features` and `feature_length`; outputs by name `logits` [B, T', C]
            and `logit_length` [B].
    """
    features = keras.Input((None, num_features), name="features")
    feature_length = keras.Input((), dtype="int32", name="feature_length")
    labels = keras.Input((None,), dtype="int32", sparse=True, name="labels")
    hidden, logit_length = encoder(features, feature_length, seed=seed)
    start = keras.initializers.GlorotUniform(seed)
    logits = layers.Dense(num_classes, kernel_initializer=start, name="logits")(hidden)
    inputs = {"features": features, "feature_length": feature_length}
    train_model = keras.Model(
        {**inputs, "labels": labels}, loss_layer(logits, labels, logit_length)
    )
    return train_model, keras.Model(inputs, {"logits": logits, "logit_length": logit_length})


def _conv1d(x, lengths, units, kernel, seeds, pool=1, dilation=1):
    """Convolution, pooling if any, and norm: x [B, T', units] and its lengths."""
    x = layers.Conv1D(
        units,
        kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
    )(x)
    if pool > 1:
        x = layers.MaxPooling1D(pool)(x)
        lengths = strided_length(lengths, pool, pool, "valid")
    return NormalizeValid()(x, lengths), lengths


def _seeds(seed: int | None) -> Iterator[int]:
    """An endless row of different seeds, the same for the same `seed`."""
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(2**31))
