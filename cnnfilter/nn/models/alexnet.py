"""AlexNet: the paper of 2012, and torchvision's."""

from cnnfilter.nn.layers import Convolution, Dense, Dropout
from cnnfilter.nn.layers_normalising import LocalResponse
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling
from cnnfilter.nn.network import Network, Preprocessing, relu

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet(crop: int = 224) -> Preprocessing:
    """Resize the short side to 256, take the middle, and even out by the mean and deviation of ImageNet."""
    return Preprocessing(256, crop, IMAGENET_MEAN, IMAGENET_STD)


def alexnet(classes: int = 1000) -> Network:
    """AlexNet of 2012: two groups, as on its two processors; 60,965,224 parameters."""
    return Network("alexnet", (3, 227, 227), [
        Convolution("conv1", 96, 11, stride=4), relu(),
        LocalResponse(), MaxPooling(3, 2),
        Convolution("conv2", 256, 5, padding=2, groups=2, bias_at=1), relu(),
        LocalResponse(), MaxPooling(3, 2),
        Convolution("conv3", 384, 3, padding=1), relu(),
        Convolution("conv4", 384, 3, padding=1, groups=2, bias_at=1), relu(),
        Convolution("conv5", 256, 3, padding=1, groups=2, bias_at=1), relu(),
        MaxPooling(3, 2),
        Dense("fc6", 4096, bias_at=1), relu(), Dropout(0.5),
        Dense("fc7", 4096, bias_at=1), relu(), Dropout(0.5),
        Dense("fc8", classes),
    ], preprocessing=imagenet(227))  # fmt: skip


def alexnet_torchvision(classes: int = 1000) -> Network:
    """AlexNet of torchvision: narrower, one group, no local response; 61,100,840 parameters."""
    return Network("alexnet-torchvision", (3, 224, 224), [
        Convolution("features.0", 64, 11, stride=4, padding=2), relu(), MaxPooling(3, 2),
        Convolution("features.3", 192, 5, padding=2), relu(), MaxPooling(3, 2),
        Convolution("features.6", 384, 3, padding=1), relu(),
        Convolution("features.8", 256, 3, padding=1), relu(),
        Convolution("features.10", 256, 3, padding=1), relu(), MaxPooling(3, 2),
        AdaptiveMeanPooling(6),
        Dropout(0.5), Dense("classifier.1", 4096), relu(),
        Dropout(0.5), Dense("classifier.4", 4096), relu(),
        Dense("classifier.6", classes),
    ], preprocessing=imagenet())  # fmt: skip
