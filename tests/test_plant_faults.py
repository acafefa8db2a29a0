"""The script that plants faults: it tells noticed ones from survivors, and what it cannot plant."""

from pathlib import Path

import pytest
from faults import FAULTS
from plant_faults import ROOT, CannotPlant, Fault, named_tests, place_of, plant_all


@pytest.fixture
def project(tmp_path):
    """A package of one function in a folder, and its two tests."""
    files = {
        "cnnfilter/__init__.py": "",
        "cnnfilter/deep/sums.py": "def double(x):\n    return 2 * x\n\ndef half(x):\n    return x / 2\n",
        "cnnfilter/other.py": "VALUE = 1\nOTHER_VALUE = 1\n",
        "tests/test_sums.py": "from cnnfilter.deep.sums import double, half\n\n"
        "def test_double():\n    assert double(3) == 6\n\n"
        "def test_half():\n    half(4)\n\n"
        "def test_broken():\n    assert not 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fault(name="fault", file="sums.py", old="2 * x", new="3 * x", tests="test_sums.py::test_double"):
    return Fault(name, file, old, new, tests)


def test_the_noticed_are_told_from_the_survivors(project, capsys):
    before = (project / "cnnfilter/deep/sums.py").read_text()
    faults = [
        fault("large"),
        fault("unseen", old="x / 2", new="x / 3", tests="test_sums.py::test_half"),
        fault("anyway", tests="test_sums.py::test_broken"),
        fault("syntax", new="2 *"),
        fault("large again"),
    ]
    assert plant_all(faults, project) == ["unseen", "anyway", "syntax"]
    said = capsys.readouterr().out
    for line in ("noticed            large\n", "SURVIVED           unseen\n", "TESTS FAIL ANYWAY  anyway\n"):
        assert line in said
    assert "TESTS CANNOT RUN   syntax\n" in said
    assert (project / "cnnfilter/deep/sums.py").read_text() == before, "only a copy is changed"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"old": "4 * x"}, "0 files named sums.py hold '4 * x'"),
        ({"file": "gone.py"}, "0 files named gone.py"),
        ({"file": "other.py", "old": "VALUE = 1"}, "holds 'VALUE = 1' 2 times"),
        ({"tests": "test_gone.py"}, "0 files of tests are named test_gone.py"),
    ],
)
def test_what_cannot_be_planted_is_told(project, capsys, wrong, words):
    assert plant_all([fault(**wrong)], project) == ["fault"]
    said = capsys.readouterr().out
    assert said.startswith("CANNOT BE PLANTED  fault") and words in said


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_still_be_planted(fault):
    """Where code was changed, its faults are changed with it; `plant_faults.py` then tries them."""
    place = place_of(fault, ROOT / "cnnfilter")
    assert fault.old != fault.new
    compile(place.read_text("utf-8").replace(fault.old, fault.new), place, "exec")
    for name in named_tests(fault, ROOT / "tests"):
        path, _, rest = name.partition("::")
        words = [f"class {word}" if word[0].isupper() else f"def {word}" for word in rest.split("::") if word]
        assert all(word in Path(path).read_text("utf-8") for word in words)


def test_faults_have_names_of_their_own():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 28
    with pytest.raises(CannotPlant, match="it has to be one"):
        place_of(Fault("none", "plan.py", "no such text", "", ""), ROOT / "cnnfilter")
