"""How the site is built: pages in Markdown (MyST), the README, and the docstrings."""

import cxistack

project = "cxistack"
author = "the authors of cxistack"
project_copyright = author
release = cxistack.__version__
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
# Nothing is fetched: the site is built where there is no network, too.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    # Of bases that are Python's own nothing is told.
    "inherited-members": "Exception, tuple, Mapping, Iterator, Iterable, Protocol",
}
autodoc_mock_imports = ["torch"]  # its data sets are told of where it is not installed
autodoc_typehints = "none"  # the docstrings say types, in words
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_preprocess_types = False

html_theme = "pydata_sphinx_theme"
html_title = "cxistack"
html_static_path = ["_static"]
html_css_files = ["cxistack.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "cxistack"},
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

# "shape" in the words of a type is that of an array, and no property of ours.
suppress_warnings = ["ref.python"]


def _linked_here(app, docname, source):
    """Let links to files beside docs/, which GitHub follows, lead to the pages made of them."""
    source[0] = source[0].replace("](../CHANGELOG.md)", "](changelog.md)")


def setup(app):
    """Connect what is done to each page before it is read."""
    app.connect("source-read", _linked_here)
