// Wrappers for things that Swift cannot import: variadic calls, macros, anonymous unions and atomics.
#pragma once

#include "CLinuxAIO.h"
#include "CLinuxAtomics.h"
#include "CLinuxFiles.h"
#include "CLinuxKVM.h"
#include "CLinuxLocks.h"
#include "CLinuxNetwork.h"
#include "CLinuxSandbox.h"
#include "CLinuxTerminal.h"
#include "CLinuxThreads.h"
