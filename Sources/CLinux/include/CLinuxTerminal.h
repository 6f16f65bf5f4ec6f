// The user's terminal: raw while a guest has it, and given back however the process ends.
#pragma once

/// Makes the terminal `fd` raw: every key goes to the reader, unchanged and unechoed; output keeps its line ends.
/// It is restored by `clinux_terminal_restore`, at exit, and by signals that kill the process. -1 and errno on failure.
int clinux_terminal_make_raw(int fd);
/// Gives the terminal back as it was. Safe in a signal handler, and without effect where nothing was made raw.
void clinux_terminal_restore(void);
