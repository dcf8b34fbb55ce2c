"""
Every text of the portal, in every language, as whole sentences.

One folder per language holds a YAML file per area. It maps keys such as
``home.serving`` to a text with named places, or to a mapping of plural categories
(CLDR: one, few, many, other), which the place ``count`` decides.
"""
