import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnfilter.core.linear import correlate
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.kernels.kernel import Kernel

shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=7)
integers = hnp.arrays(np.int64, shapes, elements=st.integers(-99, 99))
floats = hnp.arrays(np.float64, shapes, elements=st.floats(-1e3, 1e3))


class TestValue:
    def test_weights_are_a_float64_copy_of_two_dimensions(self):
        given_weights = np.array([1, 2, 1], dtype=np.int8)
        kernel = Kernel(given_weights, 4)
        given_weights[:] = 9
        assert kernel.weights.tolist() == [[1, 2, 1]]
        assert kernel.weights.dtype == np.float64
        assert kernel.shape == (1, 3)

    def test_array_is_weights_over_divisor(self):
        assert Kernel([1, 2, 1], 4).array.tolist() == [[0.25, 0.5, 0.25]]

    def test_cannot_be_changed(self):
        kernel = Kernel([1, 2, 1], 4, meta={"a": 1})
        for array in (kernel.weights, kernel.array):
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0] = 5
        with pytest.raises(ValueError, match="WRITEABLE"):
            kernel.weights.flags.writeable = True
        with pytest.raises(AttributeError):
            kernel.divisor = 3
        with pytest.raises(TypeError):
            kernel.meta["a"] = 2

    def test_operations_leave_the_original_alone(self):
        kernel = Kernel([[1, 2], [3, 4]], 2)
        kernel.rotated(), kernel.scaled(3), kernel.normalized(), kernel.factors(), kernel.terms()
        assert kernel == Kernel([[1, 2], [3, 4]], 2)

    def test_changing_returned_factors_does_not_change_the_kernel(self):
        kernel = Kernel([[1, 2, 1], [2, 4, 2]])
        kernel.factors()[0][:] = 7
        kernel.terms()[0][0][:] = 7
        assert kernel.factors()[0].tolist() == [1, 2]

    @pytest.mark.parametrize(
        "weights", [np.ones((3, 4))[::-1, ::2], np.asfortranarray(np.ones((3, 4))), np.ones((2, 2), ">f4")]
    )
    def test_any_memory_layout(self, weights):
        assert np.array_equal(Kernel(weights).weights, weights)

    def test_equality_and_hash_go_by_content(self):
        one = Kernel([[0.0, 1.0]], 2, "one", {"note": 1})
        same = Kernel([[-0.0, 1.0]], 2, "other")
        assert one == same
        assert hash(one) == hash(same)
        assert one != Kernel([[0, 1]], 3)
        assert one != Kernel([[0], [1]], 2)
        assert one != "kernel"

    def test_pickle_keeps_everything(self):
        kernel = Kernel([[1, 2]], 3, "name", {"learned": {"r2": 1}})
        copy = pickle.loads(pickle.dumps(kernel))
        assert copy == kernel
        assert (copy.name, dict(copy.meta)) == ("name", {"learned": {"r2": 1}})

    def test_repr_shows_name_size_and_sum(self):
        assert repr(Kernel([[1, 1]], 2, "mean")) == "<Kernel 'mean' 1x2, sum 1>"


class TestRefused:
    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([], "empty"),
            ([[]], "empty"),
            (np.ones((0, 3)), "empty"),
            (3.0, "not 0"),
            (np.ones((1, 1, 1)), "not 3"),
            ([[1, 2], [3]], "differ in length"),
            ([[1, 2], [math.nan, 3]], "nan at row 2, column 1"),
            ([[1, math.inf]], "inf at row 1, column 2"),
            (np.ones((1, 4098)), "1x4098 is too large; at most 4097x4097"),
            ([2**53 + 1], "2\\*\\*53"),
        ],
    )
    def test_values(self, weights, message):
        with pytest.raises(ParameterError, match=message):
            Kernel(weights)

    @pytest.mark.parametrize(
        "weights", [[1j], [True, False], ["1"], [None], np.ones(2, np.longdouble), {1: 2}]
    )
    def test_types(self, weights):
        with pytest.raises(DtypeError, match="integers or floats"):
            Kernel(weights)

    @pytest.mark.parametrize("divisor", [0, 0.0, math.nan, math.inf])
    def test_divisors(self, divisor):
        with pytest.raises(ParameterError, match=f"divisor {divisor!r}"):
            Kernel([1], divisor)

    @pytest.mark.parametrize("divisor", ["many", None, 1j])
    def test_divisor_types(self, divisor):
        with pytest.raises(DtypeError, match="divisor"):
            Kernel([1], divisor)

    def test_quotients_that_overflow(self):
        with pytest.raises(ParameterError, match="overflow"):
            Kernel([1e300], 1e-300)

    def test_a_factor_that_overflows_or_is_nan(self):
        with pytest.raises(ParameterError, match="inf at row 1"):
            Kernel([1e300]).scaled(1e300)
        with pytest.raises(ParameterError, match="nan"):
            Kernel([1]).scaled(math.nan)

    @pytest.mark.parametrize("weights", [[-1, 0, 1], [0.1, 0.2, -0.3]])
    def test_normalising_a_sum_of_0(self, weights):
        with pytest.raises(ParameterError, match="sum to 0"):
            Kernel(weights).normalized()

    @pytest.mark.parametrize("tolerance", [-1, math.nan])
    def test_tolerances(self, tolerance):
        with pytest.raises(ParameterError, match="tolerance"):
            Kernel([1]).terms(tolerance)


