"""Files that several tests of the command line begin with."""

import numpy as np
import pytest
from commandline import picture
from networkfiles import bars, net
from PIL import Image
from skimage import data

from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.nn.models import build


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photographs in a folder, which is the current one's `photos`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.jpg")):
        picture(tmp_path / "photos" / name, seed=number)
    return tmp_path


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with photographs, bars to learn, and networks with weights."""
    place = tmp_path_factory.mktemp("nets")
    Image.fromarray(data.astronaut()[:400]).save(place / "astronaut.png")
    Image.fromarray(data.camera()).save(place / "camera.png")
    bars(place / "bars")
    tensors = build("resnet18", classes=5).initialise(0).tensors()
    tensors["fc.weight"] *= np.float32(0.02)  # so that no class is sure
    write_tensors(place / "resnet18.safetensors", tensors)
    write_tensors(place / "lenet5.safetensors", build("lenet5").initialise(0).tensors())
    net("train", "lenet5-modern", "--data", place / "bars", "-o", place / "bars.safetensors", "--epochs", 4)
    return place
