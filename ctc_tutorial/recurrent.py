# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Keras's LSTM, several times faster on a CPU. Taught in notebook 11_faster_and_many_devices.

Stands alone. The same layer with the same weights; its two passes over the frames are compiled by
XLA, and the backward pass is derived by hand. What does not need the frame before, such as the
product of inputs and kernel or the gradients of the weights, is one product of large matrices
outside of the loop. sigmoid(x) is computed as (1 + tanh(x / 2)) / 2, so that one tanh over one
array serves all four gates: XLA makes vector instructions of that, but not of tanh of slices.

Source of the equations: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation
9(8), 1997, with the forget gate of Gers, Schmidhuber and Cummins, 2000; in the order of
keras.layers.LSTM: input gate, forget gate, cell candidate, output gate.
"""

import math

import keras
import tensorflow as tf

_FRAMES, _BATCH = 64, 8  # shapes are padded up to multiples of these, see LSTM


class LSTM(keras.layers.LSTM):
    """keras.layers.LSTM with the same arguments, weights and results (to float32 rounding).

    It runs eagerly, in a `tf.function`, inside code that XLA compiles, and inside `Bidirectional`,
    with any mask, bool [B, T]. Under mixed precision it computes in float32 and returns what the
    policy asks for. XLA compiles for each new shape, about half a second. So that there are few,
    frames are padded up to a multiple of 64, and a batch of more than 8 up to a multiple of 8
    (but for shapes that a graph knows beforehand).

    Keras's own code runs instead where this one can't: dropout inside the cell, other activations,
    `unroll`, float64, another backend than TensorFlow, or with a GPU (for which Keras has cuDNN).

    A model is saved with the name of Keras's layer: it loads without this file, too, then with
    Keras's code, and where this file is imported, with this one.

    Its second derivative is NaN: it is not implemented.

    >>> ours, theirs = LSTM(5, return_sequences=True), keras.layers.LSTM(5, return_sequences=True)
    >>> x = tf.random.stateless_normal((2, 7, 13), seed=(0, 0))
    >>> for layer in (ours, theirs):
    ...     layer.build(x.shape)
    >>> ours.set_weights(theirs.get_weights())
    >>> bool(tf.reduce_max(tf.abs(ours(x) - theirs(x))) < 1e-6)
    True
    """

    __module__ = "keras.layers"  # as it is in a saved model

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self._is_served(training):
            return super().inner_loop(sequences, initial_state, mask, training)
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is not None:
            mask = tf.cast(mask[:, :, 0] if len(mask.shape) == 3 else mask, tf.bool)
            mask = tf.broadcast_to(mask, tf.shape(sequences)[:2])
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        cell = self.cell
        bias = cell.bias if self.use_bias else tf.zeros([4 * self.units])
        arguments = (sequences, cell.kernel, cell.recurrent_kernel, bias, *initial_state)
        shown = mask
        if mask is not None and not self.zero_output_for_mask:  # which Bidirectional asks for
            # Before the first valid frame Keras gives out 0, not the state.
            shown = tf.cumsum(tf.cast(mask, tf.int32), axis=1) > 0
        arguments = [tf.cast(x, tf.float32) for x in arguments]
        hidden, *states = _lstm(arguments, mask, shown)
        last_output = hidden[:, -1]
        return last_output, hidden if self.return_sequences else last_output[:, None], states

    def _is_served(self, training) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and not (training and (self.dropout or self.recurrent_dropout))
            and not self.unroll
            and self.compute_dtype != "float64"
            and not tf.config.list_logical_devices("GPU")
        )


# A layer inside Bidirectional is made anew from its configuration, which names Keras's LSTM.
keras.saving.get_custom_objects()["LSTM"] = LSTM


def _lstm(arguments, mask, shown):
    """Hidden states [B, T, units], 0 where not shown, and the last hidden and cell state
    [B, units], differentiable by the arguments of `_forward`."""
    features, *weights, hidden, cell = arguments
    batch, frames = (n or tf.shape(features)[k] for k, n in enumerate(features.shape[:2]))
    fixed = not tf.executing_eagerly() and features.shape[:2].is_fully_defined()
    if not fixed:
        rows = tf.where(batch > _BATCH, -batch % _BATCH, 0)
        more = -frames % _FRAMES
        features = tf.pad(features, [[0, rows], [0, more], [0, 0]])
        hidden, cell = (tf.pad(state, [[0, rows], [0, 0]]) for state in (hidden, cell))
        if mask is not None:
            mask, shown = (tf.pad(x, [[0, rows], [0, more]]) for x in (mask, shown))
    frames = tf.convert_to_tensor(frames)
    outputs, *last = _compiled(features, *weights, hidden, cell, mask, shown, frames)
    return outputs[:batch, :frames], *(state[:batch] for state in last)


@tf.function(jit_compile=True, autograph=False)
def _compiled(features, kernel, recurrent_kernel, bias, hidden, cell, mask, shown, frames):
    def visible(x):
        return x if shown is None else tf.where(shown[:, :, None], x, 0.0)

    @tf.custom_gradient
    def differentiable(*arguments):
        # No gradient may look for a way through the loops: XLA knows none.
        gates, cells, hiddens = map(tf.stop_gradient, _forward(*arguments, mask, frames))
        outputs = visible(tf.transpose(hiddens[1:], [1, 0, 2]))

        def gradient(d_outputs, *d_last):
            kept, upstream = (gates, cells, hiddens), (visible(d_outputs), *d_last)
            derivatives = _backward(arguments, kept, mask, frames, *upstream)
            return _once(derivatives, *arguments, d_outputs, *d_last)

        return (outputs, hiddens[frames], cells[frames]), gradient

    return differentiable(features, kernel, recurrent_kernel, bias, hidden, cell)


def _once(derivatives, *causes):
    """The derivatives, whose own derivatives by their causes are NaN and not a silent zero."""

    @tf.custom_gradient
    def constant(*causes):
        def unknown(*upstream):
            wanted = tf.add_n([tf.reduce_sum(tf.abs(u)) for u in upstream])
            return [tf.zeros_like(x) + tf.where(wanted == 0, 0.0, math.nan) for x in causes]

        return [tf.stop_gradient(d) for d in derivatives], unknown

    return constant(*causes)


def _scale(units):
    """What a gate's input is multiplied by before its tanh, [4 units]: 1 for the candidate."""
    return tf.repeat(tf.constant([0.5, 0.5, 1.0, 0.5]), units)


