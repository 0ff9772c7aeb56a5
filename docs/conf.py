"""Sphinx's settings for the site that scripts/make_site.py builds."""

from docutils import nodes
from latex2mathml.converter import convert

project = "CTC in Keras"
author = "the authors of CTC in Keras"
copyright = "2026, the authors of CTC in Keras. MIT licence"

extensions = ["myst_nb"]
html_theme = "sphinx_book_theme"
html_title = project
html_theme_options = {"show_toc_level": 2, "navbar_persistent": []}  # one search field, not two

# Notebooks are shown with the outputs that they are committed with: nothing runs.
nb_execution_mode = "off"
# A page needs nothing from elsewhere: no widgets, and formulas are MathML, which browsers draw.
nb_ipywidgets_js = {}
html_math_renderer = "mathml"
myst_heading_anchors = 4
html_use_index = False
suppress_warnings = [
    "misc.highlighting_failure",  # what cells print is no Python
    "myst.xref_missing",  # anchors in HTML, as in notebook 14: tests/test_site.py follows all links
]
myst_enable_extensions = ["attrs_inline", "dollarmath"]


def formula(translator, node: nodes.math | nodes.math_block) -> None:
    latex = node.astext().replace(r"\_", "_").replace(r"\tag", r"\qquad\tag")
    block = isinstance(node, nodes.math_block)
    mathml = convert(latex, display="block" if block else "inline")
    translator.body.append(f"<div>{mathml}</div>" if block else mathml)
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
