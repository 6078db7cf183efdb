"""One module per command or per small family of commands; each is imported only when it is called."""
