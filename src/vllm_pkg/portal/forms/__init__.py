"""StartOS's input language as a page shows it."""
