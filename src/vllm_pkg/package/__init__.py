"""The package as data: manifest and variants."""
