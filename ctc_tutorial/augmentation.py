# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""More voices out of few: sound and features changed at random, for training only.

Taught in notebook 09_hearing_what_it_never_heard. This file stands alone: it needs NumPy and Keras.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops


def stretch_time(features: np.ndarray, factor: float) -> np.ndarray:
    """The same features in `factor` times as many frames: slower or faster speech, the same pitch.

    Sound that is played faster is higher, too, as if the speaker were smaller. Changing both, and
    then the time alone, gives fast low voices and slow high ones. Frames between two others are
    mixed of them (linear interpolation); keep to factors between 0.5 and 2.

    Args:
        features: [T, F] with at least one frame.
        factor: above 1 is slower.

    Returns:
        float32 [round(factor * T), F], at least one frame; its first and last are those of the
        features, but for a single one.

    Raises:
        ValueError: features that are not [T, F] or have no frame, or a factor that is not positive
            and finite.

    >>> stretch_time(np.array([[0.0], [2.0], [4.0]]), factor=5 / 3)[:, 0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(f"features of shape {features.shape}: give [T, F] with at least one frame")
    if not (factor > 0 and math.isfinite(factor)):
        raise ValueError(f"factor={factor}: give a positive number, above 1 for slower speech")
    places = np.linspace(0, len(features) - 1, max(1, round(factor * len(features))))
    before = places.astype(int)
    after = np.minimum(before + 1, len(features) - 1)
    share = (places - before)[:, None]
    return ((1 - share) * features[before] + share * features[after]).astype(np.float32)


def add_noise(waveform: np.ndarray, decibels: float, seed: int) -> np.ndarray:
    """White noise beside the sound, which is `decibels` stronger (signal-to-noise ratio).

    Args:
        waveform: [N]; its power is the mean over all of it, pauses included.
        decibels: 20 is a little hiss, 0 as much noise as sound.
        seed: the same seed gives the same noise.

    Returns:
        float32 [N].

    Raises:
        ValueError: a waveform that is not [N] with finite sound in it, or decibels that are not
            finite.

    >>> noisy = add_noise(np.full(8000, 1000.0), decibels=20, seed=0)
    >>> round(float(noisy.mean()), -1), round(float(noisy.std()), -1)
    (1000.0, 100.0)
    """
    waveform = np.asarray(waveform, np.float32)
    if waveform.ndim != 1 or not waveform.any() or not np.isfinite(waveform).all():
        raise ValueError(f"the waveform {waveform.shape} is not [N], not finite, or is silent")
    if not math.isfinite(decibels):
        raise ValueError(f"decibels={decibels}: give a finite number")
    strength = np.sqrt(np.mean(waveform**2)) * 10 ** (-decibels / 20)
    noise = np.random.default_rng(seed).standard_normal(len(waveform), np.float32)
    return waveform + np.float32(strength) * noise


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class SpecAugment(keras.layers.Layer):
    """Hides bands of features and spans of time, other ones in every utterance and every step.

    layer(features [B, T, F], feature_length [B]) -> features [B, T, F]. In training some of them
    become 0, which is the mean of normalised features; beyond an utterance's length nothing
    changes. In prediction it does nothing at all.

    Put it first, in an encoder of your own:

        def augmented_encoder(features, lengths, seed=None):
            features = SpecAugment(seed=seed)(features, lengths)
            return audio_encoder(features, lengths, seed=seed)

    A model saved with it needs this file to load. A model without it has the same weights:
    `plain_model.set_weights(model.get_weights())`.

    Args:
        frequency_masks: bands to hide in each utterance.
        frequency_width: a band is 0 to this many neighbouring features wide, drawn uniformly.
        time_masks: spans to hide in each utterance; they may overlap.
        time_width: a span is 0 to this many frames long,
        time_share: and at most this share of the utterance.
        seed: of what is drawn; by default it differs from layer to layer.

    Raises:
        ValueError: a negative number, or a share above 1; when it is called, bands wider than the
            features.

    Source: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
    Recognition", Interspeech 2019, section 2, without its time warping (which it found to give
    little); the limit by a share is from Park et al., "SpecAugment on Large Scale Datasets",
    ICASSP 2020.

    >>> layer = SpecAugment(1, 2, time_masks=1, time_width=3, time_share=1.0, seed=4)
    >>> features, lengths = np.ones((1, 8, 6), np.float32), np.array([7])
    >>> hidden = np.array(layer(features, lengths, training=True))[0]
    >>> print(hidden.astype(int).T)  # time from left to right
    [[1 0 0 1 1 1 1 1]
     [1 0 0 1 1 1 1 1]
     [1 0 0 1 1 1 1 1]
     [1 0 0 1 1 1 1 1]
     [0 0 0 0 0 0 0 1]
     [1 0 0 1 1 1 1 1]]
    >>> np.array(layer(features, lengths)).min()
    np.float32(1.0)
    """

    def __init__(
        self,
        frequency_masks: int = 2,
        frequency_width: int = 4,
        time_masks: int = 2,
        time_width: int = 15,
        time_share: float = 0.2,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options = {
            "frequency_masks": frequency_masks,
            "frequency_width": frequency_width,
            "time_masks": time_masks,
            "time_width": time_width,
            "time_share": time_share,
        }
        for name, number in self.options.items():
            if number < 0 or (name == "time_share" and number > 1):
                raise ValueError(f"{name}={number}: give 0 or more, and a share of at most 1")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, features_shape: tuple, *_: Any) -> None:
        width = self.options["frequency_width"]
        if features_shape[-1] < width:
            raise ValueError(
                f"frequency_width={width} is more than there are features: at most "
                f"{features_shape[-1]}"
            )

    def call(self, features: Any, feature_length: Any, training: bool = False) -> Any:
        if not training:
            return features
        options: dict[str, Any] = self.options
        batch, frames, _ = ops.shape(features)
        lengths = ops.expand_dims(ops.cast(feature_length, "float32"), 1)  # [B, 1]
        widest = ops.minimum(float(options["time_width"]), options["time_share"] * lengths)
        spans = self._drawn(batch, options["time_masks"], frames, widest, lengths)  # [B, T]
        size, all_of_it = features.shape[2], ops.full_like(lengths, features.shape[2])
        widest = ops.full_like(lengths, options["frequency_width"])
        bands = self._drawn(batch, options["frequency_masks"], size, widest, all_of_it)  # [B, F]
        places = ops.cast(ops.arange(frames), "float32")
        hidden = ops.expand_dims(spans, 2) | ops.expand_dims(bands, 1)
        hidden = hidden & ops.expand_dims(places < lengths, 2)
        return ops.where(hidden, ops.zeros_like(features), features)

    def _drawn(self, batch: Any, masks: Any, size: Any, widest: Any, lengths: Any) -> Any:
        """Which of `size` places lie in one of `masks` stretches within `lengths`: bool [B, size].

        Widths are drawn uniformly from 0 to `widest` [B, 1], then starts from those that fit."""

        def uniform() -> Any:
            return keras.random.uniform((batch, masks), seed=self.seed_generator)

        widths = ops.floor(uniform() * (ops.floor(widest) + 1))  # [B, masks]
        starts = ops.floor(uniform() * (lengths - widths + 1))
        places = ops.reshape(ops.cast(ops.arange(size), "float32"), (1, 1, -1))
        starts, ends = ops.expand_dims(starts, 2), ops.expand_dims(starts + widths, 2)
        return ops.any((places >= starts) & (places < ends), axis=1)

    def get_config(self) -> dict:
        return {**super().get_config(), **self.options, "seed": self.seed}
