import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cnnfilter.core.jit import compiled, compiling, machinecode, objectcache, processor
from cnnfilter.errors import ParameterError

TESTS = Path(__file__).parents[1]
LOOPS = Path(compiled.__file__).parents[1] / "loops"
LAYERS = LOOPS.parents[1] / "nn" / "functional" / "loops"

AFFINE = "void(f32*, i64, f64*)"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of its own, and a process that has compiled nothing yet."""
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    monkeypatch.setattr(compiled, "_functions", {})
    monkeypatch.setattr(compiled, "_reason", None)
    monkeypatch.setattr(compiled, "_refused", False)
    monkeypatch.setattr(objectcache, "_reason", None)
    compiled._sources.cache_clear()
    compiled._circumstances.cache_clear()
    yield tmp_path / "cache"
    compiled._sources.cache_clear()
    compiled._circumstances.cache_clear()


def sample(factory, *constants, signature):
    return compiled.Loop("sampleloops.elementwise", factory, constants, signature)


def doubled_plus_one(loop=None):
    """Run the affine loop and compare it with NumPy."""
    image = np.arange(-5, 100, dtype=np.float32) / 8
    out = np.zeros(image.size)
    loop = loop or sample("affine", 2.0, 1.0, signature=AFFINE)
    compiled.function(loop)(image.ctypes.data, image.size, out.ctypes.data)
    np.testing.assert_array_equal(out, 2.0 * image + 1)


def run(script, **environment):
    """Run Python code as a process of its own and return what it prints, read as JSON."""
    prelude = f"import sys, json; sys.path[:0] = [{str(TESTS)!r}]\n"
    process = subprocess.run(
        [sys.executable, "-c", prelude + script],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr.decode()
    return json.loads(process.stdout)


AFFINE_SCRIPT = """
import numpy as np
from cnnfilter.core.jit import compiled
image, out = np.arange(9, dtype=np.float32), np.zeros(9)
loop = compiled.Loop("sampleloops.elementwise", "affine", (2.0, 1.0), "void(f32*, i64, f64*)")
compiled.function(loop)(image.ctypes.data, 9, out.ctypes.data)
imported = [name for name in ("numba", "llvmlite", "sampleloops.elementwise") if name in sys.modules]
print(json.dumps([out.tolist(), imported, compiled.note()]))
"""
RIGHT = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0]


def entries(folder):
    return sorted(folder.rglob("*.loop"))


# What a loop computes


def test_loop_computes():
    doubled_plus_one()
    assert compiled.note() is None


def test_every_type_of_argument():
    loop = sample("scalars", signature="void(u8, u16, i16, i32, i64, f32, f64, f64*)")
    out = np.zeros(7)
    values = [255, 65535, -32768, -(2**31), 2**53, 0.5, 1e-300]
    compiled.function(loop)(*values, out.ctypes.data)
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("form", ["u1", "u2", "i2", "i4", "i8", "f4", "f8"])
def test_every_type_of_pointer(form):
    dtype = np.dtype(form)
    name = f"{dtype.kind}{8 * dtype.itemsize}"
    out = np.full(40, 7, dtype)
    compiled.function(sample("clear", signature=f"void(i64, {name}*)"))(30, out.ctypes.data)
    np.testing.assert_array_equal(out, [0] * 30 + [7] * 10)


def test_loop_reaches_the_mathematical_library():
    image, out = np.linspace(-3, 3, 37), np.zeros(37)
    loop = sample("exponential", signature="void(f64*, i64, f64*)")
    compiled.function(loop)(image.ctypes.data, 37, out.ctypes.data)
    np.testing.assert_allclose(out, np.exp(image), rtol=1e-15)


def test_loop_reaches_its_constants_and_divides_by_zero():
    image, out = np.array([3, 0, 2, 1, 4, 6, 2, 0, 1, 3, 4]), np.zeros(11)
    loop = sample("choice", signature="void(i64*, i64, f64*)")
    compiled.function(loop)(image.ctypes.data, 11, out.ctypes.data)
    np.testing.assert_array_equal(out, [1e300, 0.1, -7.25, 2.5, np.inf, 0.5, -7.25, 0.1, 2.5, 1e300, np.inf])


@pytest.mark.parametrize("mode", ["", "plain"])
def test_nan_and_infinity_are_not_optimised_away(mode, monkeypatch):
    monkeypatch.setenv(compiled.VARIABLE, mode)
    image, out = np.array([1, np.nan, np.inf, -np.inf, 0] * 9), np.ones(45)
    loop = sample("difference_from_itself", signature="void(f64*, i64, f64*)")
    compiled.function(loop)(image.ctypes.data, 45, out.ctypes.data)
    np.testing.assert_array_equal(out, [0, np.nan, np.nan, np.nan, 0] * 9)


@pytest.mark.parametrize("order", [[True, 1, 1.0], [1.0, 1, True]])
def test_equal_constants_of_other_types_make_other_loops(order):
    found = []
    for number in order:
        out = np.zeros(1)
        compiled.function(sample("typed", number, signature="void(f64*)"))(out.ctypes.data)
        found.append(out[0])
    assert found == [{bool: 1, int: 2, float: 3}[type(number)] for number in order]


def test_calls_release_the_gil():
    loop = compiled.function(sample("clear", signature="void(i64, u8*)"))
    python_api = 4  # FUNCFLAG_PYTHONAPI of ctypes: keep the GIL
    assert not type(loop.entry)._flags_ & python_api


# How it comes to be called


def test_a_loop_is_compiled_once(monkeypatch):
    from cnnfilter.core.jit import compiling

    calls = []
    genuine = compiling.object_code

    def counted(*arguments):
        calls.append(arguments)
        return genuine(*arguments)

    monkeypatch.setattr(compiling, "object_code", counted)
    loop = sample("affine", 2.0, 1.0, signature=AFFINE)
    barrier = threading.Barrier(4)
    found = []

    def ask():
        barrier.wait()
        found.append(compiled.function(loop))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(found) == 4 and len(set(map(id, found))) == 1


def test_warm_process_imports_neither_numba_nor_the_loops():
    assert run(AFFINE_SCRIPT) == [RIGHT, ["numba", "llvmlite", "sampleloops.elementwise"], None]
    warm = run(AFFINE_SCRIPT)
    assert warm[0] == RIGHT and warm[2] is None
    assert "numba" not in warm[1] and "sampleloops.elementwise" not in warm[1]
    if machinecode.is_native():
        assert warm[1] == []


def test_warm_filters_import_no_numba(own_cache):
    script = """
