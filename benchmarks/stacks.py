"""3x3 layers on a whole photograph, alone and as stacks, beside PyTorch and ONNX Runtime.

    python -m benchmarks.stacks [--threads 1 2] [--rounds 3] [--size 1000x1500] [--clock wall] [NAME...]

Both are optional (`pip install -e '.[bench,torch,onnx]' onnxruntime`). A layer is named by its maps, "12-48";
those of a stack follow each other, "12-48-48-12", with a rectifier between two of them. Zeros stand beside
the maps. Each side runs in a process of its own, in turns, for idle threads of one library would spin on the
cores that the other needs; their results are compared.

Printed are multiply-adds a second, those of the plain sum whatever a side makes of them, of the fastest call
of each side; how large a share that is of what registers can do, which may be above 1; and how many times as
long the others take. On a machine that others use as well, `--clock processor --threads 1` counts the time
of the process alone.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

NAMES = (
    "16-16", "32-32", "48-48", "64-64", "12-48", "48-12", "3-32", "32-3",
    "3-16-16-3", "12-32-32-32-32-32-12", "12-48-48-48-48-48-48-48-12",
)  # fmt: skip
SIDES = {"ours": "cnnfilter", "PyTorch": "torch", "ONNX Runtime": "onnxruntime"}
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}

Array = np.ndarray


def weights_of(name: str) -> list[Array]:
    """Kernels of random weights that keep the size of what passes, the same in each process."""
    random = np.random.default_rng(0)
    return [
        (random.standard_normal((maps, depth, 3, 3)) / np.sqrt(4.5 * depth)).astype(np.float32)
        for depth, maps in pairwise(map(int, name.split("-")))
    ]


def ours(weights: list[Array]) -> Callable[[Array], Array]:
    from cnnfilter.nn.layers import Activation, Convolution
    from cnnfilter.nn.layers_joining import Sequence

    layers: list[Convolution | Activation] = []
    for k, weight in enumerate(weights):
        layer = Convolution(str(k), len(weight), 3, padding=1, bias=False)
        layer.parameters = {"weight": weight}
        layers += [layer, Activation("relu")]
    return Sequence("", layers[:-1]).forward


def pytorch(weights: list[Array], threads: int) -> Callable[[Array], Array]:
    import torch

    torch.set_num_threads(threads)
    tensors = [torch.from_numpy(weight) for weight in weights]

    def run(x: Array) -> Array:
        with torch.inference_mode():
            y = torch.from_numpy(x)
            for tensor in tensors[:-1]:
                y = torch.nn.functional.conv2d(y, tensor, padding=1).relu_()
            return torch.nn.functional.conv2d(y, tensors[-1], padding=1).numpy()

    return run


def onnx_runtime(weights: list[Array], threads: int) -> Callable[[Array], Array]:
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    nodes, at = [], "x"
    for k in range(len(weights)):
        nodes.append(helper.make_node("Conv", [at, f"w{k}"], [f"y{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"y{k}"], [f"x{k}"]))
        at = f"x{k}"
    shapes = [("x", weights[0].shape[1]), (nodes[-2].output[0], len(weights[-1]))]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, maps, "rows", "columns"])
        for name, maps in shapes
    ]
    constants = [numpy_helper.from_array(weight, f"w{k}") for k, weight in enumerate(weights)]
    graph = helper.make_graph(nodes[:-1], "stack", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def measure(side: str, options: argparse.Namespace, size: tuple[int, int]) -> float:
    """Return the seconds of the fastest call, and leave a part of what it returned in a file."""
    (name,), (threads,), clock = options.names, options.threads, CLOCKS[options.clock]
    weights = weights_of(name)
    if side == "ours":
        call = ours(weights)
    else:
        call = (pytorch if side == "PyTorch" else onnx_runtime)(weights, threads)
    x = np.random.default_rng(1).standard_normal((1, weights[0].shape[1], *size), np.float32)
    np.save(options.kept, call(x)[0, :, :64, :64])
    times: list[float] = []
    end = time.perf_counter() + options.seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        call(x)
        times.append(clock() - start)
    return min(times)


def run(side: str, name: str, threads: int, options: argparse.Namespace) -> tuple[float, Array]:
    """`measure` in a process of its own."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CNNFILTER_THREADS")
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "result.npy")
        command = [
            sys.executable, "-m", "benchmarks.stacks", name, "--side", side, "--threads", str(threads),
            "--size", options.size, "--seconds", str(options.seconds), "--clock", options.clock,
            "--kept", file,
        ]  # fmt: skip
        environment = os.environ | dict.fromkeys(variables, str(threads))
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return float(json.loads(done.stdout)), np.load(file)


def table(options: argparse.Namespace, size: tuple[int, int]) -> None:
    """Print the rows of all stacks."""
    from benchmarks.limits import peak

    sides = [side for side, package in SIDES.items() if importlib.util.find_spec(package)]
    for threads in options.threads:
        most = peak("f32", threads) / 1e9
        print(f"{threads} thread(s), {options.size} pixels; registers: {most:.1f} G multiply-adds/s")
        print(f"{'maps':28} {'ours':>7} {'of peak':>8}", *(f"{side:>13} {'ratio':>5}" for side in sides[1:]))
        for name in options.names:
            work = sum(weight.size for weight in weights_of(name)) * size[0] * size[1] / 1e9
            least = dict.fromkeys(sides, float("inf"))
            for _ in range(options.rounds):
                results = {}
                for side in sides:
                    seconds, results[side] = run(side, name, threads, options)
                    least[side] = min(least[side], seconds)
                for side in sides[1:]:
                    np.testing.assert_allclose(results[side], results["ours"], atol=1e-3)
            first = least["ours"]
            row = f"{name:28} {work / first:7.1f} {work / first / most:8.2f}"
            for side in sides[1:]:
                row += f" {work / least[side]:13.1f} {least[side] / first:5.2f}"
            print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1000x1500", help="rows x columns of the maps")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each side of a round")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--kept", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows, columns = map(int, options.size.split("x"))
    if options.side is None:
        table(options, (rows, columns))
        return
    print(measure(options.side, options, (rows, columns)))


if __name__ == "__main__":
    main()
