"""Settings: the Hub's token, backups, the support bundle, and how the page looks."""
