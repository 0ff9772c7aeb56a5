# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""CTC loss in a layer on every Keras backend, JAX and PyTorch too. Taught in notebook 02.

`keras.ops.ctc_loss` takes both lengths and any blank. On TensorFlow it is the slow dense op: there,
layers.py is faster and does more.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class PortableCTCLossLayer(keras.layers.Layer):
    """Passes logits through and adds the mean of their CTC loss to the model.

    The blank is the last class. An utterance that CTC can't align is not refused, and its loss is
    inf or a number that means nothing, depending on the backend: check beforehand.

    >>> import numpy as np
    >>> logits = np.log([[[0.4, 1e-9, 0.6]] * 2]).astype("float32")  # classes a, b and blank
    >>> layer = PortableCTCLossLayer()
    >>> passed_through = layer(logits, np.array([[0]]), np.array([2]), np.array([1]))
    >>> f"p(a) = {np.exp(-float(layer.losses[0])):.2f}"  # "aa", "a-", "-a": 0.16 + 0.24 + 0.24
    'p(a) = 0.64'
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # mixed precision would round logits and labels

    def call(self, logits: Any, labels: Any, logit_length: Any, label_length: Any) -> Any:
        """Add the loss of one batch.

        Args:
            logits: [B, T, C], not probabilities; the last class is the blank.
            labels: class ids [B, L], dense and padded.
            logit_length: frames of each utterance, [B].
            label_length: labels of each utterance, [B].

        Returns:
            The logits, unchanged.

        Raises:
            ValueError: another rank, or another number of utterances than in the logits.
        """
        given = {"logits": (logits, 3), "labels": (labels, 2)}
        given |= {"logit_length": (logit_length, 1), "label_length": (label_length, 1)}
        for name, (values, rank) in given.items():
            shape = tuple(values.shape)
            if len(shape) != rank or len({shape[0], logits.shape[0], None}) > 2:
                raise ValueError(f"{name} has the shape {shape}, the logits have {logits.shape}")
        lengths = (ops.cast(n, "int32") for n in (label_length, logit_length))
        # One column more: without any, TensorFlow's op gives a wrong number.
        labels = ops.pad(ops.cast(labels, "int32"), [[0, 0], [0, 1]])
        blank = logits.shape[-1] - 1
        losses = ops.ctc_loss(labels, ops.cast(logits, "float32"), *lengths, mask_index=blank)
        self.add_loss(ops.mean(losses))
        return logits
