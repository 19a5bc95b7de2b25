"""Every example in a docstring of the installed package is true."""

import doctest
import importlib
import pkgutil
import sys

import pytest

import cxistack


def _modules():
    yield "cxistack"
    for module in pkgutil.walk_packages(cxistack.__path__, "cxistack."):
        if not module.name.endswith("__main__"):
            yield module.name


def _examples(module, names):
    """Return the doctests of a module, of a compiled one too."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {test.name: test for test in finder.find(module, module.__name__, extraglobs=names)}
    parser = doctest.DocTestParser()
    for name, thing in vars(module).items():
        # Functions and classes of Cython are none that the finder knows.
        text = getattr(thing, "__doc__", None)
        full = f"{module.__name__}.{name}"
        if getattr(thing, "__module__", None) == module.__name__ and isinstance(text, str):
            namespace = {**vars(module), **names}
            test = parser.get_doctest(text, namespace, full, None, None)
            found.setdefault(full, test)
    return [test for test in found.values() if test.examples]


@pytest.mark.parametrize("name", sorted(set(_modules())))
def test_docstring_examples(name, doctest_names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cxistack"):
            raise
        pytest.skip(f"{name} needs {error.name}")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in _examples(module, doctest_names):
        runner.run(test, out=sys.stderr.write)
    assert runner.summarize(verbose=False).failed == 0


def test_there_are_examples_to_run(doctest_names):
    modules = map(
        importlib.import_module,
        ("cxistack.store.store", "cxistack.container.stdata", "cxistack.protocol.protocol"),
    )
    for module in modules:
        assert _examples(module, doctest_names)
