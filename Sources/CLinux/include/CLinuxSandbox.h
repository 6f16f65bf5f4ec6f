// The sandbox: system calls that libc does not wrap, and the handler for a call that a filter stops.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// The exit status after the sandbox stopped a system call.
enum { CLINUX_VIOLATION_STATUS = 6 };

enum { CLINUX_RLIMIT_CORE = RLIMIT_CORE, CLINUX_RLIMIT_NOFILE = RLIMIT_NOFILE };

/// Whether this program contains a sanitizer or counts coverage. Their runtimes have threads of their own, and open files
/// at the end.
int clinux_is_instrumented(void);

/// Makes a system call by its number. Returns -1 with errno.
static inline long clinux_system_call(
    long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e) {
  return syscall(number, a, b, c, d, e, 0UL);
}
/// The name of an x86-64 system call; null if it is unknown.
const char *clinux_system_call_name(unsigned long number);

static inline int clinux_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static inline int clinux_has_no_new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }
/// Clears the bounding and ambient sets. The bounding set needs CAP_SETPCAP. Returns 0, or -1 with errno.
int clinux_drop_inheritable_capabilities(void);
/// Clears the calling thread's permitted, effective and inheritable capabilities. Returns 0, or -1 with errno.
int clinux_drop_capabilities(void);
/// Sets the soft and the hard limit of a resource, if the hard limit is not lower already. Returns 0, or -1 with errno.
int clinux_limit_resource(int resource, unsigned long limit);
/// Changes the identity for good, without supplementary groups. Returns 0, or -1 with errno.
int clinux_become(uid_t user, gid_t group);

/// The kernel's Landlock ABI; -1 with errno if it has none.
int clinux_landlock_abi(void);
/// Denies the calling thread, and its future threads, the given rights: LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_* and
/// LANDLOCK_SCOPE_*. A kernel refuses a right that its ABI does not have. Returns 0, or -1 with errno.
int clinux_landlock_deny(uint64_t files, uint64_t network, uint64_t scopes);

/// Gives the signals of a crash their usual effect. The handlers of Swift's runtime would start a program that prints the
/// backtrace, so the process would end with SIGSYS instead of the crash's own signal.
void clinux_die_plainly(void);
/// Whether the kernel has seccomp filters with SECCOMP_RET_TRAP.
int clinux_has_seccomp(void);
/// Adds a filter for the calling thread. Returns 0, or -1 with errno.
int clinux_add_seccomp_filter(const struct sock_filter *program, size_t count);
/// Installs the handler of SIGSYS: it names the call and the thread, and ends the process with CLINUX_VIOLATION_STATUS.
/// A filter passes the kind of thread in SECCOMP_RET_DATA; `kinds` are the names of 1, 2, … and must live as long as the
/// process. Returns 0, or -1 with errno.
int clinux_handle_violations(const char *const *kinds, size_t count);
