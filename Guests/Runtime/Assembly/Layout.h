// Numbers that the assembly and C sides of the runtime share.
#pragma once

#define MAX_CPUS 16

#define KERNEL_CODE64 0x08
#define KERNEL_DATA 0x10
#define KERNEL_CODE32 0x18
#define USER_DATA (0x20 | 3)
#define USER_CODE64 (0x28 | 3)
#define TASK_STATE 0x30
#define GDT_LIMIT (TASK_STATE + 16 * MAX_CPUS - 1)

#define AP_TRAMPOLINE 0x8000
#define AP_TASK_SELECTOR 0
#define AP_KERNEL_STACK 4
#define AP_STACK 8
#define AP_ENTRY 12
#define AP_ARGUMENT 16

/// The lowest of the 16 vectors that a CPU may hold back by its task priority.
#define DEFERRABLE_VECTORS 0x30

#define SERVICE_HALT 0
#define SERVICE_WRMSR 1
#define SERVICE_ENABLE_INTERRUPTS 2
#define SERVICE_CPUID 3