class TestFactors:
    @given(
        hnp.arrays(np.int64, st.integers(1, 6), elements=st.integers(-9999, 9999)),
        hnp.arrays(np.int64, st.integers(1, 6), elements=st.integers(-9999, 9999)),
    )
    def test_integer_products_split_exactly_into_integers(self, column, row):
        kernel = Kernel(np.outer(column, row), 7)
        found_column, found_row = kernel.factors()
        assert np.array_equal(np.outer(found_column, found_row), kernel.weights)
        assert np.array_equal(found_column, np.rint(found_column))
        assert np.array_equal(found_row, np.rint(found_row))
        assert kernel.rank == int(kernel.weights.any())

    @given(floats.map(lambda a: a[0]), floats.map(lambda a: a[0]), st.integers(-250, 250))
    def test_float_products_split_to_rounding_at_any_scale(self, column, row, power):
        weights = np.outer(column, row) * 10.0**power
        # Below 1e-290 float64 itself no longer holds the products to full precision.
        if weights.any() and np.abs(weights[weights != 0]).min() < 1e-290:
            return
        kernel = Kernel(weights)
        assert kernel.separable()
        product = np.outer(*kernel.factors())
        assert np.abs(product - weights).max() <= 1e-14 * np.abs(weights).max()

    def test_the_divisor_stays_outside(self):
        column, row = Kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16).factors()
        assert (column.tolist(), row.tolist()) == ([1, 2, 1], [1, 2, 1])

    def test_float_factors_share_the_weight(self):
        taps = np.array([0.2, 0.5, 0.3])
        column, row = Kernel(np.outer(taps, taps)).factors()
        np.testing.assert_allclose(column, taps, rtol=1e-14)
        np.testing.assert_allclose(row, taps, rtol=1e-14)

    @pytest.mark.parametrize(
        ("column", "row"), [([1, 2, 1], [-1, 0, 1]), ([-1, 0, 1], [1, 2, 1]), ([-1, 1], [-1, 0, 1])]
    )
    def test_the_difference_carries_the_sign(self, column, row):
        for scale in (1, 0.1):
            found = Kernel(scale * np.outer(column, row)).factors()
            assert np.sign(found[0]).tolist() == np.sign(column).tolist()
            assert np.sign(found[1]).tolist() == np.sign(row).tolist()

    def test_the_rank_test_is_relative(self):
        tiny = Kernel(1e-9 * np.array([[1, 2], [3, 5]]))
        assert tiny.rank == 2
        assert tiny.factors() is None
        assert not tiny.separable()

    def test_rounding_leaves_the_rank_and_anything_more_does_not(self):
        noise = np.random.default_rng(0).uniform(-1, 1, (7, 9))
        product = np.outer(np.arange(1, 8) / 7, np.linspace(1, 2, 9))
        assert Kernel(product * (1 + 1e-15 * noise)).separable()
        for relative in (1e-11, 1e-6):
            kernel = Kernel(product * (1 + relative * noise))
            assert not kernel.separable() and kernel.rank > 1

    def test_rank_of_zeros_is_0(self):
        kernel = Kernel(np.zeros((2, 3)))
        assert kernel.rank == 0
        assert kernel.separable()
        assert [part.tolist() for part in kernel.factors()] == [[0, 0], [0, 0, 0]]

    @given(integers)
    def test_rank_agrees_with_numpy(self, weights):
        assert Kernel(weights).rank == np.linalg.matrix_rank(weights, rtol=1e-13)


