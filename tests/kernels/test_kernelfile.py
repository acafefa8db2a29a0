import json
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnfilter.errors import DtypeError, FilterFileError, ParameterError
from cnnfilter.kernels import kernelfile
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.templates import gaussian

finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
kernels = st.builds(
    lambda weights, divisor: Kernel(weights / 2, divisor),
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=finite),
    st.one_of(st.floats(1, 1e9), st.floats(-1e9, -1), st.integers(1, 999)),
)


def stored(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestRoundTrip:
    @settings(deadline=None)
    @given(kernel=kernels, form=st.sampled_from(["txt", "csv", "json"]))
    def test_text_forms_are_exact(self, kernel, form, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / f"kernel.{form}"
        kernelfile.save(kernel, path)
        assert kernelfile.load(path) == kernel

    @settings(deadline=None)
    @given(kernel=kernels)
    def test_npy_keeps_the_array_exactly(self, kernel, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / "kernel.npy"
        kernel.save(path)
        loaded = Kernel.load(path)
        assert np.array_equal(loaded.weights, kernel.array)
        assert loaded.divisor == 1

    def test_json_keeps_name_and_notes(self, tmp_path):
        kernel = Kernel([[1, 2]], 3, "käse", {"learned": {"r2": 0.5, "from": ["a", "b"]}})
        kernel.save(tmp_path / "k.json")
        loaded = Kernel.load(tmp_path / "k.json")
        assert (loaded.name, loaded.meta) == (kernel.name, kernel.meta)
        content = json.loads((tmp_path / "k.json").read_text("utf-8"))
        assert content["cnnfilter"] == "kernel"
        assert content["version"] == 1
        assert content["learned"]["r2"] == 0.5

    @pytest.mark.parametrize("form", ["txt", "csv", "npy"])
    def test_other_forms_are_named_after_the_file(self, form, tmp_path):
        gaussian(3).save(tmp_path / f"soft.{form}")
        assert Kernel.load(tmp_path / f"soft.{form}").name == "soft"

    @pytest.mark.parametrize("form", ["TXT", "Json"])
    def test_the_case_of_the_suffix_does_not_matter(self, form, tmp_path):
        gaussian(3).save(str(tmp_path / f"k.{form}"))
        assert Kernel.load(str(tmp_path / f"k.{form}")) == gaussian(3)

    def test_written_text(self):
        kernel = kernelfile.parse("1 2.5; -3 4 / 16")
        assert kernelfile.format(kernel, "txt") == "1 2.5\n-3 4\n/ 16\n"
        assert kernelfile.format(kernel, "csv") == "1,2.5\n-3,4\n/ 16\n"

    def test_unknown_text_form(self):
        with pytest.raises(ParameterError, match="'npy' is not known; choose txt, csv or json"):
            kernelfile.format(gaussian(3), "npy")


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            "1 2 1; 2 4 2; 1 2 1 / 16",
            "1 2 1;2 4 2;1 2 1 /16",
            "1 2 1;2 4 2;1 2 1/ 16",
            "1,2,1;2, 4 ,2;1\t2  1 / 16;",
            "1 2 1\n2 4 2\n1 2 1\n/ 16\n",
            "1 2 1\r\n2 4 2\r\n1 2 1\r\n/ 16",
            "1 2 1;\n2 4 2;\n1 2 1\n/16",
            "# a comment\n\n1 2 1  # another / 3\n2 4 2\n1 2 1 / 16\n\n",
            "+1 2. 1e0; 2 4 2; 1 2 1 / 1.6e1",
        ],
    )
    def test_ways_of_writing_the_same(self, text):
        assert kernelfile.parse(text) == Kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16)

    def test_fractions(self):
        assert kernelfile.parse("1/4 1/2 1/4") == Kernel([0.25, 0.5, 0.25])
        assert kernelfile.parse("1/4 1/2 / 3") == Kernel([0.25, 0.5], 3)
        assert kernelfile.parse("1/3") == Kernel([1 / 3])

    def test_a_minus_sign_from_a_printed_page(self):
        assert kernelfile.parse("\u22121 0 1") == Kernel([-1, 0, 1])

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
    def test_files_as_windows_writes_them(self, encoding, tmp_path):
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        (tmp_path / "k.txt").write_bytes(f"{mark}1 2 1\r\n/ 4\r\n".encode(encoding))
        assert kernelfile.load(tmp_path / "k.txt") == Kernel([1, 2, 1], 4)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no weights; write rows such as"),
            (" ; \n", "no weights"),
            ("/ 3", "no weights"),
            ("1 2; 3", "row 2 has 1 values, and row 1 has 2"),
            ("1 2; 3 x1", "at row 2, column 2: 'x1' is not a number"),
            ("1,,2", "at row 1, column 2: there is no value"),
            ("1 2,", "at row 1, column 3: there is no value"),
            ("1;;2", "at row 2, column 1: there is no value"),
            ("1 nan", "at row 1, column 2: 'nan' is not a number"),
            ("inf", "'inf' is not a number"),
            ("1_000", "'1_000' is not a number"),
            ("0x10", "'0x10' is not a number"),
            ("\u0661", "is not a number"),
            ("1 1e999", "at row 1, column 2: '1e999' is too large"),
            ("1/0 1/2", "'1/0' divides by 0"),
            ("1 2 / 0", "divisor 0.0 cannot be used"),
            ("1 2 / 1/0", "'1/0' divides by 0"),
            ("1 2 / 3 4", "divisor '3 4' after '/' is not one number"),
            ("1 2 / 3 / 4", "divisor '3 / 4' after '/' is not one number"),
            ("1 2 / ", "divisor '' after '/' is not one number"),
            ("1 1 1/3", "ambiguous: to divide every weight write '1 / 3'"),
            (" ".join(["0"] * 4098), "row 1 has more than 4097 values"),
        ],
    )
    def test_refused(self, text, message):
        with pytest.raises(ParameterError, match=message):
            kernelfile.parse(text)

    @settings(deadline=None)
    @given(st.text("0123456789 .;,/e+-#\nx", max_size=30))
    def test_any_text_is_a_kernel_or_a_clear_refusal(self, text):
        try:
            kernel = kernelfile.parse(text)
        except ParameterError as error:
            assert str(error)
        else:
            assert kernelfile.parse(kernelfile.format(kernel)) == kernel


