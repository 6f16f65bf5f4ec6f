/* The e1000's transmit tail as RAM: RegisterPage, E1000State+TailPages.swift and E1000+TailPages.swift.
 *
 * A guest stores the tail 1, 2, ... STORES. A store goes to the page while the page is shown and open. It fails while the
 * page is closed, and exits while it is hidden. Meanwhile the page is shown, hidden by the device, and hidden because
 * its BAR moves. The loop sleeps unless its doorbell rings or its timer is set.
 *
 * Claims: the device's tail never goes back, and the last tail is sent in the end.
 *
 * -DNO_LAST_LOOK, -DNO_DOORBELL, -DNO_FINAL_STORES and -DNO_MIRROR each leave out one step, and each breaks a claim.
 */
#define STORES 3
#define HIDES 2
#define PATIENCE 2

/* RegisterPage: one lock, so its steps are atomic. */
bool shown, closed;
byte page;                      /* TDT in the page */

/* E1000State, by its lock. */
bool locked;
byte reg;                       /* TDT in the register file */
bool inUse, looking;
byte left, looked;

/* The loop. */
bool doorbell, timer;
byte seen, sent;

bool storing;                   /* the guest has opened the page, and its store is yet to come */

inline lock() { atomic { !locked; locked = true } }
inline unlock() { locked = false }

inline setTail(value) { assert(value >= reg); reg = value }

/* The caller holds the lock. */
inline lookLater() {
  atomic {
    if
    :: !looking && shown && !closed -> looking = true; left = PATIENCE; looked = reg; timer = true
    :: else
    fi
  }
}

/* The caller holds the lock. A guest may store between any two of these steps. */
inline applyStores() {
  if
  :: page != reg -> setTail(page); doorbell = true
  :: else
  fi
}

inline showPage() {
  if
  :: !inUse -> page = reg; atomic { shown = true; closed = false }; inUse = true; lookLater()
  :: else
  fi
}

inline hidePage() {
  atomic { shown = false; closed = false };
#ifndef NO_FINAL_STORES
  if
  :: inUse -> applyStores()
  :: else
  fi;
#endif
  inUse = false
}

/* A write that exits: E1000State.acceptWrite. It may make the page worth showing. */
inline exitWrite(value) {
  lock();
  setTail(value);
#ifndef NO_MIRROR
  if
  :: inUse -> page = value
  :: else
  fi;
#endif
  doorbell = true;
  if
  :: showPage()
  :: skip
  fi;
  unlock()
}

proctype Guest() {
  byte next = 1;
  do
  :: next <= STORES ->
    do
    :: atomic { shown && !closed -> page = next; storing = false }; break
    :: atomic { shown && closed ->
        /* KVM_RUN fails, and the vCPU's thread opens the page. */
        closed = false; storing = true;
#ifndef NO_DOORBELL
        doorbell = true
#endif
      }
    :: !shown -> atomic { storing = false }; exitWrite(next); break
    od;
    next++
  :: else -> break
  od
}

/* Other vCPUs: TCTL.EN off, or a BAR that moves. The latter hides the page before the device knows. */
proctype Hider() {
  byte n = 0;
  do
  :: n < HIDES ->
    n++;
    if
    :: lock(); hidePage(); unlock()
    :: atomic { shown = false; closed = false };
      lock();
      if
      :: inUse && !shown -> hidePage()
      :: else
      fi;
      unlock()
    fi
  :: else -> break
  od
}

inline transmit() {
  lock();
  if
  :: inUse && page != reg -> setTail(page)
  :: else
  fi;
  seen = reg;
  if
  :: inUse -> lookLater()
  :: else
  fi;
  sent = reg;
  unlock()
}

inline serveIfStored() {
  if
  :: shown && page != seen -> transmit()
  :: else
  fi
}

proctype Loop() {
  bool closes;
  do
  :: atomic { doorbell -> doorbell = false }; transmit()
  :: atomic { timer -> timer = false };
    serveIfStored();
    lock();
    looking = false;
    closes = false;
    if
    :: inUse && reg == looked && left <= 1 ->
      /* 20 ms after a store has opened the page, the store is there. */
      if
      :: storing -> lookLater()
      :: else -> closes = true
      fi
    :: inUse && reg == looked && left > 1 ->
      left--;
      atomic {
        if
        :: shown && !closed -> looking = true; timer = true
        :: else
        fi
      }
    :: inUse && reg != looked -> lookLater()
    :: else
    fi;
    unlock();
    if
    :: closes ->
      atomic {
        if
        :: shown -> closed = true
        :: else
        fi
      };
#ifndef NO_LAST_LOOK
      serveIfStored()
#endif
    :: else
    fi
  od
}

/* Time goes on while all others sleep: spin then sees a sleep without end as a run in which the tail is never sent. */
proctype Time() {
  bool tick;
  do
  :: tick = !tick
  od
}

init { atomic { run Guest(); run Hider(); run Loop(); run Time() } }

ltl sentInTheEnd { <>[] (sent == STORES) }
