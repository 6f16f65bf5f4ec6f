#define _GNU_SOURCE
#include "CLinuxSandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "CLinuxTerminal.h"

// The runtimes define these. Without one it is null.
extern void __tsan_init(void) __attribute__((weak));
extern void __asan_init(void) __attribute__((weak));
extern int __llvm_profile_write_file(void) __attribute__((weak));

int clinux_is_instrumented(void) { return __tsan_init || __asan_init || __llvm_profile_write_file; }

int clinux_drop_inheritable_capabilities(void) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return -1;
  }
  return 0;
}

int clinux_drop_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
  memset(none, 0, sizeof none);
  return (int)syscall(SYS_capset, &header, none);
}

int clinux_limit_resource(int resource, unsigned long limit) {
  struct rlimit now;
  if (getrlimit(resource, &now) < 0) return -1;
  rlim_t most = now.rlim_max < limit ? now.rlim_max : limit;
  struct rlimit wanted = {most, most};
  return setrlimit(resource, &wanted);
}

int clinux_become(uid_t user, gid_t group) {
  if (setgroups(0, 0) < 0 || setresgid(group, group, group) < 0) return -1;
  return setresuid(user, user, user);
}

// The numbers and structures of <linux/landlock.h>, which older systems lack.
enum { landlock_create_ruleset = 444, landlock_restrict_self = 446 };
struct landlock_ruleset {
  uint64_t files, network, scopes;
};

int clinux_landlock_abi(void) { return (int)syscall(landlock_create_ruleset, NULL, 0, 1U << 0); }

int clinux_landlock_deny(uint64_t files, uint64_t network, uint64_t scopes) {
  struct landlock_ruleset rules = {files, network, scopes};
  // An older kernel knows a shorter structure, and accepts a longer one whose rest is zero.
  int fd = (int)syscall(landlock_create_ruleset, &rules, sizeof rules, 0);
  if (fd < 0) return -1;
  int result = (int)syscall(landlock_restrict_self, fd, 0);
  int code = errno;
  close(fd);
  errno = code;
  return result;
}

int clinux_has_seccomp(void) {
  uint32_t action = SECCOMP_RET_TRAP;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int clinux_add_seccomp_filter(const struct sock_filter *program, size_t count) {
  struct sock_fprog filter = {(unsigned short)count, (struct sock_filter *)program};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

// MARK: A stopped call

static const char *const *kind_names;
static size_t kind_count;

enum { caused_by_filter = 1 };  // SYS_SECCOMP

// Text in a fixed buffer: the handler may not allocate or lock.
struct text {
  char bytes[512];
  size_t count;
};

static void add(struct text *text, const char *string) {
  while (*string && text->count < sizeof text->bytes) text->bytes[text->count++] = *string++;
}

static void add_number(struct text *text, unsigned long value, unsigned base) {
  char digits[24];
  size_t place = sizeof digits;
  digits[--place] = 0;
  do {
    digits[--place] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  if (base == 16) add(text, "0x");
  add(text, digits + place);
}

static void stop(int signal, siginfo_t *information, void *context) {
  // si_errno is SECCOMP_RET_DATA. SIGSYS can also be sent by kill(2).
  if (information->si_code != caused_by_filter) _exit(128 + signal);
  const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  size_t kind = (size_t)information->si_errno;
  unsigned long number = (unsigned)information->si_syscall;
  struct text text = {.count = 0};
  add(&text, "swiftlet: the sandbox ended this process: ");
  add(&text, kind >= 1 && kind <= kind_count ? kind_names[kind - 1] : "a thread");
  add(&text, " called ");
  const char *name = information->si_arch == AUDIT_ARCH_X86_64 ? clinux_system_call_name(number) : 0;
  if (information->si_arch != AUDIT_ARCH_X86_64) {
    add(&text, "the 32-bit system call ");
  } else if (!name) {
    add(&text, "the system call ");
  }
  if (name) {
    add(&text, name);
    add(&text, " (");
  }
  add_number(&text, number, 10);
  if (name) add(&text, ")");
  add(&text, " with ");
  add_number(&text, (unsigned long)registers[REG_RDI], 16);
  add(&text, ", ");
  add_number(&text, (unsigned long)registers[REG_RSI], 16);
  add(&text, ", ");
  add_number(&text, (unsigned long)registers[REG_RDX], 16);
  add(&text, ", which its list does not allow. If the guest is not hostile, this is a bug: report this line, and use "
             "--sandbox off meanwhile.\n");
  clinux_terminal_restore();
  ssize_t written = write(2, text.bytes, text.count);
  (void)written;
  _exit(CLINUX_VIOLATION_STATUS);
}

void clinux_die_plainly(void) {
  static const int crashes[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
  for (size_t index = 0; index < sizeof crashes / sizeof crashes[0]; index++) {
    struct sigaction action;
    if (sigaction(crashes[index], 0, &action) == 0 && action.sa_handler != SIG_IGN) signal(crashes[index], SIG_DFL);
  }
}

int clinux_handle_violations(const char *const *kinds, size_t count) {
  kind_names = kinds;
  kind_count = count;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = stop;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGSYS, &action, 0);
}
