"""`osmv reproduce`: figures that papers print, measured again, and what came of it."""
