"""Path rules are path logic: the same answer on every system, and nothing they allow can leave the model."""

import ntpath
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_modelstore.manifest.pathrules import collisions, length_problem, path_problem


@pytest.mark.parametrize(
    "path", ["config.json", "transformer/diffusion_pytorch_model-00001-of-00012.safetensors", "a.b/c-d_e", "größe.json"]
)
def test_ordinary_paths_pass(path):
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "", "/abs", "..", "a/../b", "a/..", "./a", "a//b", "a/", "c:/x", "c:x", "a\\b", "\\\\server\\share", "nul", "NUL.txt",
        "a/CON", "com1.json", "COM¹", "lpt9 .x", "a ", "a.", "a\x00b", "a\nb", "a?b", "a*b", "a|b", 'a"b', "a<b", ".verified.json",
        ".tmp/x", "x" * 181, "a/" + "é" * 130, "e\u0301.json",
    ],
)  # fmt: skip
def test_dangerous_or_unportable_paths_are_refused(path):
    assert path_problem(path) is not None


@given(st.text(max_size=40))
def test_whatever_passes_stays_inside_on_every_system(path):
    if path_problem(path) is not None:
        return
    assert posixpath.normpath(posixpath.join("/root/m", path)).startswith("/root/m/")
    joined = ntpath.normpath(ntpath.join("C:\\root\\m", path))
    assert joined.startswith("C:\\root\\m\\")
    assert not ntpath.isreserved(path) if hasattr(ntpath, "isreserved") else True


@given(st.lists(st.sampled_from(["a", "A", "b/c", "B/C", "b", "b/c/d", "x.json", "X.json", "ß", "SS"]), max_size=6))
def test_collisions_are_found_exactly_when_two_paths_fold_together(paths):
    folded = [p.casefold() for p in paths]
    clash = len(set(folded)) < len(folded) or any(
        one != other and other.startswith(one + "/") for one in set(folded) for other in set(folded)
    )
    assert bool(collisions(paths)) is clash


def test_long_paths_on_windows_are_explained_with_the_remedy():
    long = "C:\\" + "x" * 300
    problem = length_problem(long, windows=True, long_paths=False)
    assert problem is not None
    assert "LongPathsEnabled" in problem
    assert length_problem(long, windows=True, long_paths=True) is None
    assert length_problem("/" + "x" * 300, windows=False, long_paths=False) is None