def _array(size, *shape):
    # Read more than once, which tf.config.run_functions_eagerly(True) would not allow.
    return tf.TensorArray(tf.float32, size, element_shape=shape, clear_after_read=False)


def _forward(features, kernel, recurrent_kernel, bias, hidden, cell, mask, frames):
    """The tanh of every gate [T, B, 4 units], the cell state and the hidden state before every
    frame and after the last [T + 1, B, units]."""
    units, size = recurrent_kernel.shape[0], tf.shape(features)[1]
    scale = _scale(units)
    projected = tf.tensordot(tf.transpose(features, [1, 0, 2]), kernel * scale, 1) + bias * scale
    recurrent_kernel *= scale
    valid = None if mask is None else tf.transpose(mask)[:, :, None]

    def step(t, gates, cells, hiddens):
        before = hiddens.read(t)
        # The gates take the place of the inputs that they come from.
        gates = gates.write(t, tf.tanh(gates.read(t) + before @ recurrent_kernel))
        i, f, candidate, o = tf.split(gates.read(t), 4, axis=1)
        cell = 0.5 * ((f + 1) * cells.read(t) + (i + 1) * candidate)
        if valid is not None:
            cell = tf.where(valid[t], cell, cells.read(t))
        cells = cells.write(t + 1, cell)
        now = 0.5 * (o + 1) * tf.tanh(cells.read(t + 1))
        if valid is not None:
            now = tf.where(valid[t], now, before)
        return t + 1, gates, cells, hiddens.write(t + 1, now)

    gates = _array(size, features.shape[0], 4 * units).unstack(projected)
    cells, hiddens = (
        _array(size + 1, features.shape[0], units).write(0, state) for state in (cell, hidden)
    )
    loop = 0, gates, cells, hiddens
    _, gates, cells, hiddens = tf.while_loop(lambda t, *_: t < frames, step, loop)
    return gates.stack(), cells.stack(), hiddens.stack()


def _backward(arguments, kept, mask, frames, d_outputs, d_hidden, d_cell):
    """Derivatives by the arguments; d_... are derivatives of the loss by what `_lstm` gives out."""
    features, kernel, recurrent_kernel, *_ = arguments
    gates, cells, hiddens = kept
    units, size = recurrent_kernel.shape[0], tf.shape(features)[1]
    scale = _scale(units)
    d_outputs = tf.transpose(d_outputs, [1, 0, 2])
    valid = None if mask is None else tf.transpose(mask)[:, :, None]
    scaled = recurrent_kernel * scale

    def to_hidden(d_input):
        # XLA multiplies a few rows by a transposed matrix faster one by one.
        few = (d_input.shape[0] or _BATCH) < 5
        rows = tf.split(d_input, d_input.shape[0]) if few else [d_input]
        return tf.concat([tf.matmul(row, scaled, transpose_b=True) for row in rows], 0)

    def step(t, d_hidden, d_cell, d_inputs):
        i, f, candidate, o = tf.split(gates[t], 4, axis=1)
        squashed = tf.tanh(cells[t + 1])
        d_now = d_hidden + d_outputs[t]
        d_next = d_cell + d_now * (0.5 * (o + 1) * (1 - squashed * squashed))
        d_input = tf.concat([d_next, d_next, d_next, d_now], 1)
        d_input *= tf.concat([candidate, cells[t], i + 1, squashed], 1)
        d_input *= 0.5 - 0.5 * gates[t] * gates[t]
        if valid is None:
            d_hidden, d_cell = to_hidden(d_input), 0.5 * (f + 1) * d_next
        else:
            d_input = tf.where(valid[t], d_input, 0.0)
            d_hidden = to_hidden(d_input) + tf.where(valid[t], 0.0, d_now)
            d_cell = tf.where(valid[t], 0.5 * (f + 1) * d_next, d_cell)
        return t - 1, d_hidden, d_cell, d_inputs.write(t, d_input)

    d_inputs = _array(size, features.shape[0], 4 * units)
    loop = frames - 1, d_hidden, d_cell, d_inputs
    _, d_hidden, d_cell, d_inputs = tf.while_loop(lambda t, *_: t >= 0, step, loop)
    d_inputs = tf.reshape(d_inputs.stack(), [-1, 4 * units])

    def weights_gradient(x):  # x [T, B, anything]
        return tf.matmul(tf.reshape(x, [-1, x.shape[2]]), d_inputs, transpose_a=True) * scale

    d_features = tf.reshape(d_inputs @ tf.transpose(kernel * scale), [size, -1, features.shape[2]])
    d_bias = tf.reduce_sum(d_inputs, 0) * scale
    features = tf.transpose(features, [1, 0, 2])
    d_weights = weights_gradient(features), weights_gradient(hiddens[:-1]), d_bias
    return tf.transpose(d_features, [1, 0, 2]), *d_weights, d_hidden, d_cell
