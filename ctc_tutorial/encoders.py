# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Encoders: an LSTM, and convolutions for images and for sound. Taught in notebooks 04 (the LSTM),
08 and 09 (the others). Copy recurrent.py with this file.

An encoder is a function encoder_fn(features [B, T, F], lengths [B], seed=None) -> (hidden
[B, T', D], lengths [B] after any striding) on Keras symbolic tensors. What lies beyond an
utterance's length must change nothing for the others, neither in prediction nor in training. The
models are made of Keras's own layers and operations: saved, they load without this file.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from .recurrent import LSTM

_POOLS = ((2, 1), (1, 2), (1, 2))


def length_mask(x: Any, lengths: Any) -> Any:
    """Which frames count, as a mask for Keras layers; `tf.sequence_mask` refuses symbolic tensors.

    Args:
        x: [B, T, ...], symbolic or not; only its shape matters.
        lengths: frames that count in each utterance, [B].

    Returns:
        bool [B, T].

    Raises:
        ValueError: x without [B, T], or lengths that are not numbers [B].

    >>> np.array(length_mask(np.zeros((2, 4, 13)), np.array([4, 2]))).astype(int).tolist()
    [[1, 1, 1, 1], [1, 1, 0, 0]]
    """
    if len(x.shape) < 2:
        raise ValueError(f"x must be [B, T, ...], not of shape {tuple(x.shape)}")
    try:
        lengths = lengths if hasattr(lengths, "dtype") else np.asarray(lengths)
    except ValueError as error:
        raise ValueError(f"lengths must be numbers [B]: {error}") from error
    kind, shape = str(getattr(lengths.dtype, "name", lengths.dtype)), tuple(lengths.shape)
    fits = len(shape) == 1 and (None in (shape[0], x.shape[0]) or shape[0] == x.shape[0])
    if not fits or not kind.strip("u").startswith(("int", "float", "bfloat")):
        raise ValueError(f"lengths must be {x.shape[0]} numbers, not {kind} of shape {shape}")
    while len(x.shape) > 2:
        x = ops.take(x, 0, axis=-1)
    # Counts to T without asking how many that is: a symbolic tensor does not know.
    count = ops.cumsum(ops.ones_like(x, dtype="float32"), axis=1)
    return count <= ops.expand_dims(ops.cast(lengths, "float32"), 1)  # int32 would wrap around


def strided_length(length: Any, kernel: int, stride: int, padding: str) -> Any:
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
        ValueError: another padding, a kernel or a stride below 1, or a length (where it is known)
            that is negative or no integer.

    >>> strided_length(9, kernel=3, stride=2, padding="valid"), strided_length(9, 3, 2, "same")
    (4, 5)
    """
    for name, number in (("kernel", kernel), ("stride", stride)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"{name}={number!r}: give an integer, at least 1")
    if padding not in ("valid", "same"):
        raise ValueError(f'padding={padding!r}: choose "valid" or "same"')
    known = isinstance(length, int | np.integer | np.ndarray)
    if not known and not hasattr(length, "dtype"):
        raise ValueError(f"length={length!r}: give an integer, an array or a tensor of them")
    if known and (np.asarray(length).dtype.kind not in "iu" or np.any(np.less(length, 0))):
        raise ValueError(f"length={length!r}: give integers, at least 0")
    array = isinstance(length, np.integer | np.ndarray)
    wide = length.astype(np.int64) if array else length  # a narrow type would overflow
    if padding == "same":
        left = (wide + stride - 1) // stride
    else:
        left = (wide - kernel + stride) // stride
        left = max(left, 0) if isinstance(length, int) else (np if array else ops).maximum(left, 0)
    return left.astype(length.dtype) if array else left


def lstm_encoder(
    features: Any,
    lengths: Any,
    units: int = 50,
    bidirectional: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """One LSTM: [B, T, F] -> [B, T, units], twice the units if bidirectional.

    Args:
        features: any sequence, such as MFCC.
        lengths: frames, [B]; the backward direction starts at each utterance's own end.
        units: of each direction.
        bidirectional: read the frames both ways.
        seed: of the initial weights; by default they differ from call to call.

    Raises:
        ValueError: features of another rank or without frames; a seed that is none.

    >>> hidden, lengths = lstm_encoder(np.ones((2, 7, 13)), np.array([7, 4]), units=5)
    >>> hidden.shape, lengths.tolist()
    (TensorShape([2, 7, 5]), [7, 4])
    """
    _check_frames(features, 1)
    seeds = _seeds(seed)

    def lstm(**direction):
        return LSTM(
            units,
            return_sequences=True,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            **direction,
        )

    if not bidirectional:
        # Reading forwards, padding comes too late to change anything: no mask, less time.
        return lstm()(features), lengths
    # A backward layer of its own: of one layer, Keras would make two with the same seeds.
    both = layers.Bidirectional(lstm(), backward_layer=lstm(go_backwards=True))
    return both(features, mask=length_mask(features, lengths)), lengths


def image_encoder(
    features: Any,
    lengths: Any,
    pools: Sequence[tuple[int, int]] = _POOLS,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Convolutions over a line of writing: [B, W, H] -> [B, W // 2, 128].

    Three 2-D convolutions, pooled by 2 along the line and by 4 across it, then a 1-D convolution
    over five frames. A frame of the result sees 20 columns, which hold a digit and its neighbours.

    Args:
        features: images with their columns as frames; H is at least 4.
        lengths: widths in columns, [B].
        pools: how much each of the convolutions is pooled (along, across) the line. What is pooled
            early costs the later ones no time: for images of 32 rows or more, where the default
            would take long, ((2, 2), (1, 2), (1, 2)) halves that.
        seed: of initial weights and dropout; by default they differ from call to call.

    Raises:
        ValueError: pools of more or fewer than 3 convolutions, or pictures too small for them;
            lengths of another shape, or negative ones; a seed that is none.

    >>> hidden, lengths = image_encoder(np.ones((2, 40, 12)), np.array([40, 31]))
    >>> hidden.shape, np.array(lengths).tolist()
    (TensorShape([2, 20, 128]), [20, 15])
    """
    seeds = _seeds(seed)
    x, lengths = _convolved_image(features, lengths, pools, seeds)
    x = layers.Dropout(0.2, seed=next(seeds))(x)
    x, lengths = _conv1d(x, lengths, 128, 5, seeds)
    return layers.Dropout(0.2, seed=next(seeds))(x), lengths


def crnn_encoder(
    features: Any,
    lengths: Any,
    units: int = 64,
    pools: Sequence[tuple[int, int]] = _POOLS,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Convolutions, then a bidirectional LSTM (CRNN): [B, W, H] -> [B, W // 2, 2 * units].

    The convolutions are those of `image_encoder`; the LSTM lets a frame see the whole line.

    Args:
        features, lengths, pools, seed: as for `image_encoder`.
        units: of each direction of the LSTM.

    Source: Shi, Bai and Yao, "An End-to-End Trainable Neural Network for Image-Based Sequence
    Recognition", IEEE TPAMI 39(11), 2017; here much smaller.

    >>> hidden, lengths = crnn_encoder(np.ones((2, 40, 12)), np.array([40, 31]))
    >>> hidden.shape, np.array(lengths).tolist()
    (TensorShape([2, 20, 128]), [20, 15])
    """
    seeds = _seeds(seed)
    x, lengths = _convolved_image(features, lengths, pools, seeds)
    x = layers.Dropout(0.2, seed=next(seeds))(x)
    x, lengths = lstm_encoder(x, lengths, units, bidirectional=True, seed=next(seeds))
    return layers.Dropout(0.2, seed=next(seeds))(x), lengths


def audio_encoder(
    features: Any, lengths: Any, reduction: int = 4, seed: int | None = None
) -> tuple[Any, Any]:
    """Convolutions over features of sound, 100 frames a second: [B, T, F] -> [B, T // 4, 64].

    Two convolutions, each pooled by 2, then two over seven frames, the last of them dilated. A
    frame of the result is 40 ms long and sees about 0.9 s, more than a word.

    Args:
        features: such as MFCC, best with mean 0 and standard deviation 1 per coefficient and
            utterance, which takes away much of what distinguishes voices.
        lengths: frames, [B].
        reduction: 4, or 8 for labels as long as words, but not for letters (benchmarks/people.md);
            8 pools a third time in place of the dilation.
        seed: of initial weights and dropout; by default they differ from call to call.

    Raises:
        ValueError: another reduction, or fewer frames than that; lengths and seed as for
            `image_encoder`.

    >>> hidden, lengths = audio_encoder(np.ones((2, 40, 13)), np.array([40, 31]))
    >>> hidden.shape, np.array(lengths).tolist()
    (TensorShape([2, 10, 64]), [10, 7])
    """
    if reduction not in (4, 8):
        raise ValueError(f"reduction={reduction!r}: choose 4 or 8")
    _check_frames(features, reduction)
    seeds, x = _seeds(seed), _without_padding(features, lengths)
    for _ in range(2):
        x, lengths = _conv1d(x, lengths, 64, 5, seeds, pool=2)
    x = layers.Dropout(0.2, seed=next(seeds))(x)
    x, lengths = _conv1d(x, lengths, 64, 7, seeds, pool=reduction // 4)
    x = layers.Dropout(0.2, seed=next(seeds))(x)
    x, lengths = _conv1d(x, lengths, 64, 7, seeds, dilation=8 // reduction)
    return layers.Dropout(0.2, seed=next(seeds))(x), lengths


def _convolved_image(x, lengths, pools, seeds):
    """x [B, W, H] -> [B, W // 2, H // 4 * 64], by the default pools, and its lengths."""
    if len(pools) != 3:
        raise ValueError(f"pools={pools!r}: give (along, across) for each of the 3 convolutions")
    _check_frames(x, math.prod(along for along, _ in pools))
    least = math.prod(across for _, across in pools)
    if x.shape[2] < least:
        raise ValueError(f"columns of {x.shape[2]} pixels, but the pools leave none below {least}")
    x = _without_padding(x, lengths)
    x = layers.Reshape((-1, x.shape[2], 1))(x)  # [B, W, H, 1]
    for filters, pool in zip((16, 32, 64), pools, strict=True):
        start = keras.initializers.GlorotUniform(next(seeds))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=start)(x)
        x = layers.MaxPooling2D(pool)(x)  # before the norm, which then works on half the values
        lengths = strided_length(lengths, pool[0], pool[0], "valid")
        x = _normalized(x, lengths)
    return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x), lengths


def _check_frames(features, least):
    """Enough of them, where it is known: what TensorFlow says of none left tells nothing."""
    if len(features.shape) != 3 or features.shape[2] == 0:
        raise ValueError(f"features must be [B, T, F], not of shape {tuple(features.shape)}")
    if features.shape[1] is not None and features.shape[1] < least:
        raise ValueError(f"features of {features.shape[1]} frames: at least {least} are needed")


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
    return _normalized(x, lengths), lengths


def _normalized(x, lengths):
    """Batch norm and ReLU over the valid frames of x [B, T, ..., D]; what is padding becomes 0.

    Statistics come from valid frames alone, and the next convolution meets zeros beyond the end,
    as it would without padding. Momentum 0.9: the usual 0.99 takes several hundred steps to forget
    its start, too long for a short training.
    """
    valid = length_mask(x, lengths)  # [B, T]
    if len(x.shape) == 4:  # the mask of [B, T, H, D] is [B, T, H]
        valid = ops.repeat(ops.expand_dims(valid, 2), x.shape[2], axis=2)
    x = layers.BatchNormalization(momentum=0.9)(x, mask=valid)
    x = layers.ReLU()(x)
    return x * ops.cast(_valid(x, lengths), x.dtype)


def _without_padding(x, lengths):
    """x [B, T, ...] with zeros beyond each length, even if NaN or -inf, as log(0) gives, is there:
    a convolution looks a few frames ahead."""
    return ops.where(_valid(x, lengths), x, 0.0)


def _valid(x, lengths):
    """Which frames of x [B, T, ...] are no padding, [B, T, 1, ...]."""
    valid = length_mask(x, lengths)
    for axis in range(2, len(x.shape)):
        valid = ops.expand_dims(valid, axis)
    return valid


def _seeds(seed: int | None) -> Iterator[int]:
    """An endless row of different seeds, the same for the same `seed`."""
    if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
        raise ValueError(f"seed={seed!r}: give an integer, at least 0, or None")
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(2**31))
