"""The navigation at the side, rendered once for all pages it is the same on, as a Sphinx extension.

A page that stands in no table of contents (every rule, every code list) opens nothing in the navigation, so pages of
one folder share it; the theme would have it made anew for each, a quarter of the time of the whole site.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_BEFORE_THEME = 400  # the theme asks for the navigation at Sphinx's default of 500


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls to load the extension."""
    made: dict[tuple[Any, ...], str] = {}

    def share(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
        if "orphan" not in app.env.metadata.get(page, {}):
            return
        render = context["toctree"]

        def shared(**options: Any) -> str:
            key = (page.rpartition("/")[0], *sorted(options.items()))
            if key not in made:
                made[key] = render(**options)
            return made[key]

        context["toctree"] = shared

    app.connect("html-page-context", share, priority=_BEFORE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
