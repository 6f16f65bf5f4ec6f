import CGuest
import CHPCC

/// Runs the program that `program=` names.
func runProgram(_ arguments: CommandLine) {
  guard let name = arguments["program"] else { fail("no program= on the command line", 0, .usage) }
  if name.equals("hello") {
    hello(arguments)
  } else if name.equals("disk") {
    disk(arguments)
  } else if name.equals("net") {
    network(arguments)
  } else if name.equals("tails") {
    tails(arguments)
  } else if name.equals("access") {
    access(arguments)
  } else if name.equals("cpu") {
    cpu(arguments)
  } else if name.equals("hpcc-stream") {
    hpcc(arguments, HPCC_STREAM)
  } else if name.equals("hpcc-ring") {
    hpcc(arguments, HPCC_RING)
  } else if name.equals("hpcc-ptrans") {
    hpcc(arguments, HPCC_PTRANS)
  } else if name.equals("hpcc-hpl") {
    hpcc(arguments, HPCC_HPL)
  } else if name.equals("smp") {
    smp(arguments)
  } else if name.equals("console") {
    consoleStream(arguments)
  } else if name.equals("crash") {
    crash(arguments)
  } else {
    fail("no such program", 0, .usage)
  }
}
