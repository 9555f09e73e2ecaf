"""What dbt's models may know of the catalogue, as macros of the working copy: ``catalogue_forms()`` and its like.

Belongs here: which lists there are, and how a list is written as a macro. Does not belong here: their use
(``dbt_project/macros``).

Not dbt's vars: dbt reads ``dbt_project.yml`` twenty times a night, and parses everything again when a letter of it has
changed. Of a macro it knows who uses it, and parses those again alone; so each list is a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def catalogue_macros(lists: Mapping[str, Any], by_key: Mapping[str, Mapping[str, Any]]) -> dict[Path, bytes]:
    """File → content. One macro a name in ``lists``, that returns its value (what JSON can hold); and one a name in
    ``by_key``, that returns the value of the key (a plain name) it is asked for, none where there is no such key."""
    macros = {name: f"{name}() %}}{{{{ return(fromjson({_text(value)})) }}}}" for name, value in lists.items()}
    for name, values in by_key.items():
        told = ", ".join(f"'{key}': {_text(value)}" for key, value in values.items())
        macros[name] = f"{name}(key) %}}{{{{ return(fromjson({{ {told} }}.get(key, 'null'))) }}}}"
    return {Path(f"{name}.sql"): f"{{% macro {macro}{{% endmacro %}}\n".encode() for name, macro in macros.items()}


def _text(value: Any) -> str:
    """The value as JSON in a text of Jinja's: Jinja would take seconds to read it piece by piece. No brace or sign of
    Jinja's own is left for whoever looks for tags before reading texts."""
    text = json.dumps(value, ensure_ascii=False).replace("\\", "\\\\").replace("'", "\\'")
    return "'" + text.replace("{", "\\x7b").replace("}", "\\x7d").replace("%", "\\x25") + "'"
