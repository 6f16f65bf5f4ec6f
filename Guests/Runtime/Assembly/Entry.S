// From the PVH entry point to CPL 3, and the few services that run at CPL 0 after that.
//
// A KVM without hardware support interprets CPL 0 code at about 1 us per instruction (Docs/TestGuests.md). So all other
// work is done at CPL 3, which runs natively everywhere.

#include "Layout.h"

    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18                      // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .section .text.entry, "ax"

// Entered in 32-bit protected mode without paging; ebx holds the address of hvm_start_info.
    .code32
    .global pvh_entry
pvh_entry:
    cld
    movl %ebx, start_info_address
    movl $kernel_stack_top, %esp
    movl $bsp_long, %edi
enable_long_mode:                       // edi: where to continue in long mode
    lgdt gdt_pointer
    movl $page_map_level4, %eax
    movl %eax, %cr3
    movl $0x620, %eax                   // CR4: PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0xC0000080, %ecx              // EFER
    rdmsr
    orl $0x100, %eax                    // LME
    wrmsr
    movl $0x80000033, %eax              // CR0: PG, NE, ET, MP, PE
    movl %eax, %cr0
    ljmp $KERNEL_CODE64, $long_mode

    .code64
long_mode:
    movl $KERNEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    jmp *%rdi

bsp_long:
    movb $0xFF, %al                     // mask both PICs; the guests use the IOAPIC
    outb %al, $0x21
    outb %al, $0xA1
    movl $task_state_bsp, %eax          // the base of the TSS, scattered over its descriptor
    movw %ax, gdt + TASK_STATE + 2
    shrl $16, %eax
    movb %al, gdt + TASK_STATE + 4
    movb %ah, gdt + TASK_STATE + 7
    movl $TASK_STATE, %eax
    ltr %ax
    lidt idt_pointer
    movl $boot_stack_top - 8, %ecx      // aligned as after a call
    movl $guest_start, %edx
    xorl %edi, %edi
// edi: argument, ecx: stack, edx: where to continue at CPL 3; interrupts stay off until the IDT is filled
enter_user:
    pushq $USER_DATA
    pushq %rcx
    pushq $0x2
    pushq $USER_CODE64
    pushq %rdx
    iretq

// SIPI starts the application processors here, in real mode, in a copy at AP_TRAMPOLINE.
    .code16
    .global ap_trampoline, ap_trampoline_end
ap_trampoline:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AP_TRAMPOLINE + (ap_gdt_pointer - ap_trampoline)
    movl $0x11, %eax                    // CR0: ET, PE
    movl %eax, %cr0
    ljmpl $KERNEL_CODE32, $ap_protected
ap_gdt_pointer:
    .word GDT_LIMIT
    .long gdt
ap_trampoline_end:

    .code32
ap_protected:
    movl $KERNEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $ap_long, %edi
    jmp enable_long_mode

    .code64
ap_long:
    lidt idt_pointer
    movl ap_parameters + AP_TASK_SELECTOR, %eax
    ltr %ax
    movl ap_parameters + AP_KERNEL_STACK, %esp
    movl ap_parameters + AP_STACK, %ecx
    movl ap_parameters + AP_ENTRY, %edx
    movl ap_parameters + AP_ARGUMENT, %edi
    jmp enter_user

// int3 is the system call. eax: the service; rdi, rsi: arguments; the result in rax.
    .align 16
    .global service_entry
service_entry:
    testl %eax, %eax
    jnz 2f
    cmpl (%rdi), %esi                   // halt only while *rdi == esi; interrupts are off up to here
    jne 1f
    sti
    hlt                                 // sti delays interrupts by one instruction: no lost wake-up
1:  iretq
2:  cmpl $SERVICE_WRMSR, %eax
    ja 3f
    movl %edi, %ecx
    movl %esi, %eax
    shrq $32, %rsi
    movl %esi, %edx
    wrmsr
    iretq
3:  cmpl $SERVICE_ENABLE_INTERRUPTS, %eax
    ja 4f
    orl $0x200, 16(%rsp)                // RFLAGS.IF of the caller
    iretq
