"""A tiny network in numbers: what it tells is what the equations of the notes give."""

import json

import numpy as np
import pytest
from commandline import cnnfilter, complaint

from cnnfilter.cli.net.tracing import ACTIVATIONS
from cnnfilter.errors import ParameterError
from cnnfilter.nn import functional
from cnnfilter.seeing.trace import tell, trace


def some(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def correlated(kernel: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Equation 13, term by term."""
    (rows, columns), (height, width) = kernel.shape, image.shape
    return np.array(
        [
            [
                sum(kernel[u, v] * image[i + u, j + v] for u in range(rows) for v in range(columns))
                for j in range(width - columns + 1)
            ]
            for i in range(height - rows + 1)
        ]
    )


class TestNumbers:
    def test_forward_and_back_are_the_equations(self):
        maps, kernels, delta = some(2, 5, 6), some(2, 2, 3, seed=1), some(2, 2, seed=2)
        found = trace(list(maps), list(kernels), bias=0.5, activation="sigmoid", pool="mean", delta=delta)
        net = sum(correlated(w, x) for w, x in zip(kernels, maps, strict=True)) + 0.5
        active = 1 / (1 + np.exp(-net))
        pooled = active.reshape(2, 2, 2, 2).mean(axis=(1, 3))
        own = active * (1 - active) * np.kron(delta, np.ones((2, 2))) / 4
        assert np.allclose(found.forward.net[0, 0], net)
        assert np.allclose(found.forward.active[0, 0], active)
        assert np.allclose(found.forward.output[0, 0], pooled)
        assert np.allclose(found.own[0, 0], own)
        for d in range(2):
            assert np.allclose(found.by_kernels[0, d], correlated(own, maps[d]))
            wide = np.pad(own, ((1, 1), (2, 2)))
            assert np.allclose(found.by_maps[0, d], correlated(kernels[d][::-1, ::-1], wide))
        assert found.by_bias == pytest.approx(own.sum())

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("pool", [None, "max", "mean"])
    def test_differences_agree(self, activation, pool):
        """Windows overlap, so that gradients add up."""
        found = trace(
            [some(5, 5)], [some(2, 2, seed=3)], bias=0.1, activation=activation, pool=pool, stride=(1, 1)
        )
        kernels, bias, maps = found.differences
        assert np.allclose(found.by_kernels, kernels, atol=2e-6)
        assert found.by_bias == pytest.approx(bias, abs=2e-6)
        assert np.allclose(found.by_maps, maps, atol=2e-6)
        assert "kink" not in tell(found)

    def test_a_signal_and_its_loss(self):
        found = trace([np.array([1.0, 2, 3])], [np.array([1.0, -1])], activation="identity")
        assert found.forward.output.ravel().tolist() == [-1, -1]
        assert found.delta.ravel().tolist() == [1, 1]
        assert found.by_kernels.ravel().tolist() == [3, 5]

    def test_kinks_are_told(self):
        words = tell(trace([np.ones((2, 2))], [np.ones((1, 1))], pool="max"))
        assert words.endswith("the loss has a kink there.")


class TestRefusals:
    @pytest.mark.parametrize(
        ("maps", "kernels", "more", "message"),
        [
            ([(2, 2)], [], {}, "maps: 1, kernels: 0"),
            ([(2, 2), (2, 3)], [(1, 1), (1, 1)], {}, "maps of 2x2, 2x3; all need one size"),
            ([(2, 2), (2, 2)], [(1, 1), (1, 2)], {}, "kernels of 1x1, 1x2"),
            ([(33, 32)], [(1, 1)], {}, "1056 values are too many"),
            ([(2, 2)], [(3, 3)], {}, "the output would be empty"),
            ([(2, 2)], [(1, 1)], {"pool": "max", "size": (3, 3)}, "the output would be empty"),
            ([(2, 2)], [(1, 1)], {"delta": np.ones((1, 2))}, "delta is of 1x2; the output is of 2x2"),
        ],
    )
    def test_say_what_does_not_fit(self, maps, kernels, more, message):
        with pytest.raises(ParameterError, match=message):
            trace([np.ones(shape) for shape in maps], [np.ones(shape) for shape in kernels], **more)


class TestCommand:
    def test_activations_are_those_of_single_values(self):
        assert set(ACTIVATIONS) == set(functional.ACTIVATIONS) - {"softmax", "log_softmax"}

    def test_tables_under_the_numbers_of_the_notes(self):
        said = cnnfilter(
            "net", "trace", "--matrix", "1 0; 2 1", "--matrix", "3 1; 1 0",
            "--kernel", "1 -1", "--kernel", "2 1 / 2", "--bias", "-1",
            "--pool", "mean", "--size", "2x1", "--delta", "6",
        ).stdout.decode()  # fmt: skip
        parts = said.rstrip().split("\n\n")
        assert "Z = W1 ⊗ X1 + W2 ⊗ X2 + b  (33)\n3.5\n  1" in parts
        assert "mean of each window of Y  (37)\n2.25" in parts
        assert "∂L/∂b = sum of δ  (42)  6; by differences 6" in parts
        assert parts[-2].splitlines()[1].split() == ["3", "-3", "3", "-3"]

    def test_json_holds_every_number_with_all_its_digits(self):
        maps, kernels, delta = some(2, 4, 4), some(2, 1, 2, seed=1), some(2, 1, seed=2)

        def typed(matrix):
            return ";".join(" ".join(map(repr, row)) for row in matrix.tolist())

        words = [word for matrix in maps for word in ("--matrix", typed(matrix))]
        words += [word for matrix in kernels for word in ("--kernel", typed(matrix))]
        words += ["--activation", "tanh", "--pool", "mean", "--delta", typed(delta), "--bias", "0.1"]
        said = json.loads(cnnfilter("net", "trace", *words, "--json").stdout)
        found = trace(list(maps), list(kernels), bias=0.1, activation="tanh", pool="mean", delta=delta)
        for name, wanted in {
            "maps": found.maps[0], "kernels": kernels, "net": found.forward.net[0, 0],
            "active": found.forward.active[0, 0], "output": found.forward.output[0, 0], "delta_output": delta,
            "by_active": found.up[0, 0], "slope": found.slope[0, 0], "delta": found.own[0, 0],
            "by_kernels": found.by_kernels[0], "by_maps": found.by_maps[0], "by_bias": found.by_bias,
        }.items():  # fmt: skip
            np.testing.assert_array_equal(said[name], wanted, err_msg=name)
        assert (said["bias"], said["activation"]) == (0.1, "tanh")
        assert said["pool"] == {"kind": "mean", "size": [2, 2], "stride": [2, 2]}
        np.testing.assert_allclose(said["by_differences"]["kernels"], said["by_kernels"], atol=2e-6)
        np.testing.assert_allclose(said["by_differences"]["maps"], said["by_maps"], atol=2e-6)
        assert said["by_differences"]["bias"] == pytest.approx(said["by_bias"], abs=2e-6)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            (["--delta", "1 x"], "'x' is not a number"),
            (["--pool", "avg"], "did you mean 'mean'?"),
            (["--kernel", "1 2"], "maps: 1, kernels: 2"),
        ],
    )
    def test_what_it_does_not_take(self, more, words):
        assert words in complaint(
            cnnfilter("net", "trace", "--matrix", "1 2", "--kernel", "1", *more, status=2)
        )


def test_what_is_wrong_is_said_of_the_matrix_that_is_meant():
    given = ("net", "trace", "--matrix", "1 2", "--kernel", "1")
    for words, told in (
        (("--matrix", "1 x", "--kernel", "1"), "matrix 2: at row 1, column 2: 'x' is not a number"),
        (("--delta", "1 x"), "delta: at row 1, column 2"),
        (("--matrix", "1 2", "--kernel", "1 y"), "'1 y' is taken for the weights of a kernel"),
    ):
        assert told in complaint(cnnfilter(*given, *words, status=2))


def test_the_derivative_of_the_output_says_where_it_comes_from():
    given = ("net", "trace", "--matrix", "1 2", "--kernel", "1")
    assert "∂L/∂output, 1 each: L is the sum of the outputs\n" in cnnfilter(*given).stdout.decode()
    assert "∂L/∂output, given\n" in cnnfilter(*given, "--delta", "1 2").stdout.decode()
