"""One thin file per `osmv` command: parse, call, print."""
