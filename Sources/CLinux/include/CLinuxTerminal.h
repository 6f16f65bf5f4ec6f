// The user's terminal: raw while a guest uses it, and restored when the process ends in any way that can be caught.
#pragma once

/// Makes the terminal `fd` raw: every key goes to the reader unchanged and without echo. Output processing stays on.
/// `clinux_terminal_restore`, exit and fatal signals restore it. Returns -1 with errno on failure.
int clinux_terminal_make_raw(int fd);
/// Restores the terminal. Safe in a signal handler, and without effect if no terminal is raw.
void clinux_terminal_restore(void);
