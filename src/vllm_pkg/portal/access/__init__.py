"""
Who may use the portal: a guard around every route, and the page that lets people in.

`rules` decides, `guard` carries it out. Nothing is open but what `rules.PUBLIC` names.
"""