import numpy as np, cnnfilter as cf
image = (np.arange(96 * 80) % 251).astype(np.uint8).reshape(96, 80)
results = [cf.gaussian(image, 1.5), cf.max_pool(image)]
digest = __import__("hashlib").sha256(b"".join(result.tobytes() for result in results)).hexdigest()
print(json.dumps([digest, "numba" in sys.modules]))
"""
    cold = run(script)
    kept = len(entries(own_cache))
    assert run(script) == [cold[0], False]
    assert cold[1] and kept == len(entries(own_cache)) > 0
    # The public functions of Numba give the same bits.
    assert run(script, CNNFILTER_JIT="plain") == cold


def test_import_of_the_package_is_light():
    script = "import cnnfilter, cnnfilter.core.correlate; print(json.dumps(list(sys.modules)))"
    assert not {"numba", "llvmlite", "scipy", "hashlib"} & set(run(script))


def test_plain_is_for_this_process_alone(monkeypatch, own_cache):
    monkeypatch.setenv(compiled.VARIABLE, "plain")
    doubled_plus_one()
    assert compiled.note() == "CNNFILTER_JIT=plain"
    assert not own_cache.exists()


def test_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv(compiled.VARIABLE, "quick")
    with pytest.raises(ParameterError, match=r"CNNFILTER_JIT='quick'.*'plain'"):
        doubled_plus_one()


def test_where_inner_parts_of_numba_changed_its_public_ones_serve(own_cache):
    changed = "import numba.core.registry\ndel numba.core.registry.CPUDispatcher\n"
    values, _, note = run(changed + AFFINE_SCRIPT)
    assert values == RIGHT and "CPUDispatcher" in note
    assert entries(own_cache) == []


def test_where_memory_may_not_be_executed_numba_decides(monkeypatch):
    def refuse(code):
        raise machinecode.Unlinkable("the memory may not be executed")

    monkeypatch.setattr(machinecode, "load", refuse)
    doubled_plus_one()
    assert compiled.note() == "Unlinkable: the memory may not be executed"


def test_what_failed_once_is_not_tried_for_every_loop(monkeypatch):
    """Each would be compiled twice."""
    tried = []

    def refuse(*loop):
        tried.append(loop)
        raise AttributeError("no such inner part")

    monkeypatch.setattr(compiling, "object_code", refuse)
    doubled_plus_one()
    monkeypatch.setattr(compiled, "_functions", {})
    doubled_plus_one()
    assert len(tried) == 1 and compiled.note() == "AttributeError: no such inner part"


def test_on_other_systems_llvm_loads_what_is_kept(monkeypatch, own_cache):
    """The code that Linux on x86-64 lays out itself is laid out by LLVM elsewhere, and compiled once."""
    monkeypatch.setattr(machinecode, "is_native", lambda: False)
    monkeypatch.setattr(compiling, "is_native", lambda: False)
    doubled_plus_one()
    assert compiled.note() is None and len(entries(own_cache)) == 1
    monkeypatch.setattr(compiled, "_functions", {})
    monkeypatch.setattr(compiling, "object_code", None)
    doubled_plus_one()


def test_a_mistake_in_a_loop_is_told():
    loop = sample("untypable", signature="void(f64*)")
    for _ in range(2):
        with pytest.raises(Exception, match="no_such_name"):
            compiled.function(loop)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_compiles_while_its_parent_does():
    script = """
