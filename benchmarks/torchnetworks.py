"""The networks in PyTorch, as its users write them: what ours are held against, and timed beside."""

import numpy as np
import torch
import torch.nn.functional as F

from cnnfilter.nn.models.lenet import CONNECTION_TABLE


class Reference:
    """The operations of PyTorch on tensors by name."""

    def __init__(self, tensors):
        self.tensors = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}

    def conv(self, name, x, **options):
        return F.conv2d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), **options)

    def dense(self, name, x):
        return F.linear(x.flatten(1), self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def norm(self, name, x, eps=1e-5):
        parts = (self.tensors[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=eps)


def lenet5(r, x):
    def pool(name, x):
        weight, bias = (r.tensors[f"{name}.{n}"][:, None, None] for n in ("weight", "bias"))
        return f(4 * F.avg_pool2d(x, 2) * weight + bias)

    def f(x):
        return 1.7159 * torch.tanh(2 / 3 * x)

    mask = torch.from_numpy(CONNECTION_TABLE.astype(np.float32))[..., None, None]
    x = pool("s2", f(r.conv("c1", x)))
    x = pool("s4", f(F.conv2d(x, r.tensors["c3.weight"] * mask, r.tensors["c3.bias"])))
    x = f(r.dense("f6", f(r.conv("c5", x))))
    return -(torch.cdist(x[None], r.tensors["output.running_codes"][None])[0] ** 2)


def lenet5_modern(r, x):
    for conv in ("c1", "c3"):
        x = F.max_pool2d(F.relu(r.conv(conv, x)), 2)
    return r.dense("output", F.relu(r.dense("f6", F.relu(r.conv("c5", x)))))


def alexnet(r, x):
    def lrn(x):
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)  # PyTorch divides alpha by 5

    x = F.max_pool2d(lrn(F.relu(r.conv("conv1", x, stride=4))), 3, 2)
    x = F.max_pool2d(lrn(F.relu(r.conv("conv2", x, padding=2, groups=2))), 3, 2)
    x = F.relu(r.conv("conv3", x, padding=1))
    x = F.relu(r.conv("conv4", x, padding=1, groups=2))
    x = F.max_pool2d(F.relu(r.conv("conv5", x, padding=1, groups=2)), 3, 2)
    return r.dense("fc8", F.relu(r.dense("fc7", F.relu(r.dense("fc6", x)))))


def alexnet_torchvision(r, x):
    x = F.max_pool2d(F.relu(r.conv("features.0", x, stride=4, padding=2)), 3, 2)
    x = F.max_pool2d(F.relu(r.conv("features.3", x, padding=2)), 3, 2)
    for name in ("features.6", "features.8", "features.10"):
        x = F.relu(r.conv(name, x, padding=1))
    x = F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2), 6)
    return r.dense("classifier.6", F.relu(r.dense("classifier.4", F.relu(r.dense("classifier.1", x)))))


def googlenet_by(unit, fifth, last_pool, stem):
    def run(r, x):
        def inception(which, x):
            name = f"inception{which}"
            two = unit(r, f"{name}.branch2.1", unit(r, f"{name}.branch2.0", x), padding=1)
            three = unit(r, f"{name}.branch3.1", unit(r, f"{name}.branch3.0", x), padding=fifth)
            four = unit(r, f"{name}.branch4.1", F.max_pool2d(x, 3, 1, 1))
            return torch.cat([unit(r, f"{name}.branch1", x), two, three, four], 1)

        x = stem(F.max_pool2d(unit(r, "conv1", x, stride=2, padding=3), 3, 2, ceil_mode=True))
        x = stem(unit(r, "conv3", unit(r, "conv2", x), padding=1))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for which in ("3a", "3b"):
            x = inception(which, x)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for which in ("4a", "4b", "4c", "4d", "4e"):
            x = inception(which, x)
        x = F.max_pool2d(x, last_pool, 2, ceil_mode=True)
        return r.dense("fc", F.adaptive_avg_pool2d(inception("5b", inception("5a", x)), 1))

    return run


def _plain(r, name, x, **options):
    return F.relu(r.conv(name, x, **options))


def _normalised(r, name, x, **options):
    return F.relu(r.norm(f"{name}.bn", r.conv(f"{name}.conv", x, **options), 1e-3))


def _paper_lrn(x):
    return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def resnet(blocks, bottleneck=False, small=False):
    def block(r, name, x, stride):
        steps = [(1, 1, 0), (2, stride, 1), (3, 1, 0)] if bottleneck else [(1, stride, 1), (2, 1, 1)]
        y = x
        for i, step, padding in steps:
            y = r.norm(f"{name}.bn{i}", r.conv(f"{name}.conv{i}", y, stride=step, padding=padding))
            y = F.relu(y) if i < len(steps) else y
        if f"{name}.downsample.0.weight" in r.tensors:
            x = r.norm(f"{name}.downsample.1", r.conv(f"{name}.downsample.0", x, stride=stride))
        elif y.shape != x.shape:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)

    def run(r, x):
        x = F.relu(r.norm("bn1", r.conv("conv1", x, stride=2 - small, padding=1 if small else 3)))
        x = x if small else F.max_pool2d(x, 3, 2, 1)
        for i, count in enumerate(blocks):
            for j in range(count):
                x = block(r, f"layer{i + 1}.{j}", x, 2 if i and not j else 1)
        return r.dense("fc", F.adaptive_avg_pool2d(x, 1))

    return run


def highway(r, x):
    x = F.relu(r.dense("enter", x))
    for i in range(1, 11):
        t = torch.sigmoid(r.dense(f"highway{i}.gate", x))
        x = F.relu(r.dense(f"highway{i}.transform", x)) * t + x * (1 - t)
    return r.dense("output", x)


def highway_convolutional(r, x):
    for i in (1, 2, 3):
        x = F.max_pool2d(F.relu(r.conv(f"conv{i}", x, padding=1)), 2)
        for part in "ab":
            t = torch.sigmoid(r.conv(f"highway{i}{part}.gate", x, padding=1))
            x = F.relu(r.conv(f"highway{i}{part}.transform", x, padding=1)) * t + x * (1 - t)
    return r.dense("output", F.adaptive_avg_pool2d(x, 1))


REFERENCES = {
    "lenet5": lenet5,
    "lenet5-modern": lenet5_modern,
    "alexnet": alexnet,
    "alexnet-torchvision": alexnet_torchvision,
    "googlenet": googlenet_by(_plain, 2, 3, _paper_lrn),
    "googlenet-torchvision": googlenet_by(_normalised, 1, 2, lambda x: x),
    "resnet18": resnet((2, 2, 2, 2)),
    "resnet34": resnet((3, 4, 6, 3)),
    "resnet50": resnet((3, 4, 6, 3), bottleneck=True),
    "resnet20": resnet((3, 3, 3), small=True),
    "highway": highway,
    "highway-convolutional": highway_convolutional,
}
