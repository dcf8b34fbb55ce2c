"""The standalone host: supervisord, a keeper that restarts, and a foreground view."""