import os, threading, warnings
warnings.simplefilter("ignore")
from cnnfilter.core.jit import compiled
compiled._lock.acquire()
child = os.fork()
if child == 0:
    exec(%r)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""
    assert run(script % AFFINE_SCRIPT)[0] == RIGHT


# What an entry is kept under


def key(loop):
    compiled._sources.cache_clear()
    compiled._circumstances.cache_clear()
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectcache, "load", lambda key: kept.append(key) or b"code")
        patch.setattr(machinecode, "load", lambda code: None)
        compiled._kept(loop)
    return kept[0]


def test_key_holds_all_of_the_loop():
    loops = [
        sample("affine", 2.0, 1.0, signature=AFFINE),
        sample("affine", 2.0, -0.0, signature=AFFINE),
        sample("affine", 2.0, 0.0, signature=AFFINE),
        sample("affine", 2, 0, signature=AFFINE),
        sample("clear", 2, 0, signature=AFFINE),
        sample("affine", 2, 0, signature="void(f32*, i64, f32*)"),
        compiled.Loop("cnnfilter.core.loops.direct", "affine", (2, 0), AFFINE),
    ]
    assert len({key(loop) for loop in loops}) == len(loops)
    assert key(loops[0]) == key(loops[0])


@pytest.mark.parametrize("change", ["version", "numba", "llvmlite", "processor", "environment"])
def test_key_holds_versions_processor_and_settings(change, monkeypatch):
    loop = sample("affine", 2.0, 1.0, signature=AFFINE)
    before = key(loop)
    genuine = compiled._version
    if change == "version":
        monkeypatch.setattr(compiled, "__version__", "0.0.0.other")
    elif change == "processor":
        monkeypatch.setattr(processor, "description", lambda: "another")
    elif change == "environment":
        monkeypatch.setenv("NUMBA_OPT", "0")
    else:
        monkeypatch.setattr(compiled, "_version", lambda name: genuine(name) + "x" * (name == change))
    assert key(loop) != before


def test_versions_and_processor_are_found():
    import llvmlite
    import numba

    assert numba.__version__ in compiled._version("numba")
    assert llvmlite.__version__ in compiled._version("llvmlite")
    assert len(processor.description()) > 20


def test_changed_source_is_compiled_anew(tmp_path, monkeypatch):
    package = tmp_path / "copied"
    shutil.copytree(TESTS / "sampleloops", package)
    script = AFFINE_SCRIPT.replace("sampleloops.", "copied.")
    for factor in ("factor", "-factor"):
        source = (package / "elementwise.py").read_text().replace("return factor *", f"return {factor} *")
        (package / "elementwise.py").write_text(source)
        script_there = f"sys.path[:0] = [{str(tmp_path)!r}]\n{script}"
        result = run(script_there)[0]
    assert result == [1.0 - 2 * i for i in range(9)]