4:  movl %edi, %eax                     // SERVICE_CPUID: rdi: leaf, rsi: address for eax, ebx, ecx, edx
    xorl %ecx, %ecx
    pushq %rbx
    cpuid
    movl %eax, (%rsi)
    movl %ebx, 4(%rsi)
    movl %ecx, 8(%rsi)
    movl %edx, 12(%rsi)
    popq %rbx
    iretq

// One stub of 16 bytes per vector. It only counts the interrupt; CPL 3 checks the count and sends the EOI.
    .align 16
    .global interrupt_stubs
interrupt_stubs:
    vector = 0
    .rept 256
    .balign 16
    .if vector >= 32
    incl vector_counts + 4 * vector
    iretq
    .elseif vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    pushq $vector                       // the processor pushed an error code
    jmp exception
    .else
    pushq $0
    pushq $vector
    jmp exception
    .endif
    vector = vector + 1
    .endr

// The stubs of the deferrable vectors of a level-triggered line. They read a register of the device, which lowers its line,
// as a driver's handler does. A line that is still asserted at the end of the interrupt would interrupt again.
    .align 32
    .global acknowledging_stubs
acknowledging_stubs:
    vector = DEFERRABLE_VECTORS
    .rept 16
    .balign 32
    pushq %rax
    movq acknowledge_registers + 8 * (vector - DEFERRABLE_VECTORS), %rax
    movl (%rax), %eax
    popq %rax
    incl vector_counts + 4 * vector
    iretq
    vector = vector + 1
    .endr

// An exception ends the program: continues at CPL 3 in a function that reports it.
    .align 16
exception:
    popq crash_record
    popq crash_record + 8
    movq (%rsp), %rax
    movq %rax, crash_record + 16
    movq %cr2, %rax
    movq %rax, crash_record + 24
    movq $guest_crashed, (%rsp)
    movq $USER_CODE64, 8(%rsp)
    movq $0x2, 16(%rsp)
    movq $boot_stack_top - 8, 24(%rsp)
    movq $USER_DATA, 32(%rsp)
    iretq

    .section .data, "aw"
    .align 16
    .global gdt
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF            // KERNEL_CODE64
    .quad 0x00CF93000000FFFF            // KERNEL_DATA
    .quad 0x00CF9B000000FFFF            // KERNEL_CODE32
    .quad 0x00CFF3000000FFFF            // USER_DATA
    .quad 0x00AFFB000000FFFF            // USER_CODE64
    .rept MAX_CPUS                      // TASK_STATE, one each: limit 0x2068, base to be filled in
    .quad 0x0000890000002068
    .quad 0
    .endr
gdt_end:
    .align 8
gdt_pointer:
    .word GDT_LIMIT
    .quad gdt
    .align 8
idt_pointer:
    .word 0xFFF
    .quad idt
    .global start_info_address
start_info_address:
    .long 0

    .align 16
task_state_bsp:
    .long 0
    .quad kernel_stack_top              // RSP0
    .skip 0x66 - 12
    .word 0x68                          // the I/O permission bitmap: all zero, every port allowed
    .skip 8192
    .byte 0xFF

// 4 GiB mapped one to one by 2 MiB pages, writable at CPL 3, accessed and dirty set; from 3 GiB on uncached.
    .align 4096
page_map_level4:
    .quad page_directory_pointers + 0x27
    .skip 4088
page_directory_pointers:
    .quad page_directories + 0x27
    .quad page_directories + 0x1027
    .quad page_directories + 0x2027
    .quad page_directories + 0x3027
    .skip 4064
page_directories:
    address = 0
    .rept 2048
    .if address < 0xC0000000
    .quad address + 0xE7
    .else
    .quad address + 0xFF
    .endif
    address = address + 0x200000
    .endr

    .section .bss, "aw", @nobits
    .align 4096
    .global idt
idt:
    .skip 4096
    .global vector_counts, acknowledge_registers, crash_record, ap_parameters
vector_counts:
    .skip 4 * 256
acknowledge_registers:
    .skip 8 * 16
crash_record:                           // vector, error code, rip, cr2
    .skip 32
ap_parameters:
    .skip 32
    .skip 4096
kernel_stack_top:
    .skip 65536
    .align 16
boot_stack_top:
    .skip 64
