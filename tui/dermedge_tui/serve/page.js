// The keys go to the terminal from the start. It is there once the other script's own "load" is done.
addEventListener("load", () => document.querySelector(".xterm-helper-textarea")?.focus());
