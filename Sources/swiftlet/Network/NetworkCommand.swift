import ArgumentParser
import Failures

/// `swiftlet network`: the host's side of VMs on taps. As in the paper, a bridge has an address and a tap for each VM.
struct NetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network",
    abstract: "Create, show and remove a bridge with taps for guests.",
    discussion: """
      Only up and down need root. A VM then opens its tap as the user who owns the taps:

        sudo swiftlet network up --taps 2
        swiftlet network status
        swiftlet run --kernel test-guest --net backend=tap,interface=swiftlet0-tap0
        sudo swiftlet network down

      up marks the interfaces that it creates (with an alias, see: ip link), and down removes only marked interfaces. \
      up completes a network of which a part exists. If it fails, it removes the interfaces that it added.
      """,
    subcommands: [NetworkUpCommand.self, NetworkDownCommand.self, NetworkStatusCommand.self])
}

/// The option that names a network.
struct NetworkOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The bridge; taps are named after it.", valueName: "name"))
  var bridge = "swiftlet0"
}

/// `swiftlet network up`.
struct NetworkUpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Create the bridge, its address and its taps, or the missing parts.",
    discussion: "Example: sudo swiftlet network up --taps 2 --address 10.73.0.1/24 --mtu 9000")

  @OptionGroup var network: NetworkOptions

  @Option(help: ArgumentHelp("Taps, named BRIDGE-tap0 and so on.", valueName: "n"))
  var taps = 2

  @Option(help: ArgumentHelp("The host's address on the bridge.", valueName: "address/bits"))
  var address = "10.73.0.1/24"

  @Option(help: ArgumentHelp("The owner of the taps; default: you, also under sudo.", valueName: "name"))
  var user: String?

  @Option(
    help: ArgumentHelp("The MTU of bridge and taps, 68 to 65521; default: as it is, at first 1500.", valueName: "bytes")
  )
  var mtu: Int?

  func run() throws {
    let network = try HostNetwork(bridge: network.bridge)
    try network.up(
      HostNetwork.Plan(
        taps: try network.tapNames(taps), address: try InterfaceAddress(address), owner: try HostUser(named: user),
        mtu: try HostNetwork.checked(mtu: mtu)))
    print(try network.status())
  }
}

/// `swiftlet network down`.
struct NetworkDownCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down",
    abstract: "Remove the interfaces that up created.",
    discussion: "Example: sudo swiftlet network down")

  @OptionGroup var network: NetworkOptions

  func run() throws {
    let network = try HostNetwork(bridge: network.bridge)
    let removed = try network.down()
    print(removed.isEmpty ? "\(network.bridge) does not exist" : "removed \(removed.joined(separator: ", "))")
  }
}

/// `swiftlet network status`.
struct NetworkStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract:
      "Show the bridge, its address, and the taps: their owners, up or down, and the processes that have them open.",
    discussion: "Example: swiftlet network status")

  @OptionGroup var network: NetworkOptions

  func run() throws { print(try HostNetwork(bridge: network.bridge).status()) }
}
