#define _GNU_SOURCE
#include "CLinuxTerminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

// Signals that end the process by default and have no other handler, for example after a crash.
static const int fatal_signals[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ};
enum { fatal_count = sizeof fatal_signals / sizeof fatal_signals[0] };

static struct termios saved;
static struct sigaction before[fatal_count];
static volatile sig_atomic_t raw_fd = -1;

void clinux_terminal_restore(void) {
  int fd = raw_fd;
  raw_fd = -1;
  if (fd >= 0) tcsetattr(fd, TCSANOW, &saved);
}

static void restore_and_die(int signal) {
  clinux_terminal_restore();
  // Restore the old action. It runs when this handler returns, for example a backtrace or a core dump.
  for (int index = 0; index < fatal_count; index++) {
    if (fatal_signals[index] == signal) sigaction(signal, &before[index], 0);
  }
  raise(signal);
}

int clinux_terminal_make_raw(int fd) {
  static int is_registered;
  if (tcgetattr(fd, &saved) != 0) return -1;
  if (!is_registered) {
    is_registered = 1;
    atexit(clinux_terminal_restore);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = restore_and_die;
    for (int index = 0; index < fatal_count; index++) sigaction(fatal_signals[index], &action, &before[index]);
  }
  struct termios raw = saved;
  raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
  raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  // Set raw_fd before the terminal's mode, so that a signal in between restores the terminal.
  raw_fd = fd;
  if (tcsetattr(fd, TCSANOW, &raw) == 0) return 0;
  raw_fd = -1;
  return -1;
}
