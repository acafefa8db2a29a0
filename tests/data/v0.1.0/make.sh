#!/usr/bin/env bash
# What version 0.1.0 wrote: made once, with that version, and never again. tests/test_version_0_1_0.py reads it.
set -euo pipefail
cd "$(dirname "$0")"
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT

python - "$run" <<'PYTHON'
import sys
import numpy as np
from PIL import Image
random = np.random.default_rng(0)
rows, columns = np.mgrid[:48, :50]
image = 128 + 30 * np.sin(rows / 3)[..., None] * np.cos(columns[..., None] / np.array([2, 4, 7]))
Image.fromarray((image + random.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)).save("input.png")
Image.open("input.png").convert("L").resize((50, 90)).save("before.png")
digits = random.integers(0, 256, (12, 32, 32), np.uint8)
np.savez(f"{sys.argv[1]}/data.npz", images=digits, labels=np.arange(12) % 2)
PYTHON

for form in json txt csv npy; do
    cnnfilter kernel gaussian --size 5 --sigma 1.4 --integer -o "template.$form"
done
cnnfilter convolve --kernel "0 1 0; 1 2 1; 0 2 0 / 7" input.png -o "$run/sharp.png"
cnnfilter learn input.png "$run/sharp.png" --bias --size 3 -o kernel-with-bias.json
cnnfilter learn input.png "$run/sharp.png" --colour mixed --size 3 -o mixed.safetensors
cnnfilter gaussian before.png -o after.png
cnnfilter learn before.png after.png --layers 2 --channels 2 --steps 20 -o stack.safetensors
cnnfilter net train highway --set units=2 --set layers=1 --data "$run/data.npz" --epochs 2 -q -o network.safetensors
cp "$run/data.npz" data.npz

python - <<'PYTHON'
# The same trainings, interrupted half way.
from contextlib import suppress

from cnnfilter.imagefile import read
from cnnfilter.learning.stack import StackOptions, learn_stack
from cnnfilter.nn.data import read_data
from cnnfilter.nn.fit import Training
from cnnfilter.nn.models import build
from cnnfilter.nn.models.recipes import recipe

def interrupt(step, steps, quality):
    if step == 10:
        raise KeyboardInterrupt

pair = [read(name).frames[0] for name in ("before.png", "after.png")]
with suppress(KeyboardInterrupt):
    options = StackOptions(layers=2, maps=2, steps=20)
    learn_stack(*pair, options, checkpoint="stack.safetensors.checkpoint", progress=interrupt)

network = build("highway", units=2, layers=1, classes=2)
rules = recipe("highway", epochs=2)
rest, valid = read_data("data.npz", None, network.shape, network.preprocessing).split(0.1, rules.seed)
training = Training(network.initialise(rules.seed), rules)
training.run_epoch(rest, valid)
training.save("network.safetensors.checkpoint")
PYTHON

python - <<'PYTHON'
import shlex
import subprocess
import numpy as np
from PIL import Image

outputs = []
for line in open("commands.txt"):
    png = subprocess.run(["cnnfilter", *shlex.split(line), "input.png", "-o", "-"], stdout=-1, check=True).stdout
    open("output.png", "wb").write(png)
    outputs.append(np.asarray(Image.open("output.png"))[::5, ::5])
np.savez_compressed("outputs.npz", *outputs)
PYTHON
rm output.png

python - > options.json <<'PYTHON'
import json

import click
from cnnfilter.cli.group import cnnfilter


def options(group, context):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from options(command, below)
        else:
            opts = [o for p in command.get_params(below) for o in (*p.opts, *p.secondary_opts) if o[0] == "-"]
            yield below.command_path, sorted(opts)


print(json.dumps(dict(options(cnnfilter, click.Context(cnnfilter, info_name="cnnfilter")))))
PYTHON
