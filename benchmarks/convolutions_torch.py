"""The encoders of ctc_tutorial/encoders.py in PyTorch, for benchmarks/convolutions.py."""

import torch
from torch import nn
from torch.nn import functional


class MaskedNormReLU(nn.Module):
    """Batch norm over the valid frames, ReLU, zeros beyond: x [B, D, T] or [B, D, T, H], [B]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x, lengths):
        one = (1, -1, *[1] * (x.ndim - 2))
        valid = torch.arange(x.shape[2]) < lengths[:, None]
        valid = valid.reshape(valid.shape[0], 1, -1, *one[3:]).to(x.dtype)
        over = [axis for axis in range(x.ndim) if axis != 1]
        count = valid.sum() * (x.shape[3] if x.ndim == 4 else 1)
        mean = (x * valid).sum(over) / count
        variance = ((x - mean.reshape(one)).square() * valid).sum(over) / count
        with torch.no_grad():
            self.mean.lerp_(mean, 0.1), self.variance.lerp_(variance, 0.1)
        scale = self.gamma * (variance + 1e-3).rsqrt()
        shift = self.beta - mean * scale
        return functional.relu(x * scale.reshape(one) + shift.reshape(one)) * valid


class Reader(nn.Module):
    """`image_encoder` or `audio_encoder` and the dense layer, for training only."""

    def __init__(self, task: str, weights: list) -> None:
        """`weights`: the trainable ones of the Keras model, in its order."""
        super().__init__()
        self.images = task == "digits"
        self.pools = ((2, 1), (1, 2), (1, 2), None) if self.images else (2, 2, None, None)
        # Where a dropout stands before the convolution.
        self.dropped = (False, False, False, True) if self.images else (False, False, True, True)
        self.dilations = (1, 1, 1, 1) if self.images else (1, 1, 1, 2)
        self.dropout = nn.Dropout(0.2)
        kernels = [torch.tensor(w) for w in weights[:-2:3]]
        kernels = [k.permute(-1, -2, *range(k.ndim - 2)).contiguous() for k in kernels]
        self.kernels = nn.ParameterList(kernels)
        self.norms = nn.ModuleList(MaskedNormReLU(k.shape[0]) for k in kernels)
        self.dense = nn.Linear(*weights[-2].shape)
        with torch.no_grad():
            self.dense.weight.copy_(torch.tensor(weights[-2].T))
            self.dense.bias.copy_(torch.tensor(weights[-1]))

    def forward(self, features, lengths):
        """Logits [B, T', C] and their lengths [B] from features [B, T, F]."""
        x = features[:, None] if self.images else features.transpose(1, 2)
        for i, (kernel, norm, pool) in enumerate(
            zip(self.kernels, self.norms, self.pools, strict=True)
        ):
            if x.ndim == 4 and kernel.ndim == 3:  # [B, D, T, H] to [B, H D, T], as Keras reshapes
                x = x.permute(0, 3, 1, 2).flatten(1, 2)
            if self.dropped[i]:
                x = self.dropout(x)
            if kernel.ndim == 4:
                x = functional.max_pool2d(functional.conv2d(x, kernel, padding="same"), pool)
                lengths = lengths // pool[0]
            else:
                dilation = self.dilations[i]
                x = functional.conv1d(x, kernel, padding="same", dilation=dilation)
                if pool:
                    x, lengths = functional.max_pool1d(x, pool), lengths // pool
            x = norm(x, lengths)
        return self.dense(self.dropout(x).transpose(1, 2)), lengths


def loss_of(model: Reader, features, lengths, ids, label_length):
    """Mean CTC loss of the batch; `ids` are the labels of all rows, one after the other."""
    logits, lengths = model(features, lengths)
    log_p = logits.log_softmax(-1).transpose(0, 1)
    losses = functional.ctc_loss(
        log_p,
        ids.long(),
        lengths.long(),
        label_length,
        blank=logits.shape[-1] - 1,
        reduction="none",
    )
    return losses.mean()
