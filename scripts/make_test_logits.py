"""Logits of a half-trained model, for the tests of the decoders (needs the package).

    python scripts/make_test_logits.py    # writes tests/data/logits.npz

The lesson's model and both its utterances (the bundled recording), after 60 of the lesson's 400
steps: it reads nearly everything and is in doubt about some letters. The tests that use the file
hold for other logits of this kind, too, so it need not come out the same on every machine.
"""

from pathlib import Path

import numpy as np

import ctc_tutorial as ctc

STEPS = 60
RESULT = Path(__file__).parents[1] / "tests" / "data" / "logits.npz"


def main() -> None:
    utterances = ctc.make_lesson_pair(ctc.load_sentence())
    alphabet = ctc.Alphabet()
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in utterances]
    labels = [alphabet.encode(u.text) for u in utterances]
    train_model, predict_model = ctc.build_models(
        ctc.lstm_encoder, num_features=13, num_classes=alphabet.num_classes, seed=0
    )
    train_model.compile(ctc.lesson_optimizer(400))
    train_model.fit(ctc.pad_batch(features, labels), epochs=STEPS, shuffle=False, verbose=0)
    outputs = predict_model.predict(ctc.pad_batch(features), verbose=0)
    print([alphabet.decode(ids) for ids in ctc.greedy_decode(**outputs)])
    np.savez_compressed(RESULT, **outputs)


if __name__ == "__main__":
    main()