class TestOtherPrograms:
    """What NumPy, JSON, ImageMagick and vips write."""

    @pytest.mark.parametrize(
        "text",
        [
            "[[0,-1,0],[-1,5,-1]]",
            "[[0, -1, 0], [-1, 5, -1]]",
            "[[ 0. -1.  0.]\n [-1.  5. -1.]]",
            "array([[ 0., -1.,  0.],\n       [-1.,  5., -1.]])",
            "np.array([\n    [0, -1, 0],\n    [-1, 5, -1],\n], dtype=np.float64)",
            "numpy.asarray([[0, -1, 0], [-1, 5, -1]])",
            "[[0, -2, 0], [-2, 10, -2]] / 2",
            "3x2: 0,-1,0 -1,5,-1",
            "3x2:0,-1,0,-1,5,-1",
            "3x2+1+0: 0,-1,0 -1,5,-1",
            "3x2: 0, -1, 0\n-1, 5, -1",
        ],
    )
    def test_are_read(self, text):
        assert kernelfile.kernel_from(text).array.tolist() == [[0, -1, 0], [-1, 5, -1]]

    def test_one_row_and_a_square(self):
        assert kernelfile.kernel_from("[1, 2, 1]") == Kernel([1, 2, 1])
        assert kernelfile.kernel_from("2: 1,2 3,4") == Kernel([[1, 2], [3, 4]])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[[1, 2], [3]]", "row 2 has 1 values"),
            ("[[[1, 2]]]", "is not a number"),
            ("[1, 2", "is not a number"),
            ("[[1, x]]", "row 1, column 2: 'x' is not a number"),
            ("[]", "no weights"),
            ("3x3: 1,2,3", "9 numbers, and there are 3"),
            ("3x3+0+0: 1,2,3,4,5,6,7,8,9", "the origin \\+0\\+0 is not the middle"),
        ],
    )
    def test_are_refused(self, text, message):
        with pytest.raises(ParameterError, match=message):
            kernelfile.kernel_from(text)

    @pytest.mark.parametrize("form", ["numpy", "imagemagick"])
    def test_what_we_write_for_them_is_read(self, form):
        from cnnfilter.kernels.kernelsyntax import as_text

        kernel = Kernel([[1, 2, 3, 4], [5, 6, 7, 8.5]])
        text = str(as_text(kernel, form))
        text = text.split("'")[1] if form == "imagemagick" else text.split("= ", 1)[1]
        assert kernelfile.kernel_from(text) == kernel

    @pytest.mark.parametrize(
        ("content", "kernel"),
        [
            ("3 2 16 0\n1 2 1\n2 4 2\n", Kernel([[1, 2, 1], [2, 4, 2]], 16)),
            ("3 2\n1 2 1\n2 4 2\n", Kernel([[1, 2, 1], [2, 4, 2]])),
            ("3 1 4 -0\n1 2 1\n", Kernel([1, 2, 1], 4)),
            ("3 1 4 0e0\n1 2 1\n", Kernel([1, 2, 1], 4)),
            ("2 2\n1 2\n3 4\n", Kernel([[2, 2], [1, 2], [3, 4]])),
            ("4 2 1 0\n1 2 3 4\n5 6 7 8\n", Kernel([[4, 2, 1, 0], [1, 2, 3, 4], [5, 6, 7, 8]])),
        ],
    )
    def test_a_matrix_of_vips_is_one_that_cannot_be_ours(self, content, kernel, tmp_path):
        assert kernelfile.load(stored(tmp_path / "k.txt", content)) == kernel

    def test_a_matrix_of_vips_with_an_offset(self, tmp_path):
        with pytest.raises(FilterFileError, match="offset 128"):
            kernelfile.load(stored(tmp_path / "k.txt", "3 1 1 128\n1 2 1\n"))

    @pytest.mark.parametrize(
        "text", ["3 40000000 1 0\n1 2 1\n", "40000000 3\n1 2 1\n", "9" * 5000 + " 3\n1 2 1\n"]
    )
    def test_sizes_that_are_claimed_take_no_memory(self, text, tmp_path):
        """A list as long as the rows that a matrix of vips claims filled 24 GiB."""
        path = stored(tmp_path / "k.txt", text)
        tracemalloc.start()
        with pytest.raises(FilterFileError):
            kernelfile.load(path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 2 * kernelfile.MAX_TEXT_BYTES

    @pytest.mark.parametrize("text", ["0:", "0x0:", "3x0: 1"])
    def test_a_kernel_of_no_rows_or_columns(self, text):
        with pytest.raises(ParameterError, match="is empty"):
            kernelfile.kernel_from(text)


class TestKernelFrom:
    def test_a_file(self, tmp_path):
        path = stored(tmp_path / "sobel-x.txt", "1 2 1 / 4")
        assert kernelfile.kernel_from(str(path)) == Kernel([1, 2, 1], 4)

    def test_a_name(self):
        assert kernelfile.kernel_from(" mean:5x7 ").shape == (5, 7)

    def test_weights(self):
        assert kernelfile.kernel_from("-1 0 1").weights.tolist() == [[-1, 0, 1]]
        assert kernelfile.kernel_from(".5 .5").sum == 1

    def test_a_name_wins_over_a_file_without_a_suffix(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        stored(tmp_path / "sobel-x", "1")
        assert kernelfile.kernel_from("sobel-x").shape == (3, 3)

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("sobel", ParameterError, "taken for the name of a kernel: .* did you mean sobel-x"),
            ("1 2; 3", ParameterError, "taken for the weights of a kernel: row 2"),
            ("", ParameterError, "taken for the weights of a kernel: there are no weights"),
            ("missing.json", FilterFileError, "missing.json: No such file"),
        ],
    )
    def test_the_message_says_what_it_was_taken_for(self, text, error, message):
        with pytest.raises(error, match=message):
            kernelfile.kernel_from(text)

    def test_a_file_of_another_form(self, tmp_path):
        path = stored(tmp_path / "kernel.dat", "1")
        with pytest.raises(
            ParameterError, match=r"the form of the file '.*kernel.dat' is not known; .*\.txt, \.csv"
        ):
            kernelfile.kernel_from(str(path))