def test_sources_of_the_core_are_all_in_the_key(tmp_path, monkeypatch):
    copied = tmp_path / "loops"
    shutil.copytree(LOOPS, copied)
    monkeypatch.setattr(compiled, "_LOOPS", copied)
    found = {compiled._sources("cnnfilter.core.loops.direct")}
    files = sorted(copied.glob("*.py"))
    for file in files:
        file.write_text(file.read_text() + "\n# changed\n")
        compiled._sources.cache_clear()
        found.add(compiled._sources("cnnfilter.core.loops.direct"))
    assert len(found) == len(files) + 1


def test_sources_beside_a_loop_outside_the_core_are_in_the_key(tmp_path, monkeypatch):
    package = tmp_path / "loops_of_others"
    package.mkdir()
    for name in ("__init__", "one", "two"):
        (package / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = {compiled._sources("loops_of_others.one")}
    for name in ("one", "two"):
        (package / f"{name}.py").write_text("# changed")
        compiled._sources.cache_clear()
        found.add(compiled._sources("loops_of_others.one"))
    assert len(found) == 3


@pytest.mark.parametrize("folder", [LOOPS, LAYERS])
def test_loops_import_nothing_whose_source_is_not_in_the_key(folder):
    package = ".".join(folder.relative_to(LOOPS.parents[2]).parts)
    allowed = {package, "numpy", "numba", "llvmlite", "math", "typing", "types", "__future__"}
    allowed |= {"collections.abc", "cnnfilter.core.jit.processor"}
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in names:
                assert name in allowed or name.startswith(("numba.", "llvmlite.", f"{package}.")), file


# Doubtful entries


def trap(own_cache):
    """Keep a loop, and put the code of another in its place, under a header that is in order.

    Whoever executes it sees tenfold values.
    """
    assert run(AFFINE_SCRIPT)[0] == RIGHT
    (entry,) = entries(own_cache)
    other = AFFINE_SCRIPT.replace("(2.0, 1.0)", "(20.0, 10.0)")
    assert run(other)[0] == [10 * value for value in RIGHT]
    (foreign,) = set(entries(own_cache)) - {entry}
    code = foreign.read_bytes()[objectcache._HEADER.size :]
    foreign.unlink()
    key = bytes.fromhex(entry.stem)
    objectcache.store(key, code)
    return entry


def test_the_trap_works(own_cache):
    """Whoever may write as the user is believed; without this the tests below would prove nothing."""
    trap(own_cache)
    assert run(AFFINE_SCRIPT)[0] == [10 * value for value in RIGHT]


def test_doubtful_entries_are_never_executed(own_cache):
    entry = trap(own_cache)
    whole = entry.read_bytes()
    for damage in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        entry.write_bytes(damage)
        values, imported, note = run(AFFINE_SCRIPT)
        assert values == RIGHT and "numba" in imported and "is damaged" in note
        # What was compiled in its place serves the next process.
        assert "numba" not in run(AFFINE_SCRIPT)[1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_entries_of_others_are_never_executed(own_cache):
    entry = trap(own_cache)
    os.chown(entry, 12345, -1)
    values, imported, note = run(AFFINE_SCRIPT)
    assert values == RIGHT and "numba" in imported and "belongs to user 12345" in note
    trapped = trap(own_cache)
    os.chown(trapped.parent, 12345, -1)
    values, imported, note = run(AFFINE_SCRIPT)
    assert values == RIGHT and "numba" in imported and "belongs to user 12345" in note


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permissions here")
def test_folders_that_others_may_write_are_not_used(own_cache):
    entry = trap(own_cache)
    entry.parent.chmod(0o777)
    values, imported, note = run(AFFINE_SCRIPT)
    assert values == RIGHT and "numba" in imported and "mode 777" in note
    assert entry.exists()


def test_without_a_folder_the_result_is_right(tmp_path):
    (tmp_path / "file").write_text("")
    values, imported, note = run(AFFINE_SCRIPT, CNNFILTER_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert values == RIGHT and "numba" in imported and "Not a directory" in note


def test_many_processes_compile_the_same_loop_at_once(own_cache):
    prelude = f"import sys, json; sys.path[:0] = [{str(TESTS)!r}]\n"
    processes = [
        subprocess.Popen([sys.executable, "-c", prelude + AFFINE_SCRIPT], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [result[0] for result in results] == [RIGHT] * 4
    assert len(entries(own_cache)) == 1 and not list(own_cache.rglob("*.part"))
