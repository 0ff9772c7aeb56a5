# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""A prediction model as one file that puts out text, for other runtimes. Taught in 13_ship_it.

This file stands alone: it needs Keras on TensorFlow, and NumPy; for .onnx files tf2onnx, too.
Runtimes disagree about texts, but all know integers: the files put out Unicode code points.
"""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

# What works on each frame for itself.
_FRAMEWISE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dense,
    layers.Dropout,
    layers.LayerNormalization,
    layers.Normalization,
    layers.ReLU,
)


def text_model(predict_model: keras.Model, characters: str) -> keras.Model:
    """A copy of the model that decodes by the best path and knows its alphabet.

    All its layers are Keras's own, so it saves and loads without this package. An LSTM compiled by
    XLA, as that of recurrent.py, becomes Keras's with the same weights: no other runtime knows XLA.

    Args:
        predict_model: as `build_models` returns it; its last class is the blank.
        characters: of its other classes, in their order.

    Returns:
        A model with the same inputs and outputs and one output more, code_points int32 [B, T']:
        the character where a label begins, else 0.

    Raises:
        ValueError: characters that are not as many as the model's classes without the blank.

    >>> features = keras.Input((None, 3), name="features")
    >>> length = keras.Input((), dtype="int32", name="feature_length")
    >>> logits = layers.Activation("linear")(features)
    >>> model = keras.Model([features, length], {"logits": logits, "logit_length": length})
    >>> frames = np.eye(3, dtype="float32")[[[0, 0, 2, 0, 1, 1]]]  # a a blank a b b
    >>> row = text_model(model, "ab")([frames, np.array([6])])["code_points"][0].numpy()
    >>> row.tolist(), "".join(map(chr, row[row > 0]))
    ([97, 0, 0, 97, 98, 0], 'aab')
    """
    copied = keras.models.clone_model(predict_model, clone_function=_portable)
    for layer, original in zip(copied.layers, predict_model.layers, strict=True):
        _take_weights(layer, original)
    logits, length = copied.output["logits"], copied.output["logit_length"]
    path = _best_path(logits)
    before = ops.pad(path[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    frame = ops.cumsum(ops.ones_like(path), axis=1)  # from 1 on
    valid = ops.less_equal(frame, ops.expand_dims(ops.cast(length, "int32"), 1))
    starts = ops.logical_and(ops.not_equal(path, before), valid)
    code_points = _code_points(path, starts, characters, logits.shape[-1])
    return keras.Model(copied.input, {**copied.output, "code_points": code_points})


def streaming_model(predict_model: keras.Model, characters: str) -> keras.Model:
    """The same, for an utterance that comes in chunks: what it has to remember goes in and out.

    Args:
        predict_model: of LSTMs that read forwards and layers that work on each frame alone, one
            after the other; for example `build_models(lstm_encoder, ...)`.
        characters: as for `text_model`.

    Returns:
        A model with the inputs features [B, n, F], n at least 1, and state float32 [B, S], zeros at
        first; outputs logits [B, n, C], code_points [B, n] and next_state [B, S].

    Raises:
        ValueError: as `text_model`; a layer that needs frames of other chunks; or layers that are
            not a chain.

    >>> features = keras.Input((None, 3), name="features")
    >>> length = keras.Input((), dtype="int32", name="feature_length")
    >>> logits = layers.Dense(3)(layers.LSTM(4, return_sequences=True)(features))
    >>> model = keras.Model([features, length], {"logits": logits, "logit_length": length})
    >>> stream = streaming_model(model, "ab")
    >>> stream.input["state"].shape  # hidden state, cell state, and the last frame's class
    (None, 9)
    """
    chain = _chain(predict_model)
    classes = predict_model.output["logits"].shape[-1]
    lstms = [layer for layer in chain if isinstance(layer, layers.LSTM)]
    sizes = [layer.units for layer in lstms for _ in range(2)]
    features = keras.Input(chain[0].input.shape[1:], name="features")
    state = keras.Input((sum(sizes) + 1,), name="state")
    parts = [state[:, a:b] for a, b in itertools.pairwise(itertools.accumulate(sizes, initial=0))]
    x, following = features, []
    for layer in chain:
        copied = _portable(layer)
        if isinstance(copied, layers.LSTM):
            copied.return_state = True  # to be given back with the next chunk
            x, *new = copied(x, initial_state=[parts.pop(0), parts.pop(0)])
            following += new
        else:
            x = copied(x)
        _take_weights(copied, layer)
    path = _best_path(x)
    # The state holds the class plus 1, so that 0 is no class.
    before = ops.concatenate([ops.cast(state[:, -1:], "int32") - 1, path[:, :-1]], axis=1)
    code_points = _code_points(path, ops.not_equal(path, before), characters, classes)
    following.append(ops.cast(path[:, -1:] + 1, "float32"))
    outputs = {"logits": x, "code_points": code_points}
    outputs["next_state"] = ops.concatenate(following, axis=1)
    return keras.Model({"features": features, "state": state}, outputs)


def export_model(model: keras.Model, path: str | Path) -> None:
    """Write what `text_model` or `streaming_model` made for another runtime, by the path's ending.

    .tflite: LiteRT, built-in operations only; one utterance (B = 1) of any length. .onnx: ONNX, any
    batch and length; needs tf2onnx. No ending: a SavedModel folder, any batch and length, with one
    output more, text: strings [B] in UTF-8. The inputs and outputs have the names of the model's.

    Raises:
        ValueError: a model without code_points, another ending, or (.onnx) an operation that ONNX
            does not know.

    Source: https://www.tensorflow.org/api_docs/python/tf/lite/TFLiteConverter,
    https://github.com/onnx/tensorflow-onnx

    >>> features = keras.Input((None, 3), name="features")
    >>> length = keras.Input((), dtype="int32", name="feature_length")
    >>> outputs = {"logits": layers.Dense(3)(features), "logit_length": length}
    >>> model = text_model(keras.Model([features, length], outputs), "ab")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_model(model, Path(folder) / "reader")
    ...     reader = tf.saved_model.load(Path(folder) / "reader").signatures["serving_default"]
    >>> sorted(reader.structured_outputs)
    ['code_points', 'logit_length', 'logits', 'text']
    """
    path = Path(path)
    if not isinstance(model.output, dict) or "code_points" not in model.output:
        raise ValueError("the model puts out no code_points: export what text_model returns")
    if path.suffix == ".tflite":
        with tempfile.TemporaryDirectory() as folder:
            _write_saved_model(model, folder, batch=1, strings=False)
            path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    elif path.suffix == ".onnx":
        path.write_bytes(_onnx(model))
    elif not path.suffix:
        _write_saved_model(model, path, batch=None, strings=True)
    else:
        raise ValueError(f"{path.name}: end it in .tflite or .onnx, or name a folder")


def _onnx(model):
    import onnx  # here, as the other formats do without these two
    import tf2onnx

    converted, _ = tf2onnx.convert.from_function(*_served(model, batch=None, strings=False))
    try:
        onnx.checker.check_model(converted)  # tf2onnx only logs what it can't convert
    except onnx.checker.ValidationError as error:
        raise ValueError(f"ONNX can't hold this model: {str(error).splitlines()[0]}") from error
    return converted.SerializeToString()


def _take_weights(layer, original):
    layer.set_weights(original.get_weights())
    if isinstance(layer, layers.Normalization):
        layer.finalize_state()  # computes with constants made of its weights


def _portable(layer):
    """A new layer of the same configuration, LSTMs of Keras's own class."""
    if isinstance(layer, layers.Bidirectional):
        forward, backward = _portable(layer.forward_layer), _portable(layer.backward_layer)
        mode, name = layer.merge_mode, layer.name
        return layers.Bidirectional(forward, mode, backward_layer=backward, name=name)
    if isinstance(layer, keras.Sequential) or hasattr(layer, "operations"):  # a model inside
        return keras.models.clone_model(layer, clone_function=_portable)
    kind = layers.LSTM if isinstance(layer, layers.LSTM) else type(layer)
    return kind.from_config(layer.get_config())


def _chain(model):
    """The layers from features to logits, each fed by the one before."""
    chain, reached = [], None
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            reached = layer.output if len(layer.output.shape) == 3 else reached
            continue
        forward = isinstance(layer, layers.LSTM) and not layer.go_backwards
        if not forward and not isinstance(layer, _FRAMEWISE):
            raise ValueError(f"{layer.name} may need frames of other chunks: it can't be streamed")
        if layer.input is not reached:
            raise ValueError(f"{layer.name} does not follow the layer before it: no chain")
        reached = layer.output
        chain.append(layer)
    if model.output["logits"] is not reached:
        raise ValueError(f"{chain[-1].name} comes after the logits: no chain")
    return chain


def _best_path(logits):
    """The largest class of each frame, the first of equals, int32 [B, T]."""
    # ops.argmax handles bits of floats, for the sake of -0.0, and neither runtime knows how.
    largest = ops.equal(logits, ops.max(logits, axis=-1, keepdims=True))
    classes = np.arange(logits.shape[-1], dtype=np.int32)
    return ops.min(ops.where(largest, classes, classes[-1]), axis=-1)


def _code_points(path, starts, characters, classes):
    if len(characters) + 1 != classes:
        raise ValueError(
            f"{len(characters)} characters for a model of {classes} classes: the blank is the "
            f"last class, so there must be {classes - 1}"
        )
    # float32 holds integers up to 2**24 exactly; Unicode ends at 1,114,111.
    table = layers.Embedding(classes, 1, trainable=False, dtype="float32", name="alphabet")
    found = table(path)[:, :, 0]
    table.set_weights([np.array([[*map(ord, characters), 0]], np.float32).T])
    return ops.cast(ops.where(starts, found, 0.0), "int32")


def _served(model: keras.Model, batch: int | None, strings: bool) -> tuple[Any, list]:
    inputs = {x.name: x for x in tf.nest.flatten(model.input)}
    specs = [tf.TensorSpec((batch, *x.shape[1:]), x.dtype, name) for name, x in inputs.items()]

    @tf.function(input_signature=specs, autograph=False)
    def serve(*tensors):
        outputs = dict(model(dict(zip(inputs, tensors, strict=True)), training=False))
        if strings:
            codes = outputs["code_points"]
            shown = tf.ragged.boolean_mask(codes, codes > 0)
            outputs["text"] = tf.strings.unicode_encode(shown, "UTF-8")
        return outputs

    return serve, specs


def _write_saved_model(model, folder, batch, strings):
    module = tf.Module()
    module.kept = [v.value for v in model.variables]
    serve, _ = _served(model, batch, strings)
    tf.saved_model.save(module, str(folder), signatures=serve.get_concrete_function())
