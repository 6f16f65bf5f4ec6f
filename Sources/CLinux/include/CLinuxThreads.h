// Threads: processor time, affinity, and the signal that kicks a vCPU out of KVM_RUN.
#pragma once

#include <pthread.h>
#include <sys/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void clinux_ignore_signal(int signal) { (void)signal; }

/// Installs an empty handler, without SA_RESTART, so that KVM_RUN returns with EINTR.
static inline int clinux_install_kick_handler(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = clinux_ignore_signal;
  return sigaction(SIGRTMIN, &action, 0);
}
/// Unblocks a signal for the calling thread, which may have inherited a mask (libdispatch's workers block all signals).
static inline int clinux_unblock_signal(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return pthread_sigmask(SIG_UNBLOCK, &set, 0);
}
static inline int clinux_unblock_kick(void) { return clinux_unblock_signal(SIGRTMIN); }
static inline int clinux_kick_thread(pthread_t thread) { return pthread_kill(thread, SIGRTMIN); }

/// Makes `signal` add one to `eventfd` from now on. Returns 0, or -1 with errno.
int clinux_signal_event(int signal, int eventfd);

static inline uint64_t clinux_monotonic_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
/// Tells the processor that this is a busy-wait loop.
static inline void clinux_pause(void) { __builtin_ia32_pause(); }
static inline uint64_t clinux_thread_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
/// Processor time of another thread of this process in nanoseconds; 0 once it has ended.
static inline uint64_t clinux_cpu_ns_of(pthread_t thread) {
  clockid_t clock;
  struct timespec t;
  if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
/// Lets the kernel end the calling thread's sleeps on time, instead of up to 50 us late to save wake-ups.
static inline void clinux_sleep_precisely(void) { prctl(PR_SET_TIMERSLACK, 1); }
/// Names the calling thread for tools such as top, with up to 15 bytes.
static inline void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name); }
/// Pins the calling thread to one processor. Returns 0, or an errno value.
int clinux_pin_current_thread(int cpu);