def npy(header, data=b"", version=b"\x01\x00"):
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


class TestRefusedFiles:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("k.txt", "1 2\n3 x\n", "at row 2, column 2: 'x' is not a number"),
            ("k.txt", b"1 \xff 1", "not UTF-8 text"),
            ("k.txt", "", "no weights"),
            ("k.csv", "1;2", "parted by commas"),
            ("k.json", "{", "not JSON"),
            ("k.json", "[" * 100_000, "not JSON"),
            ("k.json", "{}", "no kernel: expected an object"),
            ("k.json", "3", "no kernel"),
            ("k.json", '{"cnnfilter": "network", "weights": []}', "no kernel"),
            ("k.json", '{"cnnfilter": "kernel", "version": 2, "weights": [[1]]}', "version 2"),
            ("k.json", '{"cnnfilter": "kernel", "version": 1, "weights": 3}', "list of rows"),
            ("k.json", "[]", "list of rows"),
            ("k.json", "[[]]", "empty"),
            ("k.json", "[[1, 2], [3]]", "row 2 has 1 values"),
            ("k.json", "[[1], 2]", "row 2 of the weights is 2"),
            ("k.json", '[[1, "2"]]', "at row 1, column 2: '2' is not a number"),
            ("k.json", "[[true]]", "True is not a number"),
            ("k.json", "[[NaN]]", "nan is not a number"),
            ("k.json", "[[1e999]]", "inf is not a number"),
            ("k.json", f"[[{10**400}]]", "is not a number"),
            ("k.json", f"[[{'9' * 5000}]]", "not JSON"),
            (
                "k.json",
                '{"cnnfilter": "kernel", "version": 1, "weights": [1], "divisor": "2"}',
                "divisor '2'",
            ),
            ("k.json", '{"cnnfilter": "kernel", "version": 1, "weights": [1], "name": 7}', "name 7"),
            ("k.npy", "no", "not an .npy file"),
            ("k.npy", npy("(" * 60_000), "not an .npy file"),
            ("k.npy", npy("x" * 9), "not an .npy file"),
            (
                "k.npy",
                npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", b"8" * 8, b"\x07\x00"),
                "not an",
            ),
            (
                "k.npy",
                npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"8" * 8),
                "object is no kernel",
            ),
            (
                "k.npy",
                npy("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", b"8" * 16),
                "complex128",
            ),
            ("k.npy", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", b"\x01"), "bool"),
            (
                "k.npy",
                npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}", b"8" * 31),
                "truncated: 1 of 32 bytes are missing",
            ),
            ("k.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", b"8" * 9), "holds more"),
            (
                "k.npy",
                npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1)}", b"8" * 8),
                "1 or 2 sides",
            ),
            ("k.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", b"8" * 8), "1 or 2 sides"),
            ("k.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3)}"), "1 or 2 sides"),
            ("k.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3)}"), "1 or 2 sides"),
            ("k.dat", "1", "suffix '.dat' is not known; a kernel file is .txt, .csv, .json, .npy"),
            ("k", "1", "suffix '' is not known"),
        ],
    )
    def test_the_message_names_the_file_and_the_reason(self, name, content, message, tmp_path):
        path = stored(tmp_path / name, content)
        with pytest.raises(FilterFileError, match=message) as refusal:
            kernelfile.load(path)
        assert str(refusal.value).startswith(f"{path}: ")

    def test_a_header_of_a_terabyte_costs_no_memory(self, tmp_path):
        path = stored(
            tmp_path / "k.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (400000, 400000)}", b"8"),
        )
        tracemalloc.start()
        with pytest.raises(FilterFileError, match=r"shape \(400000, 400000\) is no kernel"):
            kernelfile.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()

    def test_too_much_text(self, tmp_path):
        with (tmp_path / "k.txt").open("wb") as file:
            file.truncate(kernelfile.MAX_TEXT_BYTES + 1)
        with pytest.raises(FilterFileError, match="more than 8388608 bytes of text"):
            kernelfile.load(tmp_path / "k.txt")

    def test_a_folder(self, tmp_path):
        (tmp_path / "k.txt").mkdir()
        with pytest.raises(FilterFileError, match=r"k\.txt: Is a directory"):
            kernelfile.load(tmp_path / "k.txt")

    def test_is_an_os_error_too(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            Kernel.load(tmp_path / "none.txt")


class TestNpyLayouts:
    @pytest.mark.parametrize("dtype", ["<f4", ">f8", "|i1", ">u2"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_any_number_type_and_order(self, dtype, order, tmp_path):
        array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
        np.save(tmp_path / "k.npy", array)
        assert np.array_equal(Kernel.load(tmp_path / "k.npy").weights, array)

    def test_one_dimension_is_one_row(self, tmp_path):
        np.save(tmp_path / "k.npy", np.arange(3))
        assert Kernel.load(tmp_path / "k.npy").shape == (1, 3)


class TestSave:
    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(FilterFileError, match=r"suffix '\.png' is not known"):
            gaussian(3).save(tmp_path / "k.png")

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FilterFileError, match="No such file"):
            gaussian(3).save(tmp_path / "none" / "k.txt")

    def test_text_that_could_not_be_read_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kernelfile, "MAX_TEXT_BYTES", 10)
        with pytest.raises(FilterFileError, match=r"save as \.npy"):
            gaussian(3).save(tmp_path / "k.json")
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("notes", [{"weights": 1}, {"learned": {1, 2}}, {"learned": float("nan")}])
    def test_notes_that_cannot_be_written(self, notes, tmp_path):
        with pytest.raises(ParameterError, match="note"):
            Kernel([1], meta=notes).save(tmp_path / "k.json")
        assert os.listdir(tmp_path) == []

    def test_an_old_file_is_replaced_whole(self, tmp_path):
        path = stored(tmp_path / "k.txt", "9 " * 100)
        gaussian(3).save(path)
        assert Kernel.load(path) == gaussian(3)
        assert os.listdir(tmp_path) == ["k.txt"]


def test_a_type_that_is_no_number_stays_a_type_error():
    with pytest.raises(DtypeError):
        Kernel(["1"])


def test_an_npy_header_that_is_no_python_is_refused(tmp_path):
    path = tmp_path / "k.npy"
    np.save(path, np.ones((3, 3)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(3, 3), }", b"(3, 3, (("))
    with pytest.raises(FilterFileError, match=r"not an \.npy file of numbers"):
        kernelfile.load(str(path))


@pytest.mark.parametrize("text", ["1 " * 300_000, "1\n" * 300_000, ";" * 300_000 + "1", "1," * 300_000 + "1"])
def test_text_of_more_than_a_kernel_is_refused_at_its_first_row(text, monkeypatch):
    monkeypatch.setattr("cnnfilter.kernels.kernelfile._value", lambda *_: pytest.fail("a value was read"))
    with pytest.raises(ParameterError, match="more than 4097"):
        kernelfile.parse(text)