class TestTerms:
    @given(floats, st.sampled_from([0, 1e-13, 1e-3, 0.3]))
    def test_error_stays_below_the_tolerance(self, weights, tolerance):
        if weights.any() and np.abs(weights).max() < 1e-250:
            return
        kernel = Kernel(weights)
        terms = kernel.terms(tolerance)
        product = sum(np.outer(column, row) for column, row in terms)
        allowed = max(tolerance, 1e-13) * np.abs(weights).sum()
        assert np.abs(weights - product).sum() <= allowed
        assert 1 <= len(terms) <= min(weights.shape)

    def test_no_shorter_list_than_the_rank_is_exact(self):
        cross = Kernel([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        assert len(cross.terms()) == cross.rank == 2

    def test_a_tolerance_shortens_the_list(self):
        nearly = Kernel(np.outer([1, 2, 1], [1, 2, 1]) + 1e-8 * np.eye(3))
        assert nearly.rank == 3
        assert len(nearly.terms(1e-6)) == 1


class TestDerived:
    @given(integers)
    def test_rotating_twice_gives_the_original(self, weights):
        kernel = Kernel(weights, 3)
        assert kernel.rotated().rotated() == kernel
        assert np.array_equal(kernel.rotated().weights, np.rot90(weights, 2))

    def test_normalized_keeps_the_integers(self):
        kernel = Kernel([1, 2, 1]).normalized()
        assert kernel == Kernel([1, 2, 1], 4)
        assert kernel.sum == 1

    def test_scaled_keeps_the_divisor(self):
        assert Kernel([1, 2], 3).scaled(2) == Kernel([2, 4], 3)

    @pytest.mark.parametrize(
        ("weights", "symmetry"),
        [
            ([[1, 2], [3, 4]], set()),
            ([[1, 2], [2, 1]], {"point-symmetric", "transpose-symmetric"}),
            ([[1, 1], [2, 2]], {"x-symmetric"}),
            ([[1, 2], [1, 2]], {"y-symmetric"}),
            ([[1, 2], [-1, -2]], {"y-antisymmetric"}),
            ([[1, -1], [2, -2]], {"x-antisymmetric"}),
            ([[1, 2], [-2, -1]], {"point-antisymmetric"}),
        ],
    )
    def test_symmetry(self, weights, symmetry):
        assert Kernel(weights).symmetry == symmetry


class TestCitizen:
    """A kernel is at home among NumPy's arrays, Python's operators, terminals and notebooks."""

    blur = Kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16, "blur")

    def test_arrays(self):
        array = np.asarray(self.blur)
        np.testing.assert_array_equal(array, self.blur.array)
        assert np.array(self.blur, np.float32).dtype == np.float32
        np.testing.assert_array_equal(np.abs(-self.blur), self.blur.array)
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
        np.array(self.blur)[0, 0] = 1
        assert self.blur[0, 0] == 1 / 16 and len(self.blur) == 3
        assert Kernel(self.blur) == Kernel(self.blur.array)

    def test_reading(self):
        assert self.blur[1, 1] == 0.25
        assert self.blur[-1].tolist() == [1 / 16, 1 / 8, 1 / 16]
        assert [row.sum() for row in self.blur] == [0.25, 0.5, 0.25]
        with pytest.raises(TypeError):
            self.blur[0, 0] = 1
        with pytest.raises(IndexError):
            self.blur[3]

    def test_arithmetic_makes_new_kernels(self):
        before = self.blur.weights.tolist()
        doubled = Kernel([[2, 4, 2], [4, 8, 4], [2, 4, 2]], 16)
        for same in (self.blur * 2, 2 * self.blur, np.float32(2) * self.blur, self.blur * np.int8(2)):
            assert isinstance(same, Kernel) and same == doubled
        assert self.blur + self.blur == doubled and doubled - self.blur == Kernel(before, 16)
        assert (self.blur / 2).array.tolist() == (self.blur.array / 2).tolist()
        negative = -self.blur
        assert negative.sum == -1 and -negative == self.blur
        box = Kernel(np.ones((3, 3)), 9)
        np.testing.assert_allclose((self.blur - box).array, self.blur.array - 1 / 9, atol=1e-16)
        assert self.blur.weights.tolist() == before

    @pytest.mark.parametrize(
        "act",
        [
            lambda k: k * k, lambda k: k * "2", lambda k: k * [2], lambda k: [2] * k, lambda k: k + 1,
            lambda k: 1 - k, lambda k: k / k, lambda k: k * 1j, lambda k: np.ones((3, 3)) * k,
        ],
    )  # fmt: skip
    def test_other_operands_are_refused(self, act):
        with pytest.raises(TypeError):
            act(self.blur)

    def test_what_makes_no_kernel_is_refused(self):
        with pytest.raises(ParameterError, match="3x3 and 1x3"):
            self.blur + Kernel([1, 2, 1])
        for act in (lambda k: k * np.nan, lambda k: k / 0, lambda k: k * 1e308 * 1e308):
            with pytest.raises(ParameterError):
                act(self.blur)

    def test_printing(self):
        assert str(self.blur) == "1 2 1\n2 4 2\n1 2 1\n/ 16"
        assert str(Kernel([[-1, 0.5]])) == " -1 0.5"
        large = str(Kernel(np.arange(441).reshape(21, 21))).splitlines()
        assert len(large) == 15 and large[0].split() == [*"0123456", "…", *map(str, range(14, 21))]
        assert set(large[7]) == {" ", "…"}

    def test_notebooks(self):
        html = Kernel([[1, 2]], 3, "<i>")._repr_html_()
        assert html.count("<td") == 2 and "/ 3" in html and "&lt;i&gt;" in html and "<i>" not in html
        assert Kernel(np.ones((99, 99)))._repr_html_().count("<td") == 15 * 15


def test_the_divided_weights_cannot_be_written_either():
    kernel = Kernel([[2.0, 4.0]], 2)
    with pytest.raises(ValueError, match="WRITEABLE"):
        kernel.array.flags.writeable = True


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0], [[1, 2, 3]]])
def test_masked_weights_are_refused_by_name(weights):
    hidden = np.ma.array(weights, mask=np.array(weights) == 2)
    for use in (Kernel, lambda kernel: correlate(np.ones((3, 4), np.float32), kernel)):
        with pytest.raises(ParameterError, match="masked weights"):
            use(hidden)
    shown = np.ma.array(weights)
    np.testing.assert_array_equal(Kernel(shown).weights, np.atleast_2d(weights))
