"""`dermedge tui --serve`: the interface in a browser. The one part that listens on a socket, and only when asked to."""
