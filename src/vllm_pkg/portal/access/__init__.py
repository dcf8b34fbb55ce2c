"""Who gets in: login link, cookie, Host and Origin, limits, security headers."""
