"""How Sphinx builds these documents: Markdown by myst, the furo theme, nothing fetched."""

project = "passloop"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "passloop"
html_copy_source = False
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.xref_missing"]
